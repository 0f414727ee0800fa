"""Clients of a decision service, as many at once as asked for, on raw sockets.

    python benchmarks/service_load.py PORT rank|pair NUMBER CLIENTS

Prints how long they waited (milliseconds, of a rank, or of a rank and its feedback), how many were
answered in a second, and the CPU microseconds of this process itself for each.
"""

import asyncio
import contextlib
import json
import sys
import time
import uuid

import numpy as np

_MARK = b"0" * 32
_KINDS = 64


def requests() -> list[bytes]:
    """Bodies of 20 options with 20 features, 3 of the context; the event's name is put in later."""
    rng = np.random.default_rng(0)
    found = []
    for number in range(_KINDS):
        options = [
            {"id": f"option {k}", "features": {f"f{j}": round(float(x), 4) for j, x in
                                               enumerate(rng.normal(size=20))}}
            for k in range(20)
        ]  # fmt: skip
        context = {name: round(float(rng.normal()), 4) for name in ("hour", "age", "speed")}
        body = json.dumps({"event_id": _MARK.decode(), "person": f"person {number}",
                           "context": context, "options": options})  # fmt: skip
        found.append(whole("/v1/rank", body.encode()))
    return found


def whole(path: str, body: bytes) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> bytes:
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    size = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
    body = await reader.readexactly(size)
    assert head.startswith(b"HTTP/1.1 200"), body
    return body


async def client(port: int, kind: str, bodies: list[bytes], left: list[int], waited: list) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while left[0] > 0:
        left[0] -= 1
        event = uuid.uuid4().hex.encode()
        request = bodies[left[0] % _KINDS].replace(_MARK, event)
        began = time.perf_counter()
        answer = await ask(reader, writer, request)
        if kind == "pair":
            value = float(answer[-3] % 2)
            body = b'{"event_id":"%s","kind":"reward","value":%f}' % (event, value)
            await ask(reader, writer, whole("/v1/feedback", body))
        waited.append(time.perf_counter() - began)
    writer.close()


async def main(port: int, kind: str, number: int, clients: int) -> dict[str, float]:
    waited: list[float] = []
    left, bodies = [number], requests()
    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(client(port, kind, bodies, left, waited) for _ in range(clients)))
    seconds = time.perf_counter() - began
    ms = 1e3 * np.array(waited)
    return {
        "median_ms": round(float(np.median(ms)), 3),
        "p99_ms": round(float(np.quantile(ms, 0.99)), 3),
        "per_second": round(number / seconds, 1),
        "load_cpu_us": round((time.process_time() - cpu) / number * 1e6, 1),
    }  # fmt: skip


if __name__ == "__main__":
    port, kind, number, clients = sys.argv[1:5]
    with contextlib.suppress(ImportError):
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    print(json.dumps(asyncio.run(main(int(port), kind, int(number), int(clients)))))
