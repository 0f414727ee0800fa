"""The least that a server can do: parse the JSON of a rank, answer JSON of the same form.

Under the same uvicorn with the same loop and parser as the service, and with nothing else.
"""

import socket
import sys

import msgspec
import uvicorn

_decode, _encode = msgspec.json.Decoder().decode, msgspec.json.encode


async def bare(scope, receive, send):
    if scope["type"] != "http":
        return
    parts, more = [], scope["method"] == "POST"
    while more:
        message = await receive()
        parts.append(message["body"])
        more = message.get("more_body", False)
    asked = _decode(b"".join(parts)) if parts else {"event_id": "", "options": []}
    ids = [option["id"] for option in asked.get("options", [])]
    body = _encode({
        "event_id": asked["event_id"], "ranking": ids[:1],
        "probabilities": dict.fromkeys(ids, 1 / len(ids)) if ids else {}, "model": "bare",
        "belief": 0,
    })  # fmt: skip
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    held = socket.create_server(("127.0.0.1", 0))
    print(f"bare on 127.0.0.1:{held.getsockname()[1]}", file=sys.stderr, flush=True)
    config = uvicorn.Config(bare, access_log=False, lifespan="off", ws="none", log_level="warning",
                            interface="asgi3", server_header=False)  # fmt: skip
    uvicorn.Server(config).run(sockets=[held])
