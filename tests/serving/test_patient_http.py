"""Connections whose headers do not come are ended, those that ask are not."""

import asyncio

import pytest

pytest.importorskip("uvicorn")
pytest.importorskip("httptools")

import uvicorn

from penchant.serving.decision_app import WHOLE
from penchant.serving.patient_http import MOST_BYTES, PatientProtocol

REQUEST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"


async def echo(scope, receive, send):
    """Echoes the body, under /whole in one piece where the server can; /slow takes its time."""
    message = await receive()
    body = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    if message["type"] == "http.disconnect":
        return
    await asyncio.sleep(0.3 if scope["path"].endswith("/slow") else 0.0)
    if scope["path"].startswith("/whole"):
        was_whole.append(scope["extensions"][WHOLE]["answer"](200, b"text/plain", body))
        if was_whole[-1]:
            return
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-length", str(len(body)).encode())]})  # fmt: skip
    await send({"type": "http.response.body", "body": body})


was_whole = []


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


def test_a_long_body_is_not_counted_to_the_headers_that_come_behind_it():
    body = b"y" * (MOST_BYTES + 10)
    long = REQUEST.replace(b"Length: 2", b"Length: %d" % len(body)).replace(b"hi", body)

    async def test(connect):
        reader, writer = await connect()
        writer.write(long + REQUEST[:30])
        await asyncio.sleep(0.05)
        writer.write(REQUEST[30:])
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 2)
        assert head.startswith(b"HTTP/1.1 200")
        assert await reader.readexactly(len(body)) == body
        assert await answer(reader) == b"hi"
        writer.close()

    served(test)


WHOLE_REQUEST = REQUEST.replace(b"/ ", b"/whole ")


def test_a_whole_answer_is_an_answer_and_the_connection_lives_on():
    async def test(connect):
        reader, writer = await connect()
        was_whole.clear()
        for _ in range(3):
            writer.write(WHOLE_REQUEST)
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 2)
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n" in head
            assert head.count(b"\r\ndate: ") == 1
            assert await reader.readexactly(2) == b"hi"
            await asyncio.sleep(0.2)
        assert was_whole == [True] * 3
        writer.close()

    served(test)


def test_requests_that_came_together_are_answered_in_their_order():
    async def test(connect):
        reader, writer = await connect()
        was_whole.clear()
        slow = WHOLE_REQUEST.replace(b"/whole", b"/whole/slow")
        bodies = [b"ab", b"cd", b"ef", b"gh"]
        for path, body in zip((slow, WHOLE_REQUEST, slow, WHOLE_REQUEST), bodies):
            writer.write(path.replace(b"hi", body))
        assert [await answer(reader) for _ in bodies] == bodies
        # Who had others behind them were answered piece by piece.
        assert was_whole == [False] * 3 + [True]
        writer.close()

    served(test)


@pytest.mark.parametrize(
    ("request_", "body"),
    [
        (WHOLE_REQUEST.replace(b"Host", b"Connection: close\r\nHost"), b"hi"),
        (WHOLE_REQUEST.replace(b"HTTP/1.1", b"HTTP/1.0"), b"hi"),
        (b"HEAD /whole HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b""),
    ],
)
def test_answers_without_a_body_and_those_that_end_a_connection_are_left_to_the_server(
    request_, body
):
    async def test(connect):
        reader, writer = await connect()
        was_whole.clear()
        writer.write(request_)
        said = await asyncio.wait_for(reader.read(), 2)
        assert said.startswith(b"HTTP/1.1 200")
        assert said.partition(b"\r\n\r\n")[2] == body
        assert was_whole == [False]
        writer.close()

    served(test)


def test_behind_an_answer_to_head_the_next_one_begins_where_it_should():
    async def test(connect):
        reader, writer = await connect()
        was_whole.clear()
        # It tells the length of a body that does not follow.
        writer.write(WHOLE_REQUEST.replace(b"POST", b"HEAD"))
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 2)
        assert b"content-length: 2" in head
        writer.write(WHOLE_REQUEST)
        assert await answer(reader) == b"hi"
        assert was_whole == [False, True]
        writer.close()

    served(test)


def test_whoever_left_is_not_answered():
    async def test(connect):
        _, writer = await connect()
        was_whole.clear()
        writer.write(WHOLE_REQUEST.replace(b"/whole", b"/whole/slow"))
        await asyncio.sleep(0.05)
        writer.transport.abort()
        await asyncio.sleep(0.5)
        assert was_whole == [False]

    served(test)
