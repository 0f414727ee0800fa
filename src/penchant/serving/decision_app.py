"""A decision service as a bare ASGI application: two hot paths, the rest beside them.

Clocks are the server's part (`patient_http.py`): a request that does not come is ended there.
"""

import asyncio
import functools
import logging
import sqlite3
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np

from penchant.errors import ConfigError, DataError, PenchantError
from penchant.serving.administration import Administration, Said
from penchant.serving.counters import Counters
from penchant.serving.database import Database, database_at
from penchant.serving.decision_service import BusyError, ConflictError, DecisionService
from penchant.serving.hosts import is_loopback
from penchant.serving.keys import DEFAULT_TENANT, Principal
from penchant.serving.openapi import described
from penchant.serving.pages import PAGES, rendered
from penchant.serving.wire import Limits, encode

# Values of an ASGI scope are of any type.
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

# An extension of ASGI scopes. answer: takes status, type and body of a whole answer, and says
# whether it was given so; otherwise it is sent as any other.
WHOLE = "penchant.whole"
# Seconds between looks at keys, models and beliefs.
_REFRESH = 0.5
_HOT = {"/v1/rank": "rank", "/v1/feedback": "feedback"}
_GET_ALONE = ("/health", "/openapi.json", "/metrics", *PAGES)
_ANYBODY = Principal("insecure", DEFAULT_TENANT, "admin")
_log = logging.getLogger("penchant.service")


class _Refusal(Exception):
    def __init__(self, status: int, told: str, **headers: str) -> None:
        self.status, self.told, self.headers = status, told, headers


class DecisionApp:
    """The application. is_insecure: whoever reaches it is the default tenant's admin; for loopback
    alone, and only for requests that address it by a loopback name."""

    def __init__(
        self, database: Database | Path, *, limits: Limits | None = None, is_insecure: bool = False,
        generator: np.random.Generator | None = None,
    ) -> None:  # fmt: skip
        self.database = database_at(database) if isinstance(database, Path) else database
        self.limits = limits or Limits()
        self.is_insecure = is_insecure
        self.counters = Counters()
        self._generator = generator or np.random.default_rng()
        self._allowance: dict[str, tuple[float, float]] = {}
        self._trouble = ""
        self._turns: defaultdict[str | None, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What an ASGI server calls."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            self.service = DecisionService(self.database, self.limits, self._generator)
            (apart,) = self._generator.spawn(1)
            self.administration = Administration(self.database, self.limits, apart)
        except PenchantError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        refreshing = asyncio.create_task(self._refresh())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        refreshing.cancel()
        self.service.close()
        self.administration.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _refresh(self) -> None:
        while True:
            await asyncio.sleep(_REFRESH)
            await self._refresh_once()

    async def _refresh_once(self) -> None:
        try:
            await asyncio.to_thread(self.service.refresh)
            self._trouble = ""
        except (sqlite3.Error, OSError, PenchantError) as error:
            # What was read before goes on serving; the same is not said twice a second.
            trouble = f"{type(error).__name__}: {error}"
            if trouble != self._trouble:
                _log.warning("%s", trouble)
            self._trouble = trouble

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        path: str = scope["path"]
        headers: dict[str, str] = {}
        try:
            if path in PAGES and scope["method"] == "GET":
                # A page is the same for everybody and knows nothing: what it shows it asks for.
                page = await asyncio.to_thread(rendered, path)
                status, body, kind, headers = 200, page.body, _HTML, page.headers
            else:
                status, body, kind = await self._said(scope, receive)
        except _Refusal as refusal:
            status, body, kind = refusal.status, _told(refusal.told), _JSON
            headers = refusal.headers
        except (DataError, ConfigError) as error:
            status, body, kind = 400, _told(str(error)), _JSON
        except ConflictError as error:
            status, body, kind = 409, _told(str(error)), _JSON
        except (BusyError, sqlite3.Error, OSError) as error:
            # Nothing was acknowledged; the same request may be sent again.
            _log.error("%s: %s", type(error).__name__, error)
            told = "it could not be kept: nothing was changed. Send it again later."
            status, body, kind, headers = 503, _told(told), _JSON, {"retry-after": "1"}
        except _LeftError:
            return
        except Exception:
            # The service must live; the client learns that it was not its fault.
            _log.exception("a bug of ours in %s", path)
            status, body, kind = 500, _told("a bug of ours; the log of the server has it."), _JSON
        self.counters.count(_HOT.get(path, "other"), status, time.perf_counter() - began)
        whole = scope.get("extensions", {}).get(WHOLE, {}).get("answer")
        if headers or whole is None or not whole(status, kind, body):
            await _send(send, status, body, kind, headers)

    async def _said(self, scope: Scope, receive: Receive) -> tuple[int, bytes, bytes]:
        path, method = scope["path"], scope["method"]
        if path in ("/health", "/openapi.json") and method == "GET":
            told = {"status": "ok"} if path == "/health" else described(self.limits)
            return 200, encode(told), _JSON
        headers = dict(scope["headers"])
        principal = self._principal(headers)
        self._count_on(principal)
        hot = _HOT.get(path)
        if hot is not None:
            _check_method(path, method, ["POST"])
            _check_right(principal, "decide")
            body = await self._body(headers, receive)
            if hot == "rank":
                return 200, await self.service.rank(principal.tenant, body), _JSON
            return 200, await self.service.feedback(principal.tenant, body), _JSON
        if path == "/metrics" and method == "GET":
            _check_right(principal, "monitor")
            return 200, self.counters.text(self.service.numbers()).encode(), _TEXT
        return await self._administered(scope, headers, principal, receive)

    async def _administered(
        self, scope: Scope, headers: dict[bytes, bytes], principal: Principal, receive: Receive
    ) -> tuple[int, bytes, bytes]:
        # By the path as it was sent: a name may hold a stroke.
        raw = scope.get("raw_path") or scope["path"].encode()
        parts = [unquote(part) for part in raw.partition(b"?")[0].decode("latin-1").split("/")[1:]]
        route = self.administration.route(scope["method"], parts)
        if route is None:
            fixed = ["GET"] if scope["path"] in _GET_ALONE else []
            _check_method(
                scope["path"], scope["method"], fixed or self.administration.methods(parts)
            )
            raise _Refusal(404, "there is nothing there; /openapi.json tells what there is.")
        _check_right(principal, route.right)
        body = await self._body(headers, receive) if route.has_body else b""
        # Who waits for their turn takes no thread from others.
        async with self._turns[None if route.is_alone else principal.tenant]:
            said: Said = await asyncio.to_thread(route.act, principal.tenant, route.names, body)
        if route.right == "change":
            # Whatever comes of it, the change itself was made.
            await self._refresh_once()
        return said.status, encode(said.document), _JSON

    def _principal(self, headers: dict[bytes, bytes]) -> Principal:
        if self.is_insecure:
            # A page in somebody's browser, led here under another name, gets nothing.
            host = headers.get(b"host", b"")
            own = b"http://" + host
            if not _is_own(host) or headers.get(b"origin", own) != own:
                raise _Refusal(403, "expected a request to this machine by its loopback name.")
            return _ANYBODY
        found = self.service.keys.principal(headers.get(b"authorization", b""))
        if found is None:
            raise _Refusal(
                401, "expected `Authorization: Bearer KEY` with a key of this service.",
                **{"www-authenticate": "Bearer"},
            )  # fmt: skip
        return found

    def _count_on(self, principal: Principal) -> None:
        """A bucket of as many requests as a second allows, filled at that rate."""
        now, rate = time.monotonic(), self.limits.rate
        left, then = self._allowance.get(principal.key_id, (rate, now))
        left = min(rate, left + (now - then) * rate)
        if left < 1.0:
            raise _Refusal(
                429, f"expected up to {rate:g} requests a second.", **{"retry-after": "1"}
            )
        self._allowance[principal.key_id] = left - 1.0, now

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if kind != b"application/json":
            raise _Refusal(415, "expected Content-Type: application/json.")
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or len(length) > 18 or int(length) > self.limits.body:
            raise _Refusal(413, f"expected a body of up to {self.limits.body:,} bytes.")
        parts, size, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _LeftError
            part = message.get("body", b"")
            size += len(part)
            if size > self.limits.body:
                raise _Refusal(413, f"expected a body of up to {self.limits.body:,} bytes.",
                               connection="close")  # fmt: skip
            parts.append(part)
            more = message.get("more_body", False)
        return parts[0] if len(parts) == 1 else b"".join(parts)


class _LeftError(Exception):
    """Whoever asked is gone."""


_JSON = b"application/json"
_HTML = b"text/html; charset=utf-8"
_TEXT = b"text/plain; version=0.0.4; charset=utf-8"


# Whoever asks says the same again and again.
@functools.lru_cache(maxsize=64)
def _is_own(host: bytes) -> bool:
    """Whether the header, without its port, names this machine as itself does."""
    try:
        return is_loopback(urlsplit("//" + host.decode("latin-1")).hostname or "")
    except ValueError:
        return False


def _check_right(principal: Principal, right: str) -> None:
    if not principal.may(right):
        raise _Refusal(403, f"a key of role {principal.role} may not {right}.")


def _check_method(path: str, method: str, taken: list[str]) -> None:
    if taken and method not in taken:
        told = ", ".join(sorted(taken))
        raise _Refusal(405, f"{path:.100} takes {told} alone.", allow=told)


def _told(error: str) -> bytes:
    return encode({"error": error})


async def _send(send: Send, status: int, body: bytes, kind: bytes, headers: dict[str, str]) -> None:
    told = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
    told += [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": told})
    await send({"type": "http.response.body", "body": body})
