"""Keys of a service: who may do what, for whom. Only digests are kept."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Container
from dataclasses import dataclass

from penchant.errors import ConfigError
from penchant.serving.event_store import EventStore, checked_name

# What each role may do.
ROLES: dict[str, frozenset[str]] = {
    "app": frozenset({"decide", "ask"}),
    "ask": frozenset({"ask"}),
    "analyst": frozenset({"read", "monitor"}),
    "monitor": frozenset({"monitor"}),
    "admin": frozenset({"decide", "ask", "read", "monitor", "change"}),
}
DEFAULT_TENANT = "default"
_PREFIX = "penchant"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. key_id: of the key, by which requests are counted."""

    key_id: str
    tenant: str
    role: str

    def may(self, right: str) -> bool:
        """Whether the role has the right."""
        return right in ROLES[self.role]


@dataclass(frozen=True, slots=True)
class _Held:
    principal: Principal
    digest: bytes


class Keyring:
    """The keys of a log as they were when it was made."""

    def __init__(self, store: EventStore) -> None:
        rows = store.fetch("SELECT key_id, tenant, role, digest FROM keys")
        self._held = {
            key_id: _Held(Principal(key_id, tenant, role), bytes(digest))
            for key_id, tenant, role, digest in rows
        }

    def __len__(self) -> int:
        return len(self._held)

    @property
    def tenants(self) -> set[str]:
        """Whoever has a key."""
        return {held.principal.tenant for held in self._held.values()}

    def of(self, tenants: Container[str]) -> "Keyring":
        """The keys of some tenants alone."""
        chosen = Keyring.__new__(Keyring)
        chosen._held = {i: h for i, h in self._held.items() if h.principal.tenant in tenants}
        return chosen

    def principal(self, authorization: bytes) -> Principal | None:
        """Whose `Authorization: Bearer KEY` it is; None where it is nobody's."""
        scheme, _, token = authorization.partition(b" ")
        parts = token.strip().split(b"_")
        if scheme.lower() != b"bearer" or len(parts) != 3:
            return None
        held = self._held.get(parts[1].decode("latin-1"))
        # An unknown key is compared too, so that time does not tell which ids there are.
        expected = held.digest if held else bytes(32)
        is_right = hmac.compare_digest(hashlib.sha256(parts[2]).digest(), expected)
        return held.principal if held and is_right else None


def add_key(store: EventStore, name: str, role: str, tenant: str = DEFAULT_TENANT) -> str:
    """A new key, told this once. Raises `ConfigError` for a name that is taken or an unknown role.

    The secret has 256 random bits, so that one round of SHA-256 is enough to keep it: nobody
    guesses what has no pattern.
    """
    checked_name(name, "key")
    checked_name(tenant, "tenant")
    if role not in ROLES:
        raise ConfigError(f"the role is {role!r}; expected one of {', '.join(ROLES)}.")
    key_id, secret = secrets.token_hex(6), secrets.token_hex(32)
    digest = hashlib.sha256(secret.encode()).digest()
    is_new = store.execute(
        "INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        key_id, name, tenant, role, digest, time.time(),
    )  # fmt: skip
    if not is_new:
        raise ConfigError(
            f"tenant {tenant!r} has a key {name!r} already; expected another name. Remove the old "
            "one with `penchant keys remove`."
        )
    return f"{_PREFIX}_{key_id}_{secret}"


def remove_key(store: EventStore, name: str, tenant: str = DEFAULT_TENANT) -> None:
    """From now on it opens nothing. Raises `ConfigError` for one that is not there."""
    if not store.execute("DELETE FROM keys WHERE tenant = ? AND name = ?", tenant, name):
        raise ConfigError(
            f"tenant {tenant!r} has no key {name!r}; `penchant keys list` tells which there are."
        )
