"""Connections whose headers do not come are ended, those that ask are not."""

import asyncio

import pytest

pytest.importorskip("uvicorn")
pytest.importorskip("httptools")

import uvicorn

from penchant.serving.patient_http import MOST_BYTES, PatientProtocol

REQUEST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"


async def echo(scope, receive, send):
    message = await receive()
    body = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    if message["type"] == "http.disconnect":
        return
    await asyncio.sleep(0.3 if scope["path"] == "/slow" else 0.0)
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-length", str(len(body)).encode())]})  # fmt: skip
    await send({"type": "http.response.body", "body": body})


class Impatient(PatientProtocol):
    patience = 0.15


def served(test):
    async def run():
        server = uvicorn.Server(uvicorn.Config(
            echo, port=0, http=Impatient, ws="none", lifespan="off", log_level="critical"
        ))  # fmt: skip
        task = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        try:
            await test(lambda: asyncio.open_connection("127.0.0.1", port))
        finally:
            server.should_exit = True
            await task

    asyncio.run(run())


async def answer(reader):
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 2)
    assert head.startswith(b"HTTP/1.1 200")
    return await reader.readexactly(2)


@pytest.mark.parametrize(
    "head", [b"", b"POST / HTT", b"POST / HTTP/1.1\r\nHost: x\r\n", REQUEST[:-1]]
)
def test_half_a_request_is_ended(head):
    async def test(connect):
        reader, writer = await connect()
        writer.write(head)
        assert await asyncio.wait_for(reader.read(), 2) == b""
        writer.close()

    served(test)


def test_half_a_request_after_a_whole_one_is_ended_too():
    async def test(connect):
        reader, writer = await connect()
        writer.write(REQUEST)
        assert await answer(reader) == b"hi"
        writer.write(REQUEST[:20])
        assert await asyncio.wait_for(reader.read(), 2) == b""
        writer.close()

    served(test)


def test_a_slow_answer_and_a_pause_between_requests_end_nothing():
    async def test(connect):
        reader, writer = await connect()
        writer.write(REQUEST.replace(b"/ ", b"/slow "))
        assert await answer(reader) == b"hi"
        await asyncio.sleep(0.3)
        for part in (REQUEST[:10], REQUEST[10:30], REQUEST[30:]):
            writer.write(part)
            await asyncio.sleep(0.03)
        assert await answer(reader) == b"hi"
        writer.close()

    served(test)


def test_headers_without_end_are_ended():
    async def test(connect):
        reader, writer = await connect()
        writer.write(b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * (MOST_BYTES + 10))
        with pytest.raises((ConnectionError, AssertionError)):
            assert await asyncio.wait_for(reader.read(), 2) == b"never"
        writer.close()

    served(test)
