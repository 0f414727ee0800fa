"""How a session with PostgreSQL begins: the address, what libpq is told, a schema of our own.

Whatever is said of an address leaves out its passwords.
"""

import logging
import os
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from penchant.errors import ConfigError, DataError, EndpointError, MissingExtraError

if TYPE_CHECKING:
    import psycopg

VERSION = 1
# Of the server; what is older than this its makers no longer look after.
OLDEST = 13
# Ours in whatever database it is.
SPACE = "penchant"
# What libpq does unless the address or the environment says otherwise: seconds to wait for a
# server that does not answer, and a server that can be written to where several are named.
_MANNERS = {
    "connect_timeout": "5", "target_session_attrs": "read-write", "keepalives_idle": "10",
    "keepalives_interval": "5", "keepalives_count": "3", "tcp_user_timeout": "15000",
    "application_name": SPACE,
}  # fmt: skip
_SAID_BY = {"connect_timeout": "PGCONNECT_TIMEOUT", "target_session_attrs": "PGTARGETSESSIONATTRS",
            "application_name": "PGAPPNAME"}  # fmt: skip
# Whoever froze within a transaction lets the others write again; and waits no longer for them.
# Plans are kept that were made while tables were small: by their indexes, whatever seemed cheap
# then. A table without one is then thought so dear that it would be compiled for.
_SESSION = f"""
SELECT set_config('search_path', '{SPACE}', false), set_config('lock_timeout', '10s', false),
  set_config('enable_seqscan', 'off', false), set_config('jit', 'off', false),
  set_config('idle_in_transaction_session_timeout', '30s', false),
  CASE WHEN current_setting('synchronous_commit') = 'off'
    THEN set_config('synchronous_commit', 'on', false) END
"""
# Asked of tables: what functions such as to_regclass say may be of a moment ago. Whoever may make
# no schema may have been given an empty one.
_FOUND = f"""
SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = '{SPACE}'),
  EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE nspname = '{SPACE}'),
  EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE nspname = '{SPACE}' AND relname = 'log')
"""
_MANNERED = "SELECT current_setting('server_encoding'), current_setting('fsync')"
# Names compare by their letters' codes, whatever the language of the database.
_SCHEMA = """
CREATE TABLE log (version INTEGER NOT NULL, last BIGINT NOT NULL) WITH (fillfactor = 10);
CREATE TABLE entries (
  seq BIGINT PRIMARY KEY,
  tenant TEXT COLLATE "C" NOT NULL, event_id TEXT COLLATE "C" NOT NULL,
  entry_id TEXT COLLATE "C" NOT NULL, kind TEXT COLLATE "C" NOT NULL, person TEXT COLLATE "C",
  received DOUBLE PRECISION NOT NULL, body BYTEA NOT NULL, answer BYTEA NOT NULL
);
CREATE UNIQUE INDEX one_of_each ON entries (tenant, event_id, entry_id);
CREATE INDEX of_person ON entries (tenant, person) WHERE person IS NOT NULL;
CREATE TABLE epochs (tenant TEXT COLLATE "C" PRIMARY KEY, epoch BIGINT NOT NULL);
CREATE TABLE keys (
  key_id TEXT PRIMARY KEY, name TEXT COLLATE "C" NOT NULL, tenant TEXT COLLATE "C" NOT NULL,
  role TEXT NOT NULL, digest BYTEA NOT NULL, created DOUBLE PRECISION NOT NULL,
  UNIQUE (tenant, name)
);
CREATE TABLE models (
  tenant TEXT COLLATE "C" NOT NULL, name TEXT COLLATE "C" NOT NULL, config TEXT NOT NULL,
  created DOUBLE PRECISION NOT NULL, PRIMARY KEY (tenant, name)
);
CREATE TABLE promotions (
  seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant TEXT COLLATE "C" NOT NULL,
  model TEXT NOT NULL, promoted DOUBLE PRECISION NOT NULL
);
CREATE TABLE studies (
  tenant TEXT COLLATE "C" NOT NULL, name TEXT COLLATE "C" NOT NULL, config TEXT NOT NULL,
  created DOUBLE PRECISION NOT NULL, PRIMARY KEY (tenant, name)
);
CREATE TABLE erased (
  tenant TEXT COLLATE "C" NOT NULL, event BYTEA NOT NULL, PRIMARY KEY (tenant, event)
);
CREATE TABLE beliefs (
  tenant TEXT COLLATE "C" NOT NULL, model TEXT COLLATE "C" NOT NULL, stamp BIGINT NOT NULL,
  content BYTEA NOT NULL, PRIMARY KEY (tenant, model)
);
CREATE TABLE learner (looked TIMESTAMPTZ NOT NULL);
"""
# Of advisory locks.
OURS = 1885695588
_log = logging.getLogger("penchant.service")


def opened(address: str, for_reading: bool) -> "psycopg.Connection":
    """A session that a log can be kept in. Raises as `PostgresDatabase.connect`."""
    import psycopg

    from penchant.serving.postgres_words import adapt

    told = _manners(address)
    try:
        session = psycopg.connect(address, autocommit=True, client_encoding="utf8", **told)
    except (psycopg.Error, UnicodeError) as error:
        raise EndpointError(
            f"{masked(address)} cannot be reached: {without_secrets(address, str(error))}. "
            "Expected postgresql://USER@HOST:PORT/DATABASE of a server that runs, a database that "
            "is there (`createdb DATABASE`) and can be written to, and a password in PGPASSWORD, "
            "~/.pgpass or the address."
        ) from None
    try:
        adapt(session)
        _make_ready(session, address, for_reading)
    except BaseException:
        session.close()
        raise
    return session


def _manners(address: str) -> dict[str, Any]:
    """What libpq is told that neither the address nor the environment says."""
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    try:
        said = conninfo_to_dict(address)
    except (psycopg.Error, UnicodeError) as error:
        raise ConfigError(
            f"the database is {masked(address)}, which is no address: "
            f"{without_secrets(address, str(error))}. Expected "
            "postgresql://USER:PASSWORD@HOST:PORT/DATABASE, strokes, colons and @ within a name or "
            "password written as %2F, %3A and %40."
        ) from None
    return {
        name: value
        for name, value in _MANNERS.items()
        if name not in said and not os.environ.get(_SAID_BY.get(name, ""))
    }


def _make_ready(session: "psycopg.Connection", address: str, for_reading: bool) -> None:
    name = masked(address)
    release = session.info.server_version // 10_000
    if release < OLDEST:
        raise DataError(
            f"{name} is of a PostgreSQL {release}; expected {OLDEST} or later. Update the server."
        )
    session.execute(_SESSION.encode())
    ((encoding, syncs),) = session.execute(_MANNERED.encode()).fetchall()
    ((_, is_taken, is_made),) = session.execute(_FOUND.encode()).fetchall()
    if encoding != "UTF8":
        raise DataError(
            f"{name} keeps text as {encoding}; expected UTF8, which holds every id. Make "
            "another one: `createdb --encoding UTF8 --template template0 DATABASE`."
        )
    if is_taken and not is_made:
        raise DataError(
            f"{name} has a schema {SPACE!r} of another program; expected one of penchant's, "
            "or none. Name another database."
        )
    if syncs == "off" and not for_reading:
        _log.warning(
            "%s runs with fsync off: a power cut loses what it acknowledged.", masked(address)
        )
    if not is_made:
        _make(session)
    ((version,),) = session.execute(b"SELECT version FROM log").fetchall()
    if version > VERSION:
        raise DataError(
            f"{name} was written by a newer penchant (schema {version}, this one knows "
            f"{VERSION}). Update penchant."
        )


def _make(session: "psycopg.Connection") -> None:
    with session.transaction():
        # Another machine may be making it, or have been faster.
        session.execute(f"SELECT pg_advisory_xact_lock({OURS}, 0)".encode())
        ((is_there, _, is_made),) = session.execute(_FOUND.encode()).fetchall()
        if not is_there:
            session.execute(f"CREATE SCHEMA {SPACE}".encode())
        if not is_made:
            session.execute(_SCHEMA.encode(), prepare=False)
            session.execute(f"INSERT INTO log VALUES ({VERSION}, 0)".encode())


def check_driver() -> None:
    """Raises `MissingExtraError` where PostgreSQL cannot be spoken to."""
    try:
        import psycopg as psycopg
    except ImportError as error:
        raise MissingExtraError(
            f"postgresql:// needs psycopg ({error}); expected the extra [postgresql]. Install it "
            "with: pip install 'penchant[postgresql]'."
        ) from error


def masked(address: str) -> str:
    """An address without its passwords."""
    address = re.sub(r"(://[^:@/?]*:).*@", r"\1***@", address, flags=re.DOTALL)
    return re.sub(r"((?:^|[?&\s])(?:ssl)?password\s*=)[^&]*", r"\1***", address)


def without_secrets(address: str, told: str) -> str:
    """What libpq said, on one line; it may repeat the address or parts of it."""
    plain = masked(address)
    said = re.search(r"://[^:@/?]*:(.*)@", address, flags=re.DOTALL)
    secrets = [said[1]] if said else []
    secrets += re.findall(r"[?&](?:ssl)?password=([^&]*)", address)
    told = told.replace(address, plain)
    for secret in sorted({each for one in secrets for each in (one, unquote(one))}, key=len)[::-1]:
        told = told.replace(secret, "***") if secret else told
    return " ".join(told.split()).removesuffix(".")
