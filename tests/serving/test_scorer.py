"""A fitted reward model as a function: rewards, margins, JSON weights, and the trainers' forms."""

import json
import threading
import urllib.error
import urllib.request

import numpy as np
import pyarrow as pa
import pytest

from penchant.data.records import Records
from penchant.encoders.text_attributes import text_attributes
from penchant.errors import BeliefError, ConfigError, DataError
from penchant.models.bradley_terry import BradleyTerry
from penchant.models.reward_model import RewardModel
from penchant.models.reward_scorer import RewardScorer, Texts
from penchant.serving import trainers
from penchant.serving.json_weights import json_weights
from penchant.serving.lines import Names, score_lines
from penchant.serving.scorer_http import ScorerServer
from penchant.serving.trainers import compute_score, trl_reward, verl_score

DIMENSIONS, TEXTS = 4, 40
RNG = np.random.default_rng(0)
VECTORS = RNG.standard_normal((TEXTS, DIMENSIONS)).astype(np.float32)
WORDS = [f"text {'so ' * (t % 9)}{t}" for t in range(TEXTS)]


def judged(num_people=40, per_person=40):
    """p0 to p9 like long texts much, everybody likes the first dimension."""
    person = np.repeat(np.arange(num_people), per_person)
    first = RNG.integers(0, TEXTS, len(person))
    second = (first + RNG.integers(1, TEXTS, len(person))) % TEXTS
    length = np.log1p([len(text.split()) for text in WORDS])
    likes = np.where(person < 10, 3.0, -1.0)
    gap = 1.5 * (VECTORS[first, 0] - VECTORS[second, 0]) + likes * (length[first] - length[second])
    outcome = (RNG.random(len(gap)) > 1 / (1 + np.exp(-gap))).astype(int)
    codes = pa.array(np.column_stack([first, second]).ravel().astype(np.int32))
    lists = pa.FixedSizeListArray.from_arrays(pa.array(VECTORS.ravel()), DIMENSIONS)
    return Records.from_arrays(
        options={
            "text": pa.DictionaryArray.from_arrays(codes, pa.array(WORDS)),
            "embedding": pa.DictionaryArray.from_arrays(codes, lists),
        },
        menu_sizes=np.full(len(person), 2),
        kind="pair",
        rows={"person": [f"p{p}" for p in person], "outcome": outcome},
        extras=("embedding",),
    )


RECORDS = judged()


@pytest.fixture(scope="module")
def model():
    return RewardModel(num_draws=60).fit(RECORDS)


@pytest.fixture(scope="module")
def scorer(model):
    return RewardScorer.of(model.belief_, RECORDS)


def asked(places, people=None):
    return Texts(texts=[WORDS[t] for t in places], vectors=VECTORS[places], people=people)


def rows(places, **more):
    return [
        {"text": WORDS[t], "embedding": VECTORS[t].tolist(), **more} for t in places
    ]  # fmt: skip


def test_a_margin_is_the_difference_of_two_rewards_and_swaps_its_sign(scorer):
    first, second = np.arange(20), np.arange(20, 40)
    one, other = scorer.score(asked(first)), scorer.score(asked(second))
    margins = scorer.compare(asked(first), asked(second))
    np.testing.assert_allclose(margins.margin, one.reward - other.reward, atol=1e-5)
    back = scorer.compare(asked(second), asked(first))
    np.testing.assert_allclose(back.margin, -margins.margin, atol=1e-5)
    np.testing.assert_allclose(back.soft_label, 1 - margins.soft_label, atol=1e-6)
    np.testing.assert_allclose(back.high, -margins.low, atol=1e-5)


def test_margins_of_the_average_judge_are_the_log_odds_that_the_model_foretells():
    # Without differences between judges nothing is averaged: the two paths must agree.
    model = RewardModel(personal=False).fit(RECORDS)
    scorer = RewardScorer.of(model.belief_)
    some = RECORDS.take(np.arange(30))
    said = model.judge(some).probabilities
    bias = model.belief_.theta[model.belief_.parameter_names.index("shown_first")]
    places = [WORDS.index(text) for text in some.options["text"].to_pylist()]
    margins = scorer.compare(asked(places[0::2]), asked(places[1::2]))
    odds = np.log(said[:, 0] / said[:, 1]) - bias
    np.testing.assert_allclose(margins.margin, odds, atol=1e-4)


def test_a_known_person_is_scored_by_their_own_taste(scorer):
    length = text_attributes(WORDS, ("length",))[:, 0]
    places = np.arange(TEXTS)
    slopes = {}
    for name in ("p0", "p30", "nobody"):
        said = scorer.score(asked(places, [name] * TEXTS))
        assert said.knows_person.all() == (name != "nobody")
        both = np.column_stack([VECTORS, length, np.ones(TEXTS)])
        slopes[name] = np.linalg.lstsq(both, said.reward, rcond=None)[0][DIMENSIONS]
    assert slopes["p0"] > slopes["nobody"] + 1 > slopes["p30"] + 1
    anybody = scorer.score(asked(places))
    strangers = scorer.score(asked(places, ["nobody"] * TEXTS))
    np.testing.assert_array_equal(anybody.reward, strangers.reward)


def test_what_lies_far_from_everything_learned_is_unfamiliar(scorer):
    usual = scorer.score(asked(np.arange(TEXTS)))
    assert usual.is_unfamiliar.mean() < 0.05
    assert ((usual.low < usual.reward) & (usual.reward < usual.high)).all()
    empty = scorer.score(Texts(texts=[]))
    assert len(empty.reward) == 0


def test_json_weights_alone_give_the_same_rewards(scorer):
    said = json.loads(json.dumps(json_weights(scorer)))
    rewards = said["bias"] + VECTORS @ np.array(said["weights"])
    for attribute in said["attributes"]:
        rewards += attribute["coefficient"] * text_attributes(WORDS, (attribute["name"],))[:, 0]
    ours = scorer.score(asked(np.arange(TEXTS))).reward
    np.testing.assert_allclose(rewards, ours, atol=1e-4)


def test_lines_of_texts_and_pairs_come_back_in_order(scorer):
    pair = {
        "chosen": WORDS[3], "rejected": WORDS[4],
        "chosen_embedding": VECTORS[3].tolist(), "rejected_embedding": VECTORS[4].tolist(),
    }  # fmt: skip
    mixed = [*rows([1]), pair, *rows([2], person="p0")]
    said = list(score_lines(scorer, mixed))
    assert said[0]["reward"] == pytest.approx(scorer.score(asked([1])).reward[0], abs=1e-6)
    assert said[2]["knows_person"]
    assert not said[0]["knows_person"]
    margins = scorer.compare(asked([3]), asked([4]))
    assert said[1]["margin"] == pytest.approx(margins.margin[0], abs=1e-6)
    assert said[1]["soft_label"] == pytest.approx(margins.soft_label[0])
    assert said[1]["weight"] == pytest.approx(1 - margins.ignorance[0])


def test_many_lines_flow_without_waiting_for_the_last(scorer):
    taken = []

    def endless():
        while True:
            taken.append(0)
            yield rows([1])[0]

    said = score_lines(scorer, endless())
    assert next(said)["reward"] == pytest.approx(scorer.score(asked([1])).reward[0], abs=1e-6)
    assert len(taken) < 1000


def test_unusable_lines_are_named(scorer):
    with pytest.raises(DataError, match="row 2 has no 'text'; it has prompt"):
        list(score_lines(scorer, [rows([1])[0], {"prompt": "why?"}]))
    with pytest.raises(DataError, match="row 2 has no 'embedding' where others have one"):
        list(score_lines(scorer, [rows([1])[0], {"text": "no numbers"}]))
    with pytest.raises(DataError, match="came without embeddings"):
        list(score_lines(scorer, [{"text": "no numbers"}]))
    with pytest.raises(DataError, match=r"shape \(1, 3\) for 1 texts; expected \(1, 4\)"):
        list(score_lines(scorer, [{"text": "short", "embedding": [1, 2, 3]}]))
    with pytest.raises(DataError, match="has a int for 'text'"):
        list(score_lines(scorer, [{"text": 3, "embedding": [1, 2, 3, 4]}]))
    with pytest.raises(BeliefError, match="fitted by another model"):
        RewardScorer.of(BradleyTerry().fit(RECORDS.with_columns(
            options={"option": RECORDS.options["text"]})).belief_)  # fmt: skip


def test_names_of_columns_can_be_others(scorer):
    line = {"answer": WORDS[5], "v": VECTORS[5].tolist(), "who": "p0"}
    (said,) = score_lines(scorer, [line], Names(text="answer", embedding="v", person="who"))
    assert said["knows_person"]
    assert said["reward"] == pytest.approx(scorer.score(asked([5], ["p0"])).reward[0], abs=1e-6)


@pytest.fixture
def reading(scorer, monkeypatch):
    """The scorer with a model that reads texts, so that trainers need no embeddings."""
    from dataclasses import replace

    from penchant.encoders import text_embedding

    class Fake:
        def __init__(self, name):
            pass

        def __call__(self, texts):
            return np.stack([VECTORS[WORDS.index(text.split("\n\n")[-1])] for text in texts])

    monkeypatch.setattr(text_embedding, "SentenceModel", Fake)
    embedding = text_embedding.TextEmbedding(model="fake")
    return replace(scorer, encoder=replace(scorer.encoder, embedding=embedding))


def test_trl_gets_a_list_of_floats_for_strings_and_for_messages(reading):
    reward = trl_reward(reading)
    assert reward.__name__ == "penchant_reward"
    prompts = ["q1", "q2", "q3"]
    said = reward(prompts=prompts, completions=WORDS[:3], completion_ids=[[1], [2], [3]])
    assert all(type(value) is float for value in said)
    np.testing.assert_allclose(said, reading.score(asked(range(3))).reward, atol=1e-5)
    chats = [[{"role": "assistant", "content": text}] for text in WORDS[:3]]
    np.testing.assert_allclose(reward(prompts=prompts, completions=chats), said, atol=1e-6)
    own = reward(prompts=prompts, completions=WORDS[:3], person=["p0", None, "nobody"])
    assert own[0] != pytest.approx(said[0], abs=1e-3)
    np.testing.assert_allclose(own[1:], said[1:], atol=1e-6)
    careful = trl_reward(reading, pessimism=1.0)(prompts=prompts, completions=WORDS[:3])
    assert (np.array(careful) < said).all()
    with pytest.raises(DataError, match="column 'person' has 2 values for 3 completions"):
        reward(prompts=prompts, completions=WORDS[:3], person=["p0", "p1"])


def test_verl_gets_a_float_for_what_it_passes(reading, model, tmp_path, monkeypatch):
    score = verl_score(reading)
    said = score("set", WORDS[7], None, {"person": "p0", "prompt": "q"})
    assert said == pytest.approx(reading.score(asked([7], ["p0"])).reward[0], abs=1e-5)
    bare = score(data_source="set", solution_str=WORDS[7], ground_truth="", extra_info=None)
    assert bare == pytest.approx(reading.score(asked([7])).reward[0], abs=1e-5)
    monkeypatch.delenv(trainers.FOLDER_VARIABLE, raising=False)
    with pytest.raises(ConfigError, match="PENCHANT_REWARD_MODEL is not set"):
        compute_score("set", WORDS[7])
    monkeypatch.setattr(RewardScorer, "load", lambda folder: reading)
    monkeypatch.setenv(trainers.FOLDER_VARIABLE, str(tmp_path))
    assert compute_score("set", WORDS[7]) == pytest.approx(bare)


@pytest.fixture
def server(scorer):
    server = ScorerServer(scorer, port=0)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(5)


def post(server, body, path="/score"):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.server_port}{path}", data=data,
        headers={"Content-Type": "application/json"},
    )  # fmt: skip
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_rewards_over_http_are_those_of_the_model_in_the_form_that_was_asked(server, scorer):
    expected = scorer.score(asked([1, 2])).reward
    status, one = post(server, rows([1])[0])
    assert status == 200
    assert one["reward"] == pytest.approx(expected[0], abs=1e-6)
    _, many = post(server, rows([1, 2]))
    np.testing.assert_allclose([said["reward"] for said in many], expected, atol=1e-6)
    _, wrapped = post(server, {"rows": rows([1, 2])})
    assert wrapped == {"rows": many}
    assert post(server, []) == (200, [])
    with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/", timeout=20) as answer:
        assert json.load(answer)["dimensions"] == DIMENSIONS


def test_requests_that_make_no_sense_are_answered_with_the_reason(server):
    assert post(server, b"{not json")[0] == 400
    status, said = post(server, {"prompt": "only"})
    assert status == 400
    assert "row 1 has no 'text'" in said["error"]
    assert post(server, "a string")[0] == 400
    assert post(server, rows([1]), path="/other")[0] == 404
    # And the service lives.
    assert post(server, rows([1]))[0] == 200


def test_many_clients_at_once_get_their_own_answers(server, scorer):
    expected = scorer.score(asked(range(TEXTS))).reward
    found = {}

    def ask(place):
        found[place] = post(server, rows([place])[0])[1]["reward"]

    threads = [threading.Thread(target=ask, args=(place,)) for place in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    np.testing.assert_allclose([found[p] for p in range(20)], expected[:20], atol=1e-6)
