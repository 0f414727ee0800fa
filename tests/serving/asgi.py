"""An ASGI application called without a server."""

import asyncio
import contextlib
import json


@contextlib.asynccontextmanager
async def living(app):
    """The application between its start and its end."""
    inbox, outbox = asyncio.Queue(), asyncio.Queue()
    task = asyncio.create_task(app({"type": "lifespan"}, inbox.get, outbox.put))
    await inbox.put({"type": "lifespan.startup"})
    started = await outbox.get()
    assert started["type"] == "lifespan.startup.complete", started
    yield Caller(app)
    await inbox.put({"type": "lifespan.shutdown"})
    assert (await outbox.get())["type"] == "lifespan.shutdown.complete"
    await task


class Caller:
    """Asks an application; `key` is sent with every request."""

    def __init__(self, app, key=None):
        self.app, self.key = app, key

    async def __call__(self, method, path, body=None, *, parts=None, **headers):
        """Status and document. body: JSON, or bytes as they are; parts: a body in pieces."""
        if parts is None:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            parts = [content if body is not None else b""]
            headers = {"content-length": str(len(parts[0]))} | headers
        told = {"host": "localhost:8000", "content-type": "application/json"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        if self.key:
            told.setdefault("authorization", f"Bearer {self.key}")
        scope = {
            "type": "http", "method": method, "path": path, "raw_path": path.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in told.items()],
        }  # fmt: skip
        messages = iter([
            {"type": "http.request", "body": part, "more_body": at < len(parts) - 1}
            for at, part in enumerate(parts)
        ])  # fmt: skip
        sent = []

        async def receive():
            message = next(messages, None)
            if message is None or message["body"] is None:
                await asyncio.sleep(3600)
            return message

        async def send(message):
            sent.append(message)

        await self.app(scope, receive, send)
        assert sent[0]["status"] < 500 or sent[0]["status"] == 503, sent
        body = sent[1]["body"]
        is_json = dict(sent[0]["headers"])[b"content-type"] == b"application/json"
        return sent[0]["status"], json.loads(body) if is_json else body.decode()
