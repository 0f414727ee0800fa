"""A PostgreSQL server of our own for tests and benchmarks, where its programs are."""

import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from penchant.serving.postgres_database import PostgresDatabase

USER, PASSWORD = "keeper", "p@ss/w:rd"
_WRITTEN = "p%40ss%2Fw%3Ard"
# Seconds: a busy machine may stand still for many of them.
_PATIENCE = 60
# When whoever started a server is no more, however it ended, its server goes too.
_SWEEPER = """
cat > /dev/null
pid=$(head -n 1 "$0/data/postmaster.pid" 2> /dev/null) && kill -QUIT "$pid" && sleep 1
rm -rf "$0"
"""


def missing():
    """Why there can be no server here; None where there can be one."""
    if _program("initdb") is None or _program("postgres") is None:
        return "no programs of PostgreSQL: initdb and postgres, on PATH or in /usr/lib/postgresql"
    if os.getuid() == 0 and _account() is None:
        return "PostgreSQL does not run as root, and there is no user postgres or nobody"
    try:
        import psycopg as psycopg
    except ImportError as error:
        return f"no psycopg ({error})"
    return None


def _program(name):
    kept = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return shutil.which(name) or (str(kept[-1]) if kept else None)


def _account():
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    return None


def name_of(database):
    """Of a database on its server."""
    return database.address.rpartition("/")[2]


class Server:
    """One server with databases of its own; syncs: whether it waits for the disk, as tests need
    not."""

    def __init__(self, *, syncs=False, **settings):
        self.settings = {"fsync": "on" if syncs else "off", "max_connections": "80"} | settings
        self.folder = Path(tempfile.mkdtemp(prefix="penchant-postgresql-"))
        self._sweeper = subprocess.Popen(
            ["/bin/sh", "-c", _SWEEPER, self.folder], stdin=subprocess.PIPE, cwd="/",
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        self._numbers, self._free = itertools.count(), []
        account = _account() if os.getuid() == 0 else None
        self._as = {}
        if account is not None:
            self._as = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        secret = self.folder / "secret"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        subprocess.run(
            [_program("initdb"), "-D", self.folder / "data", "-U", USER, "--pwfile", secret,
             "-A", "scram-sha-256", "-E", "UTF8", "--no-locale", "--no-sync"],
            check=True, capture_output=True, cwd=self.folder, **self._as,
        )  # fmt: skip
        # Somebody else may take a port between these two lines.
        for _ in range(5):
            with socket.create_server(("127.0.0.1", 0)) as free:
                self.port = free.getsockname()[1]
            with suppress(ChildProcessError):
                self.start()
                return
        raise AssertionError(self.log)

    def start(self):
        """Anew after `stop`, on the same port."""
        settings = [f"-c{name}={value}" for name, value in self.settings.items()]
        self._said = (self.folder / "log").open("ab")
        self.process = subprocess.Popen(
            [_program("postgres"), "-D", self.folder / "data", "-p", str(self.port),
             "-k", self.folder, "-h", "127.0.0.1", *settings],
            stdout=self._said, stderr=self._said, cwd=self.folder, **self._as,
        )  # fmt: skip
        self.wait()

    @property
    def log(self):
        """What it said."""
        return (self.folder / "log").read_text(errors="replace")

    def wait(self):
        """Until it lets somebody in. Raises `ChildProcessError` where it ended instead."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            with suppress(Exception):
                # Not a server of somebody else that has the port.
                if self.run("SHOW data_directory") == [(str(self.folder / "data"),)]:
                    return
            if self.process.poll() is not None:
                self._said.close()
                raise ChildProcessError(self.log)
            time.sleep(0.05)
        raise AssertionError(self.log)

    def stop(self, how=signal.SIGQUIT):
        """SIGQUIT: at once, as after a crash; SIGKILL: without the server knowing."""
        self.process.send_signal(how)
        self.process.wait(_PATIENCE)
        self._said.close()

    def end_sessions(self, database, which="true"):
        """Those of a database, or some of them; none of these has a lock any more."""
        of = f"FROM pg_stat_activity WHERE datname = '{name_of(database)}' AND {which}"
        deadline = time.monotonic() + _PATIENCE
        # Who is told that a session ended may be told before its locks are free.
        ended = self.run(f"SELECT pid, pg_terminate_backend(pid) {of}")
        pids = ", ".join(str(pid) for pid, _ in ended)
        while ended and self.run(f"SELECT 1 {of} AND pid IN ({pids})"):
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def drop(self, database):
        """Whatever is set of it goes with it."""
        self.end_sessions(database)
        self.run(f"DROP DATABASE {name_of(database)} WITH (FORCE)")

    def kill_backend(self, database):
        """SIGKILL to whoever serves a session: the server then starts all of itself anew."""
        found = self.run(
            f"SELECT pid FROM pg_stat_activity WHERE datname = '{name_of(database)}' LIMIT 1"
        )
        for (pid,) in found:
            os.kill(pid, signal.SIGKILL)

    def _connected(self, database):
        import psycopg

        return psycopg.connect(self.address(database), autocommit=True, connect_timeout=_PATIENCE)

    def run(self, statement, database="postgres"):
        """Rows of a statement, by the keeper of the server."""
        with self._connected(database) as session:
            found = session.execute(statement)
            return found.fetchall() if found.description else []

    def address(self, database, password=_WRITTEN):
        return f"postgresql://{USER}:{password}@127.0.0.1:{self.port}/{database}"

    def database(self, more=""):
        """An empty one."""
        if self._free and not more:
            return self._free.pop()
        name = f"log{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name} {more}")
        return PostgresDatabase(self.address(name))

    def recycle(self, database):
        """Emptied and given to somebody else: sooner done than to make another."""
        name = name_of(database)
        self.end_sessions(database)
        self.run("DROP SCHEMA IF EXISTS penchant CASCADE", name)
        self._free.append(database)

    def close(self):
        if self.process.poll() is None:
            self.stop()
        self._sweeper.communicate()
