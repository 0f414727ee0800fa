"""The HTTP scorer under what strangers send: always an answer, always JSON, never for a browser."""

import json
import socket
import threading

import numpy as np
import pyarrow as pa
import pytest

from penchant.data.records import Records
from penchant.encoders import text_embedding
from penchant.errors import ConfigError
from penchant.models.reward_model import RewardModel
from penchant.models.reward_scorer import RewardScorer
from penchant.serving import scorer_http
from penchant.serving.scorer_http import ScorerServer


@pytest.fixture(scope="module")
def scorer():
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((30, 3)).astype(np.float32)
    codes = rng.integers(0, 15, (60, 2)) + np.array([0, 15])
    gap = vectors[codes[:, 0], 0] - vectors[codes[:, 1], 0]
    lists = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 3)
    places = pa.array(codes.ravel().astype(np.int32))
    records = Records.from_arrays(
        options={
            "text": pa.DictionaryArray.from_arrays(places, pa.array([f"t{t}" for t in range(30)])),
            "embedding": pa.DictionaryArray.from_arrays(places, lists),
        },
        menu_sizes=np.full(60, 2),
        kind="pair",
        rows={"outcome": (gap < 0).astype(int)},
        extras=("embedding",),
    )
    return RewardScorer.of(RewardModel(personal=False).fit(records).belief_)


@pytest.fixture
def server(scorer):
    server = ScorerServer(scorer, port=0)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(5)


def send(server, body, *, size=None, **headers):
    """Status, headers and document of a request written by hand."""
    given = {
        "Host": f"127.0.0.1:{server.server_port}", "Content-Type": "application/json",
        "Content-Length": str(len(body)) if size is None else size, "Connection": "close",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }  # fmt: skip
    head = "".join(f"{name}: {value}\r\n" for name, value in given.items() if value is not None)
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=20) as line:
        line.sendall(f"POST /score HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body)
        said = b""
        while part := line.recv(65536):
            said += part
    head, _, document = said.partition(b"\r\n\r\n")
    return int(head.split()[1]), document


def strict(document):
    """JSON without NaN and infinities, which Python's reader lets pass."""

    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    return json.loads(document, parse_constant=refuse)


GOOD = b'{"text": "t1", "embedding": [1, 0, 0]}'


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"[" * 200_000, "nested too deep"),
        (b'{"text": ' + b"9" * 5_000 + b"}", "digits"),
        (b'{"text": "\\ud800", "embedding": [1, 0, 0]}', "half a pair of surrogates"),
        (b'{"text": "a", "prompt": "\\ud800", "embedding": [1, 0, 0]}', "row 1 has half a pair"),
        (b'{"\\ud800": "a"}', "row 1 has no 'text'"),
        (b'{"text": "a", "embedding": [1, 0, 1' + b"0" * 400 + b"]}", "not lists of numbers"),
        (b'{"rows": [' + GOOD + b', {"prompt": "q"}]}', "row 2 has no 'text'"),
        (b"\xff\xfe{}", "no JSON"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_a_400_with_its_reason(server, body, reason):
    status, document = send(server, body)
    assert status == 400
    assert reason in strict(document)["error"]
    assert send(server, GOOD)[0] == 200


@pytest.mark.parametrize("size", ["\u00b2", "-1", "", "1e3", None])
def test_a_length_that_is_no_number_is_answered(server, size):
    status, document = send(server, GOOD, size=size, **({} if size else {"Content_Length": size}))
    assert status == 411
    assert "Content-Length" in strict(document)["error"]


def test_a_length_of_thousands_of_digits_is_too_much(server):
    assert send(server, GOOD, size="9" * 5_000)[0] == 413


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_rewards_that_are_no_numbers_are_null(server):
    status, document = send(server, b'{"text": "a", "embedding": [1e30, -1e30, 1e30]}')
    assert status == 200
    said = strict(document)
    assert None in said.values()


def test_a_client_that_falls_silent_is_told_and_left(server, monkeypatch):
    monkeypatch.setattr(scorer_http._Handler, "timeout", 0.2)
    status, document = send(server, b"{}", size="50")
    assert status == 408
    assert "fewer than 50 bytes" in strict(document)["error"]


def test_a_page_that_was_led_here_under_another_name_gets_nothing(server):
    port = server.server_port
    for host in ("evil.example", f"evil.example:{port}", "10.0.0.7", "[", None):
        assert send(server, GOOD, Host=host)[0] == 403
    assert send(server, GOOD, Origin="http://evil.example")[0] == 403
    assert send(server, GOOD, Content_Type="text/plain")[0] == 415
    assert send(server, GOOD, Content_Type=None)[0] == 415
    for host in (f"localhost:{port}", "127.0.0.1", f"[::1]:{port}"):
        assert send(server, GOOD, Host=host)[0] == 200
    own = f"http://127.0.0.1:{port}"
    assert send(server, GOOD, Origin=own, Content_Type="application/json; charset=utf-8")[0] == 200


def test_a_server_for_others_answers_to_addresses_and_to_the_names_it_is_given(scorer):
    with ScorerServer(scorer, "0.0.0.0", 0, names=["Scorer"]) as server:
        assert server.answers_to("10.0.0.7:8000")
        assert server.answers_to("scorer:8000")
        assert not server.answers_to("evil.example:8000")


def test_more_connections_than_places_are_turned_away_and_places_come_back(server):
    for _ in range(scorer_http.MOST_AT_ONCE):
        server.places.acquire()
    assert send(server, GOOD)[0] == 503
    for _ in range(scorer_http.MOST_AT_ONCE):
        server.places.release()
    for _ in range(3):
        assert send(server, GOOD)[0] == 200


def test_a_port_that_is_taken_is_named(scorer, server):
    with pytest.raises(ConfigError, match=f"port {server.server_port}: Address already in use"):
        ScorerServer(scorer, port=server.server_port)


def test_a_belief_does_not_speak_of_the_folder_of_whoever_fitted_it():
    from penchant.beliefs.codec import from_plain, to_plain
    from penchant.encoders.text import TextEncoder

    for embedding in (
        text_embedding.TextEmbedding(model="m", cache="/home/ann/.cache"),
        TextEncoder(model="m", cache="/home/ann/.cache"),
    ):
        plain = to_plain(embedding, {})
        assert "ann" not in json.dumps(plain)
        assert from_plain(plain, {}) == type(embedding)(model="m")
        # An older version wrote it.
        plain["fields"]["cache"] = "/home/ann/.cache"
        assert from_plain(plain, {}).cache is None
