"""Rewards over HTTP with nothing but the standard library: JSON in, JSON out, one text or many."""

import contextlib
import json
import threading
from collections.abc import Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from penchant.encoders.text_embedding import told_shortly
from penchant.errors import ConfigError, DataError, PenchantError
from penchant.models.reward_scorer import RewardScorer
from penchant.serving.hosts import is_ip, is_loopback
from penchant.serving.lines import score_lines
from penchant.serving.plain_json import finite, parsed

# 64 MB of JSON: some ten thousand long answers. Beyond, a client should send parts.
MOST_BYTES = 64 * 1024 * 1024
# Connections at once: each holds a thread and its request in memory.
MOST_AT_ONCE = 64
# Seconds that a client may be silent within a request, and a connection between two.
PATIENCE = 30.0
_BUSY = b"HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class ScorerServer(ThreadingHTTPServer):
    """POST /score takes a row, a list of rows or {"rows": [...]}, and answers in the same form;
    GET / says what is served. Rows are those of `serving.lines`. Requests are scored one at a
    time, since one is faster by itself than two that share the cores.

    `port` 0 picks a free one, which `server_port` then tells. Only requests that address the
    server by a loopback name, by `host` or by one of `names` are answered (by any address of the
    machine where `host` is none of its own), and only those that declare JSON: a page in somebody's
    browser that was led here under another name gets nothing. Raises `ConfigError` where nothing
    can listen there.
    """

    daemon_threads = True
    request_queue_size = MOST_AT_ONCE

    def __init__(
        self,
        scorer: RewardScorer,
        host: str = "127.0.0.1",
        port: int = 8000,
        names: Iterable[str] = (),
    ) -> None:
        self.scorer = scorer
        self.turn = threading.Lock()
        self.places = threading.BoundedSemaphore(MOST_AT_ONCE)
        self.names = {"localhost", host.lower(), *(name.lower() for name in names)}
        self.is_private = is_loopback(host)
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            raise ConfigError(
                f"nothing can listen on {host} at port {port}: {error.strerror or error}. Choose "
                "another port (0 picks a free one), or an address of this machine."
            ) from error

    def score(self, asked: Any) -> Any:
        """What is answered to one request. Raises `PenchantError` for what cannot be scored."""
        rows = asked.get("rows", [asked]) if isinstance(asked, Mapping) else asked
        if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
            raise DataError("expected a row, a list of rows or {'rows': [...]}, each an object.")
        with self.turn:
            said = list(score_lines(self.scorer, rows))
        if isinstance(asked, list):
            return said
        return {"rows": said} if "rows" in asked else said[0]

    def about(self) -> dict[str, Any]:
        """What is served, for `GET /`."""
        encoder = self.scorer.encoder
        return {
            "serves": "rewards of texts",
            "embedding": told_shortly(encoder.embedding),
            "dimensions": len(encoder.weights),
            "attributes": list(encoder.attributes),
            "people": len(self.scorer.people),
        }

    def answers_to(self, authority: str) -> bool:
        """Whether a request's Host (name and port) is one of ours."""
        try:
            name = urlsplit(f"//{authority}").hostname or ""
        except ValueError:
            return False
        return name in self.names or is_loopback(name) or (not self.is_private and is_ip(name))

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread for the connection, unless too many are served already."""
        if not self.places.acquire(blocking=False):
            with contextlib.suppress(OSError):
                request.sendall(_BUSY)
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            # The thread that would give its place back did not start.
            self.places.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """The connection, in its thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.places.release()


class _Handler(BaseHTTPRequestHandler):
    server: ScorerServer
    protocol_version = "HTTP/1.1"
    server_version = "penchant"
    timeout = PATIENCE

    def do_GET(self) -> None:
        if not self._is_for_us():
            self._refuse(403, "the request names another host; expected this server's.")
        elif self.path.rstrip("/") in ("", "/health"):
            self._answer(200, self.server.about())
        else:
            self._answer(404, {"error": f"there is no {self.path}; POST rows to /score."})

    def do_POST(self) -> None:
        size = self.headers.get("Content-Length", "")
        kind = self.headers.get_content_type()
        if not self._is_for_us():
            self._refuse(403, "the request names another host; expected this server's.")
        elif self.path.rstrip("/") != "/score":
            self._refuse(404, f"there is no {self.path}; POST rows to /score.")
        elif kind != "application/json":
            self._refuse(415, f"the request says {kind}; expected Content-Type: application/json.")
        elif not (size.isascii() and size.isdigit()):
            self._refuse(411, "the request has no Content-Length; expected a number of bytes.")
        elif len(size) > len(str(MOST_BYTES)) or int(size) > MOST_BYTES:
            self._refuse(413, f"the request has {size[:20]} bytes; expected up to {MOST_BYTES}.")
        else:
            self._read_and_score(int(size))

    def _read_and_score(self, size: int) -> None:
        try:
            body = self.rfile.read(size)
        except TimeoutError:
            self._refuse(408, f"fewer than {size} bytes came, and then none for {PATIENCE:g} s.")
            return
        try:
            self._answer(200, self.server.score(parsed(body, "the body")))
        except PenchantError as error:
            self._answer(400, {"error": str(error)})
        except Exception as error:
            # The service must live; the client learns what went wrong, and so does the log.
            self.log_error("%s: %s", type(error).__name__, error)
            self._answer(500, {"error": f"{type(error).__name__}: {error}"})

    def _is_for_us(self) -> bool:
        """By its Host, and by its Origin where a browser sends one."""
        host, origin = self.headers.get("Host", ""), self.headers.get("Origin")
        return self.server.answers_to(host) and origin in (None, f"http://{host}")

    def _refuse(self, status: int, error: str) -> None:
        """An answer to a request whose body is not read: the connection ends with it."""
        self.close_connection = True
        self._answer(status, {"error": error})

    def _answer(self, status: int, document: Any) -> None:
        # Half of a pair of surrogates, which JSON may name, is no UTF-8: only ASCII holds it.
        body = json.dumps(finite(document), ensure_ascii=True, allow_nan=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Nothing on the screen for each request; errors are still told there."""
