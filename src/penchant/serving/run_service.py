"""A decision service as processes: workers that share a socket, and one learner beside them."""

import contextlib
import gc
import json
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import uvicorn

from penchant.errors import ConfigError
from penchant.serving.database import Database, database_at
from penchant.serving.decision_app import DecisionApp
from penchant.serving.event_store import EventStore
from penchant.serving.hosts import is_loopback
from penchant.serving.keys import Keyring
from penchant.serving.patient_http import PatientProtocol
from penchant.serving.wire import Limits

# Seconds before a process that ended is started again; connections at once of each worker.
_REST = 1.0
_MOST_AT_ONCE = 2_000
# Seconds after which a thread gives up the interpreter's lock to one that waits.
_TURN = 0.0005
_log = logging.getLogger("penchant.service")


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceConfig:
    """port: 0 picks a free one. num_workers: processes that serve. is_insecure: without keys."""

    database: Database
    host: str = "127.0.0.1"
    port: int = 8000
    num_workers: int = 1
    is_insecure: bool = False
    limits: Limits = Limits()  # noqa: RUF009 (frozen)


@dataclass(frozen=True, slots=True)
class _Beside:
    """A process that is kept running. told: the first line of its standard input, which nobody
    else reads, as its arguments are. held: files of ours that it shares."""

    command: list[str]
    told: str
    held: tuple[int, ...] = ()


def check_service(config: ServiceConfig) -> None:
    """Makes the log where there is none. Raises `ConfigError` for a service that is open to
    whoever reaches it, or that nobody could use."""
    if config.is_insecure and not is_loopback(config.host):
        raise ConfigError(
            f"--insecure with --host {config.host}: whoever reaches this machine could do "
            "everything. Expected a loopback address, or keys: `penchant keys add NAME --role app`."
        )
    store = EventStore(config.database)
    try:
        if not config.is_insecure and not len(Keyring(store)):
            raise ConfigError(
                f"{config.database} has no key, so that nobody could use the service. Make one: "
                f"`penchant keys add NAME --role admin --database {config.database.name}`; or say "
                "--insecure on a loopback address to try it without."
            )
    finally:
        store.close()


def listening(host: str, port: int) -> socket.socket:
    """A socket there. Raises `ConfigError` where nothing can listen."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise ConfigError(
            f"nothing can listen on {host} at port {port}: {error.strerror or error}. Choose "
            "another port (0 picks a free one), or an address of this machine."
        ) from error


def run_service(config: ServiceConfig, held: socket.socket) -> None:
    """Serves until interrupted."""
    # The learner does not hold the socket: when we are killed the port is free at once.
    address = config.database.address
    learner = _Beside([sys.executable, "-m", "penchant.serving.learner"], address)
    told = json.dumps({
        "database": address, "is_insecure": config.is_insecure,
        "limits": asdict(config.limits), "socket": held.fileno(),
    })  # fmt: skip
    further = [sys.executable, "-m", "penchant.serving.run_service"]
    workers = [_Beside(further, told, (held.fileno(),))] * (config.num_workers - 1)
    with _kept_running([learner, *workers]):
        work(DecisionApp(config.database, limits=config.limits, is_insecure=config.is_insecure),
             held)  # fmt: skip


def work(app: DecisionApp, held: socket.socket) -> None:
    """Serves a socket until interrupted."""
    # The thread that writes gets its turn within this, where it would wait for 5 ms.
    sys.setswitchinterval(_TURN)
    server = _Server(uvicorn.Config(
        app, http=PatientProtocol, ws="none", lifespan="on", interface="asgi3", access_log=False,
        log_level="warning", server_header=False, proxy_headers=False,
        limit_concurrency=_MOST_AT_ONCE, timeout_keep_alive=30, timeout_graceful_shutdown=10,
    ))  # fmt: skip
    server.run(sockets=[held])


class _Server(uvicorn.Server):
    # uvicorn types its sockets narrower than it takes them.
    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        # What is loaded by now stays and need not be looked through for rubbish again and again.
        gc.collect()
        gc.freeze()


@contextlib.contextmanager
def _kept_running(processes: list[_Beside]) -> Iterator[None]:
    """The processes, started anew when they end. Each ends when its standard input does, which is
    ours to close, or the system's when we are killed."""
    stop = threading.Event()
    threads = [
        threading.Thread(target=_keep, args=(process, stop), daemon=True) for process in processes
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _keep(process: _Beside, stop: threading.Event) -> None:
    while not stop.is_set():
        child = subprocess.Popen(
            process.command, stdin=subprocess.PIPE, pass_fds=process.held, text=True
        )
        assert child.stdin is not None
        with contextlib.suppress(OSError):
            child.stdin.write(process.told + "\n")
            child.stdin.flush()
        while child.poll() is None and not stop.wait(0.2):
            pass
        if child.poll() is None:
            child.stdin.close()
            child.wait()
        elif not stop.is_set():
            _log.warning(
                "%s ended (%s); it is started again.", process.command[2], child.returncode
            )
            time.sleep(_REST)


def _main() -> None:
    """One further worker: what `run_service` told, until its standard input ends."""
    import os
    import signal

    def follow() -> None:
        sys.stdin.read()
        os.kill(os.getpid(), signal.SIGTERM)

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    told = json.loads(sys.stdin.readline())
    threading.Thread(target=follow, daemon=True).start()
    app = DecisionApp(database_at(told["database"]), limits=Limits(**told["limits"]),
                      is_insecure=told["is_insecure"])  # fmt: skip
    work(app, socket.socket(fileno=told["socket"]))


if __name__ == "__main__":
    _main()
