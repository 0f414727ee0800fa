"""Rewards over HTTP with nothing but the standard library: JSON in, JSON out, one text or many."""

import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from penchant.errors import PenchantError
from penchant.models.reward_scorer import RewardScorer
from penchant.serving.lines import score_lines

# 64 MB of JSON: some ten thousand long answers. Beyond, a client should send parts.
MOST_BYTES = 64 * 1024 * 1024


class ScorerServer(ThreadingHTTPServer):
    """POST /score takes a row, a list of rows or {"rows": [...]}, and answers in the same form;
    GET / says what is served. Rows are those of `serving.lines`. Requests are scored one at a
    time, since one is faster by itself than two that share the cores.

    `port` 0 picks a free one, which `server_port` then tells.
    """

    daemon_threads = True

    def __init__(self, scorer: RewardScorer, host: str = "127.0.0.1", port: int = 8000) -> None:
        self.scorer = scorer
        self.turn = threading.Lock()
        super().__init__((host, port), _Handler)

    def score(self, asked: Any) -> Any:
        """What is answered to one request. Raises `PenchantError` for what cannot be scored."""
        rows = asked.get("rows", [asked]) if isinstance(asked, Mapping) else asked
        if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
            raise _Refused("expected a row, a list of rows or {'rows': [...]}, each an object.")
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
            "embedding": str(encoder.embedding),
            "dimensions": len(encoder.weights),
            "attributes": list(encoder.attributes),
            "people": len(self.scorer.people),
        }


class _Refused(PenchantError, ValueError):
    """A request that is no list of rows."""


class _Handler(BaseHTTPRequestHandler):
    server: ScorerServer
    protocol_version = "HTTP/1.1"
    server_version = "penchant"

    def do_GET(self) -> None:
        if self.path.rstrip("/") in ("", "/health"):
            self._answer(200, self.server.about())
        else:
            self._answer(404, {"error": f"there is no {self.path}; POST rows to /score."})

    def do_POST(self) -> None:
        size = self.headers.get("Content-Length")
        if self.path.rstrip("/") != "/score":
            self._refuse(404, f"there is no {self.path}; POST rows to /score.")
        elif size is None or not size.isdigit():
            self._refuse(411, "the request has no Content-Length; expected one.")
        elif int(size) > MOST_BYTES:
            self._refuse(413, f"the request has {size} bytes; expected at most {MOST_BYTES}.")
        else:
            self._score(self.rfile.read(int(size)))

    def _score(self, body: bytes) -> None:
        try:
            self._answer(200, self.server.score(json.loads(body)))
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            self._answer(400, {"error": f"the body is no JSON: {error}."})
        except PenchantError as error:
            self._answer(400, {"error": str(error)})
        except Exception as error:
            # The service must live; the client learns what went wrong, and so does the log.
            self.log_error("%s: %s", type(error).__name__, error)
            self._answer(500, {"error": f"{type(error).__name__}: {error}"})

    def _refuse(self, status: int, error: str) -> None:
        """An answer to a request whose body is not read: the connection ends with it."""
        self.close_connection = True
        self._answer(status, {"error": error})

    def _answer(self, status: int, document: Any) -> None:
        body = json.dumps(document, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Nothing on the screen for each request; errors are still told there."""
