"""A server of embeddings in OpenAI's form, played here: order, retries, keys, refusals."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from penchant.beliefs.codec import from_plain, to_plain
from penchant.data.records import Records
from penchant.encoders.text_embedding import EndpointEmbedding
from penchant.errors import ConfigError, DataError, EndpointError
from penchant.lm.remote import Endpoint, embeddings


def numbers(text):
    return [float(len(text)), float(sum(text.encode()) % 97), 1.0]


class Server(ThreadingHTTPServer):
    """Answers with `numbers` in the wrong order; `plans` are answers to give before that."""

    def __init__(self):
        self.seen, self.plans = [], []
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append((self.path, dict(self.headers), asked))
        if self.server.plans:
            code, headers, body = self.server.plans.pop(0)
        else:
            data = [{"index": i, "embedding": numbers(t)} for i, t in enumerate(asked["input"])]
            code, headers, body = 200, {}, json.dumps({"data": data[::-1]})
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())


@pytest.fixture
def server(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def at(server, **changes):
    return Endpoint(
        url=f"http://127.0.0.1:{server.server_port}/v1", model="m", **{"timeout": 5.0} | changes
    )


def test_every_text_gets_its_own_numbers_however_they_are_batched(server):
    texts = [f"text {'x' * k}" for k in range(11)] + [""]
    for size in (1, 4, 100):
        found = embeddings(at(server, batch_size=size), texts)
        np.testing.assert_array_equal(found, [numbers(text or " ") for text in texts])
    assert {len(asked["input"]) for _, _, asked in server.seen[:12]} == {1}
    path, _, asked = server.seen[-1]
    assert path == "/v1/embeddings"
    assert (asked["model"], len(asked["input"])) == ("m", 12)
    assert embeddings(at(server), []).shape == (0, 0)


def test_what_may_pass_is_tried_again_and_waits_are_as_long_as_told(server):
    waits = []
    server.plans = [(503, {}, "busy"), (429, {"Retry-After": "7"}, "slow down"), (200, {}, "half{")]
    found = embeddings(at(server), ["a"], sleep=waits.append)
    assert found.tolist() == [numbers("a")]
    assert waits == [1.0, 7.0, 4.0]
    server.plans = [(500, {}, "gone")] * 9
    with pytest.raises(EndpointError, match=r"in 3 tries of 5 s: 500 .*gone"):
        embeddings(at(server, retries=2), ["a"], sleep=waits.append)
    assert len(server.plans) == 6


def test_what_will_not_pass_is_said_at_once(server):
    server.plans = [(401, {}, "no such key")]
    with pytest.raises(EndpointError, match=r"401 .*no such key.*OPENAI_API_KEY"):
        embeddings(at(server), ["a"], sleep=lambda _: pytest.fail("waited"))


@pytest.mark.parametrize("body", [
    '{"data": []}', '{"error": "x"}', '[]',
    '{"data": [{"index": 0, "embedding": [1, NaN]}]}',
    '{"data": [{"index": 0, "embedding": 1}]}',
])  # fmt: skip
def test_an_answer_of_another_form_is_no_number(server, body):
    server.plans = [(200, {}, body)]
    with pytest.raises(EndpointError, match="expected"):
        embeddings(at(server), ["a"])


def test_the_key_goes_to_this_server_alone(server, monkeypatch):
    monkeypatch.setenv("MY_KEY", "secret")
    embeddings(at(server, key_variable="MY_KEY"), ["a"])
    assert server.seen[-1][1]["Authorization"] == "Bearer secret"
    embeddings(at(server), ["a"])
    assert "Authorization" not in server.seen[-1][1]
    elsewhere = f"http://localhost:{server.server_port}/other"
    server.plans = [(307, {"Location": elsewhere}, ""), (302, {"Location": elsewhere}, "")]
    for _ in range(2):
        with pytest.raises(EndpointError, match=r"30[27]"):
            embeddings(at(server, key_variable="MY_KEY"), ["a"])
    assert all(path == "/v1/embeddings" for path, _, _ in server.seen)
    with pytest.raises(ConfigError, match="for all to read"):
        Endpoint(url="http://example.org/v1", model="m", key_variable="MY_KEY").headers()
    assert "secret" not in repr(Endpoint(url="https://example.org/v1", model="m"))


def test_a_saved_model_names_no_key_and_gets_one_for_the_users_own_server_alone(
    server, monkeypatch
):
    mine = at(server, key_variable="MY_KEY")
    arrays = {}
    loaded = from_plain(to_plain(EndpointEmbedding(endpoint=mine), arrays), arrays).endpoint
    assert (loaded.url, loaded.model, loaded.key_variable) == (mine.url, "m", None)
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    assert "Authorization" not in loaded.headers()
    monkeypatch.setenv("OPENAI_BASE_URL", "https://example.org/v1")
    assert "Authorization" not in loaded.headers()
    monkeypatch.setenv("OPENAI_BASE_URL", f"{mine.url}/")
    assert loaded.headers()["Authorization"] == "Bearer secret"


@pytest.mark.parametrize("length", [3, 10_000])
def test_an_answer_that_breaks_off_is_asked_for_again(server, length):
    whole = json.dumps({"data": [{"index": 0, "embedding": [1.0]}]})
    server.plans = [(200, {"Content-Length": str(length)}, whole)]
    assert embeddings(at(server), ["a"], sleep=lambda _: None).tolist() == [numbers("a")]


def test_too_few_or_uneven_embeddings_are_told_with_their_numbers(server):
    for data, words in (
        ([{"index": 0, "embedding": [1.0, 2.0]}], r"1 embeddings of \[2\] numbers for 2 texts"),
        ([{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0, 2.0]}],
         r"2 embeddings of \[1, 2\] numbers for 2 texts"),
    ):  # fmt: skip
        server.plans = [(200, {}, json.dumps({"data": data}))]
        with pytest.raises(EndpointError, match=words):
            embeddings(at(server), ["a", "b"])


def test_a_model_that_changed_behind_its_name_is_not_mixed_with_what_was_kept(server, tmp_path):
    embedding = EndpointEmbedding(endpoint=at(server), cache=str(tmp_path))
    embedding.embed(pairs(["yes", "no"]))
    server.plans = [(200, {}, json.dumps({"data": [
        {"index": k, "embedding": [1.0, 2.0]} for k in range(2)]}))]  # fmt: skip
    with pytest.raises(DataError, match="2 numbers for some texts and 3 for others"):
        embedding.embed(pairs(["yes", "no", "perhaps", "never"]))


@pytest.mark.parametrize("key", ["sec\nret", "sec\u00fcret", "sec\u2019ret"])
def test_a_key_that_cannot_be_sent_is_said_without_telling_it(server, monkeypatch, key):
    monkeypatch.setenv("MY_KEY", key)
    with pytest.raises(ConfigError, match="MY_KEY holds characters") as told:
        embeddings(at(server, key_variable="MY_KEY"), ["a"])
    assert "sec" not in str(told.value)
    monkeypatch.setenv("MY_KEY", "secret\n")
    embeddings(at(server, key_variable="MY_KEY"), ["a"])
    assert server.seen[-1][1]["Authorization"] == "Bearer secret"


def test_no_proxy_hears_what_is_for_this_machine(server, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert embeddings(at(server, retries=0), ["a"]).tolist() == [numbers("a")]


def test_no_server_is_said_after_the_last_try(server):
    gone = at(server, retries=1)
    server.shutdown()
    server.server_close()
    with pytest.raises(EndpointError, match="in 2 tries"):
        embeddings(gone, ["a"], sleep=lambda _: None)


def test_settings_that_cannot_be_are_refused():
    for url in ("localhost:80", "ftp://x/v1", "http://x/v1?key=1", "", "http://x:y/v1",
                "http://[::1/v1", "http://x/v 1", "http://x/v1#a"):  # fmt: skip
        with pytest.raises(ConfigError, match="got the address"):
            Endpoint(url=url, model="m")
    with pytest.raises(ConfigError, match="with a name or password") as told:
        Endpoint(url="https://me:secret@x/v1", model="m")
    assert "secret" not in str(told.value)
    with pytest.raises(ConfigError, match="batch_size=0"):
        Endpoint(url="http://x/v1", model="m", batch_size=0)


def pairs(texts):
    import pyarrow as pa

    return Records(
        rows=pa.table({"kind": ["pair"] * (len(texts) // 2),
                       "outcome": [0] * (len(texts) // 2),
                       "prompt": ["say"] * (len(texts) // 2)}),
        options=pa.table({"text": texts}),
        offsets=np.arange(0, len(texts) + 1, 2),
    ).normalised()  # fmt: skip


def test_an_embedding_by_a_server_is_asked_for_once(server, tmp_path):
    embedding = EndpointEmbedding(endpoint=at(server), cache=str(tmp_path))
    found = embedding.embed(pairs(["yes", "no", "no", "maybe"]))
    assert set(found.texts) == {"maybe", "no", "yes"}
    wanted = [numbers(f"say\n\n{text}") for text in found.texts]
    np.testing.assert_array_equal(found.vectors, wanted)
    asked = len(server.seen)
    np.testing.assert_array_equal(
        embedding.embed(pairs(["yes", "no", "no", "maybe"])).vectors, found.vectors
    )
    assert len(server.seen) == asked
    other = EndpointEmbedding(endpoint=Endpoint(url=at(server).url, model="n"), cache=str(tmp_path))
    other.embed(pairs(["yes", "no"]))
    assert len(server.seen) == asked + 1


def test_what_was_answered_before_a_server_fell_silent_is_kept(server, tmp_path):
    endpoint = at(server, batch_size=1, parallel=1, retries=0)
    embedding = EndpointEmbedding(endpoint=endpoint, cache=str(tmp_path))
    answered = '{"data": [{"index": 0, "embedding": [1, 2, 3]}]}'
    server.plans = [(200, {}, answered), (200, {}, answered), (500, {}, "gone")]
    with pytest.raises(EndpointError, match="run again to go on"):
        embedding.embed(pairs(["yes", "no", "no", "maybe"]))
    embedding.embed(pairs(["yes", "no", "no", "maybe"]))
    assert len(server.seen) == 4
