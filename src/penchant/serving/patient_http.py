"""HTTP that waits for nobody: a connection whose request does not come is ended."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from penchant.serving.decision_app import WHOLE

# Seconds within which a request has to be whole, and bytes that its headers may have.
PATIENCE = 15.0
MOST_BYTES = 32 * 1024


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which itself waits for headers and bodies as long as a client likes."""

    patience = PATIENCE
    _deadline: asyncio.TimerHandle | None = None
    _is_in_head = True
    _is_whole = False
    _has_ended = False
    _num_bytes = 0

    # Transports are typed narrower in uvicorn than in asyncio.
    def connection_made(self, transport: Any) -> None:
        """From now on there is time to ask."""
        super().connection_made(transport)
        self._deadline = self.loop.call_later(self.patience, transport.close)

    def data_received(self, data: bytes) -> None:
        """A part of a request, mostly a whole one: then no clock is set at all."""
        self._has_ended = False
        super().data_received(data)
        if self._is_whole:
            self._stop()
            return
        # Bytes before a head that begins behind another request are not its own.
        if self._is_in_head and not self._has_ended:
            self._num_bytes += len(data)
        if self._num_bytes > MOST_BYTES:
            self.transport.close()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.patience, self.transport.close)

    def on_message_begin(self) -> None:
        """The first byte of a request was read."""
        self._is_in_head, self._is_whole = True, False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """What follows is a body, whose size the application bounds."""
        self._is_in_head, self._num_bytes = False, 0
        self.scope["extensions"] = {WHOLE: {"answer": self._answered_whole}}
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Now it is our turn."""
        self._is_whole = self._has_ended = True
        super().on_message_complete()

    def _answered_whole(self, status: int, kind: bytes, body: bytes) -> bool:
        """One write, whose headers are ours and need no look at each letter."""
        # Where no further request waits, this is the one that is answered.
        cycle = self.cycle
        is_plain = cycle.keep_alive and not cycle.disconnected and cycle.scope["method"] != "HEAD"
        if self.pipeline or self.flow.write_paused or not is_plain:
            return False
        parts = [STATUS_LINE[status]]
        for name, value in cycle.default_headers:
            parts += [name, b": ", value, b"\r\n"]
        parts.append(b"content-type: %b\r\ncontent-length: %d\r\n\r\n" % (kind, len(body)))
        parts.append(body)
        self.transport.write(b"".join(parts))
        cycle.response_started = cycle.response_complete = True
        cycle.message_event.set()
        cycle.on_response()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """The end."""
        self._stop()
        super().connection_lost(exc)

    def _stop(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
