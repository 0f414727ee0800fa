"""A server of completions played here by a small model: tokens in and out, versions, refusals."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from penchant.errors import ConfigError, EndpointError
from penchant.lm.folder import load_language_model
from penchant.lm.log_probs import log_probs
from penchant.lm.remote import Endpoint
from penchant.lm.remote_sampling import ServerSampler
from penchant.lm.sample import SampleConfig, sample
from penchant.lm.tokens import padded

torch = pytest.importorskip("torch")

from dataclasses import replace  # noqa: E402

from lm.tiny_models import tiny  # noqa: E402  # it needs torch


class Server(ThreadingHTTPServer):
    """Draws as `model` does, in the words of vLLM; `twist` changes an answer before it leaves."""

    def __init__(self, model):
        self.model, self.seen, self.twist, self.version = model, [], lambda said: said, "0"
        super().__init__(("127.0.0.1", 0), Handler)

    def completed(self, asked):
        drawn = sample(
            self.model, [asked["prompt"]],
            SampleConfig(most_tokens=asked["max_tokens"], temperature=asked["temperature"]),
            torch.Generator().manual_seed(asked["seed"]), copies=asked["n"],
        )  # fmt: skip
        choices = []
        for row, real in enumerate(drawn.is_text):
            ids = drawn.ids[row][real].tolist()
            choices.append({
                "index": row, "text": self.model.tokenizer.decode(ids), "token_ids": ids,
                "prompt_token_ids": asked["prompt"],
                "logprobs": {"token_logprobs": drawn.log_prob[row][real].tolist()},
                "finish_reason": "stop" if drawn.has_ended[row] else "length",
            })  # fmt: skip
        return {"choices": choices[::-1], "weight_version": self.version}


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append((self.path, asked))
        if self.path == "/update_weights_from_disk":
            self.server.model = load_language_model(asked["model_path"])
            self.server.version = asked["weight_version"]
            said = {"success": True}
        else:
            said = self.server.twist(self.server.completed(asked))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(said).encode())


@pytest.fixture
def server():
    with Server(tiny(dtype=torch.float32)) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def served(server, model=None, **settings):
    """The model with its new tokens from the server."""
    endpoint = Endpoint(url=f"http://127.0.0.1:{server.server_port}/v1", model="m", timeout=5.0,
                        retries=0)  # fmt: skip
    return replace(
        model or tiny(dtype=torch.float32), sampler=ServerSampler(endpoint=endpoint, **settings)
    )


PROMPTS = [[1, 70, 71], [1, 72]]


def drawn_from(model, most=6, copies=3, seed=0):
    return sample(model, PROMPTS, SampleConfig(most_tokens=most),
                  torch.Generator().manual_seed(seed), copies=copies)  # fmt: skip


def test_tokens_come_back_as_they_were_drawn_with_what_the_model_says_of_them(server):
    model = served(server)
    found = drawn_from(model)
    assert found.ids.shape[0] == 6
    assert found.entropy.isnan().all()
    for row, prompt in enumerate([PROMPTS[0]] * 3 + [PROMPTS[1]] * 3):
        ids = found.ids[row][found.is_text[row]].tolist()
        told = log_probs(model, padded([[*prompt, *ids]], 0)).log_prob[0, len(prompt) - 1 :]
        np.testing.assert_allclose(found.log_prob[row][found.is_text[row]], told, atol=1e-5)
        assert bool(found.has_ended[row]) == (ids[-1] == 2)
    # Every token of these was drawn: bytes that are no text would not survive being decoded.
    assert any(token > 130 for token in found.ids.flatten().tolist())
    assert sorted(asked["prompt"] for _, asked in server.seen) == PROMPTS
    assert {path for path, _ in server.seen} == {"/v1/completions"}
    again = drawn_from(served(server))
    assert torch.equal(again.ids, found.ids)
    assert not torch.equal(drawn_from(served(server), seed=1).ids, found.ids)


def test_answers_stand_in_the_order_of_their_numbers_whatever_order_they_come_in(server):
    told = {}

    def twist(said):
        for one in said["choices"]:
            told[tuple(one["prompt_token_ids"]), one["index"]] = one["token_ids"]
        return said

    server.twist = twist
    found = drawn_from(served(server))
    rows = [found.ids[row][found.is_text[row]].tolist() for row in range(6)]
    assert rows == [told[tuple(prompt), index] for prompt in PROMPTS for index in range(3)]
    assert rows[0] != rows[2]


def test_each_row_has_so_many_copies_as_are_asked_of_it(server):
    model = served(server)
    generator = torch.Generator().manual_seed(0)
    found = model.sampler(model, PROMPTS, SampleConfig(most_tokens=3), generator, [1, 2])
    assert len(found.ids) == 3
    assert sorted(asked["n"] for _, asked in server.seen) == [1, 2]


def test_the_version_of_the_weights_is_the_servers_own_or_what_is_known_of_it(server):
    server.version = "7"
    assert drawn_from(served(server)).version.tolist() == [7] * 6
    server.version = None
    assert drawn_from(served(server, version=4)).version.tolist() == [4] * 6
    server.version = "default"
    assert drawn_from(served(server, version=5)).version.tolist() == [5] * 6


def test_a_server_that_sees_the_folder_draws_from_the_policy_as_it_is_now(server, tmp_path):
    model = served(server, weights=tmp_path)
    drawn_from(model)
    drawn_from(model)
    loads = [asked for path, asked in server.seen if path == "/update_weights_from_disk"]
    assert [asked["weight_version"] for asked in loads] == ["0"]
    moved = model.with_parameters({n: 1.1 * v for n, v in model.parameters.items()})
    found = drawn_from(moved)
    assert found.version.tolist() == [1] * 6
    ids = found.ids[0][found.is_text[0]].tolist()
    told = log_probs(moved, padded([[*PROMPTS[0], *ids]], 0)).log_prob[0, 2:]
    np.testing.assert_allclose(found.log_prob[0][found.is_text[0]], told, atol=1e-5)
    before = log_probs(model, padded([[*PROMPTS[0], *ids]], 0)).log_prob[0, 2:]
    assert (told - before).abs().max() > 0.01


def without(*names):
    def twist(said):
        for choice in said["choices"]:
            for name in names:
                del choice[name]
        return said

    return twist


def changed(**values):
    def twist(said):
        for choice in said["choices"]:
            choice.update(values)
        return said

    return twist


@pytest.mark.parametrize(
    ("twist", "words"),
    [
        (without("token_ids"), "without token_ids; expected the tokens that were drawn"),
        (without("logprobs"), "without logprobs.token_logprobs"),
        (without("token_ids", "logprobs"), "without token_ids and logprobs.token_logprobs"),
        (changed(prompt_token_ids=[1, 1]), "begin token, or cut"),
        (changed(token_ids=[5, 6]), "as many of each"),
        (changed(token_ids=[5], logprobs={"token_logprobs": [0.3]}), "above 0"),
        (changed(token_ids=[5], logprobs={"token_logprobs": [None]}), "missing"),
        (changed(token_ids=[5], logprobs={"token_logprobs": [-1.0]}, finish_reason="stop"),
         "not at the model's end token 2"),
        (lambda said: {"choices": []}, "3 choices"),
        (lambda said: {"object": "error"}, "server of completions"),
    ],
)  # fmt: skip
def test_a_server_that_does_not_say_what_it_drew_is_refused(server, twist, words):
    server.twist = twist
    with pytest.raises(EndpointError, match=words):
        drawn_from(served(server))


def test_sampling_that_its_log_probabilities_may_not_heed_is_refused(server):
    warm = SampleConfig(most_tokens=3, temperature=0.7)
    generator = torch.Generator().manual_seed(0)
    with pytest.raises(ConfigError, match="bare logits"):
        sample(served(server), PROMPTS, warm, generator)
    found = sample(served(server, heeds_sampling=True), PROMPTS, warm, generator)
    assert (found.log_prob <= 0).all()


def test_a_server_that_cannot_load_the_weights_is_told(server, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "penchant.lm.remote_sampling.asked", lambda *parts: {"success": False, "message": "no"}
    )
    with pytest.raises(EndpointError, match="does the server see that folder"):
        drawn_from(served(server, weights=tmp_path))
