"""A soft prompt for each person: what it is, what the prior does, and tastes recovered."""

import numpy as np
import pytest

from penchant.errors import ConfigError, DataError
from penchant.fitting.language_learner import LearnerConfig
from penchant.fitting.sgd import TrainConfig
from penchant.lm.log_probs import log_probs
from penchant.lm.low_rank import LowRankConfig
from penchant.lm.soft_prompt import (
    SOFT,
    after_first,
    load_soft_prompts,
    save_soft_prompts,
    soft_ids,
    with_soft_prompt,
)
from penchant.lm.tokens import padded
from penchant.policies.language.pairs import Pairs
from penchant.policies.language.personal import (
    PersonalConfig,
    _fresh,
    _objective,
    fit_personal,
)
from penchant.policies.language.rollouts import demonstration_ids

torch = pytest.importorskip("torch")

from lm.tiny_models import tiny  # noqa: E402  # it needs torch


def pairs_of(answers, person, first_wins=None):
    rows = [[demonstration_ids(tiny().tokenizer, "?", text) for text in pair] for pair in answers]
    return Pairs(
        first=[a[0] for a, _ in rows], second=[b[0] for _, b in rows],
        place=np.array([a[1] for a, _ in rows]),
        first_wins=np.ones(len(rows)) if first_wins is None else np.asarray(first_wins),
        person=np.asarray(person),
    )  # fmt: skip


def test_a_soft_prompt_of_real_embeddings_is_as_good_as_their_tokens():
    model = tiny()
    table = model.parameters["embed_tokens.weight"]
    soft = with_soft_prompt(model, table[[80, 81]])
    plain = log_probs(model, padded([[1, 80, 81, 70, 71], [1, 80, 81, 72]], 0)).log_prob
    found = log_probs(
        soft, padded([after_first(row, soft_ids(0, 2)) for row in ([1, 70, 71], [1, 72])], 0)
    ).log_prob
    torch.testing.assert_close(found[:, 2:], plain[:, 2:])
    # Places are no tokens: nothing foretells them.
    assert (found[:, :2] == 0).all()
    # The second prompt is another one.
    both = with_soft_prompt(model, table[[80, 81, 90, 91]])
    second = log_probs(both, padded([after_first([1, 70, 71], soft_ids(1, 2))], 0)).log_prob
    other = log_probs(model, padded([[1, 90, 91, 70, 71]], 0)).log_prob
    torch.testing.assert_close(second[:, 2:], other[:, 2:])


def test_a_model_of_transformers_reads_soft_prompts_too(tmp_path):
    pytest.importorskip("transformers")
    from lm.tiny_models import save_tiny
    from penchant.lm.pretrained import load_pretrained

    save_tiny(tmp_path)
    model = load_pretrained(str(tmp_path))
    name = next(n for n in model.parameters if n.endswith("embed_tokens.weight"))
    soft = with_soft_prompt(model, model.parameters[name][[80, 81]])
    plain = log_probs(model, padded([[1, 80, 81, 70, 71]], 0)).log_prob
    found = log_probs(soft, padded([after_first([1, 70, 71], soft_ids(0, 2))], 0)).log_prob
    torch.testing.assert_close(found[:, 2:], plain[:, 2:])


def test_soft_prompts_are_kept_beside_the_model_and_read_back(tmp_path):
    model, file = tiny(), tmp_path / "people.safetensors"
    kept = with_soft_prompt(model, model.parameters["embed_tokens.weight"][:4])
    save_soft_prompts(kept, file)
    assert torch.equal(load_soft_prompts(model, file).parameters[SOFT], kept.parameters[SOFT])
    with pytest.raises(ConfigError, match="without a soft prompt"):
        save_soft_prompts(model, file)
    file.write_bytes(file.read_bytes()[:20])
    with pytest.raises(DataError, match="Write it again"):
        load_soft_prompts(model, file)
    save_soft_prompts(with_soft_prompt(model, torch.zeros((1, 3))), file)
    with pytest.raises(DataError, match="3 numbers"):
        load_soft_prompts(model, file)


def test_a_folder_in_transformers_form_refuses_a_soft_prompt(tmp_path):
    from penchant.lm.folder import save_language_model

    model = tiny(dtype=torch.float32)
    with pytest.raises(ConfigError, match="no place"):
        save_language_model(with_soft_prompt(model, torch.zeros((2, 16))), tmp_path)


def test_the_likelihood_is_bradley_and_terrys_after_each_persons_own_prompt():
    base, config = tiny(), PersonalConfig(places=2, strength=0.5)
    pairs = pairs_of([("ab", "c"), ("d", "efg")], [0, 1], [1.0, 0.3])
    parameters = _fresh(base, 2, config)
    parameters["prompt.own"] = torch.randn((2, 2, 16), generator=torch.Generator().manual_seed(1),
                                           dtype=torch.float64)  # fmt: skip
    objective = _objective(base, pairs, config)
    scale = base.parameters["embed_tokens.weight"].std()
    wanted = 0.0
    for b, q in enumerate((1.0, 0.3)):
        prompt = parameters["prompt.shared"] + scale * parameters["prompt.own"][b]
        worth = []
        for row in (pairs.first[b], pairs.second[b]):
            place = pairs.place[b]
            own = (
                log_probs(
                    with_soft_prompt(base, prompt), padded([after_first(row, soft_ids(0, 2))], 0)
                )
                .log_prob[0, place + 1 :]
                .sum()
            )
            usual = log_probs(base, padded([row], 0)).log_prob[0, place - 1 :].sum()
            worth.append(0.5 * (own - usual).item())
        gap = worth[0] - worth[1]
        wanted += q * np.log(1 / (1 + np.exp(-gap))) + (1 - q) * np.log(1 / (1 + np.exp(gap)))
    found = objective.log_prob(parameters, np.array([0, 1])).item()
    assert found == pytest.approx(wanted, rel=1e-9)
    penalty = objective.penalty(parameters).item()
    assert penalty == pytest.approx(0.5 * (parameters["prompt.own"] ** 2).sum().item() / 2)


TRAINING = TrainConfig(batch_size=8, max_epochs=40, learning_rate=0.03, patience=None)


def gaps(fit, person, answers=("a", "b")):
    rows = [demonstration_ids(tiny().tokenizer, "?", text) for text in answers]
    said = [
        log_probs(fit.policy, padded([fit.row_for(person, row)], 0)).log_prob[
            0, place - 1 + fit.places :
        ].sum().item()
        for row, place in rows
    ]  # fmt: skip
    return said[0] - said[1]


def test_people_of_opposed_tastes_get_prompts_under_which_each_is_right():
    kind = np.tile([0, 1], 4)
    person = np.repeat(np.arange(8), 6)
    likes_a = (kind[person] == 0).astype(float)
    pairs = pairs_of([("a", "b")] * len(person), person, likes_a)
    config = PersonalConfig(places=2, strength=1.0, learner=LearnerConfig(at_once=8))
    fit = fit_personal(tiny(dtype=torch.float32), pairs, TRAINING, config)
    assert SOFT in fit.policy.parameters
    usual = tiny(dtype=torch.float32)
    rows = [demonstration_ids(usual.tokenizer, "?", text) for text in ("a", "b")]
    told = [log_probs(usual, padded([row], 0)).log_prob[0, place - 1 :].sum().item()
            for row, place in rows]  # fmt: skip
    worth = np.array([gaps(fit, p) - (told[0] - told[1]) for p in range(8)])
    assert ((worth > 0) == (kind == 0)).all()
    assert np.abs(worth).min() > 0.5
    with pytest.raises(DataError, match="0 to 7"):
        fit.row_for(8, rows[0][0])
    assert np.isfinite(gaps(fit, None))


def test_a_tight_spread_holds_people_together():
    kind = np.tile([0, 1], 4)
    person = np.repeat(np.arange(8), 4)
    pairs = pairs_of([("a", "b")] * len(person), person, (kind[person] == 0).astype(float))

    def apart(spread):
        config = PersonalConfig(places=2, strength=1.0, spread=spread)
        fit = fit_personal(tiny(dtype=torch.float32), pairs, TRAINING, config)
        return np.std([gaps(fit, p) for p in range(8)])

    assert apart(0.01) < 0.3 * apart(1.0)


def test_adapters_that_all_share_learn_beside_the_prompts():
    pairs = pairs_of([("a", "b")] * 8, np.repeat(np.arange(4), 2))
    config = PersonalConfig(places=1, strength=1.0, low_rank=LowRankConfig(rank=2))
    base = tiny(dtype=torch.float32)
    fit = fit_personal(base, pairs, TRAINING, config)
    name = "layers.0.self_attn.q_proj.weight"
    assert (fit.policy.parameters[name] - base.parameters[name]).abs().max() > 1e-4
    alone = fit_personal(base, pairs, TRAINING, PersonalConfig(places=1, strength=1.0))
    assert torch.equal(alone.policy.parameters[name], base.parameters[name])


def test_a_training_that_is_taken_up_again_ends_in_the_same_place(tmp_path):
    pairs = pairs_of([("a", "b"), ("b", "c")], [0, 1])
    whole = TrainConfig(batch_size=1, max_epochs=2, learning_rate=0.01, patience=None)
    one, again = (fit_personal(tiny(), pairs, whole, checkpoint=tmp_path) for _ in range(2))
    assert torch.equal(one.policy.parameters[SOFT], again.policy.parameters[SOFT])


def test_what_has_no_room_and_settings_that_mean_nothing_are_refused():
    with pytest.raises(DataError, match="in all, the model"):
        fit_personal(tiny(), pairs_of([("a" * 40, "b")], [0]), TRAINING, PersonalConfig(places=9))
    with pytest.raises(ConfigError, match="one place or more"):
        PersonalConfig(places=0)
