"""Direct preference learning: its likelihood and gradient, and kinds of people recovered."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.errors import ConfigError, DataError
from penchant.fitting.language_learner import LearnerConfig
from penchant.fitting.sgd import TrainConfig
from penchant.lm.log_probs import log_probs
from penchant.lm.low_rank import LowRankConfig
from penchant.lm.tokens import padded
from penchant.policies.language.direct import (
    DirectConfig,
    _fresh,
    _Mixture,
    _of_kind,
    fit_direct,
    reference_of,
    tie_start,
)
from penchant.policies.language.pairs import Pairs, people_within
from penchant.policies.language.rollouts import demonstration_ids

torch = pytest.importorskip("torch")

from lm.tiny_models import tiny  # noqa: E402  # it needs torch

TRAINING = TrainConfig(batch_size=8, max_epochs=12, learning_rate=0.02, patience=None)
ADAPTERS = LowRankConfig(rank=2, scale=2.0)


def pairs_of(answers, person, first_wins=None, prompt="?"):
    """Pairs of answers to one prompt."""
    tokenizer = tiny().tokenizer
    rows = [[demonstration_ids(tokenizer, prompt, text) for text in pair] for pair in answers]
    return Pairs(
        first=[a[0] for a, _ in rows], second=[b[0] for _, b in rows],
        place=np.array([a[1] for a, _ in rows]),
        first_wins=np.ones(len(rows)) if first_wins is None else np.asarray(first_wins),
        person=np.asarray(person),
    )  # fmt: skip


def worth(model, reference, text, prompt="?"):
    """The summed log-ratio of one answer, the slow way."""
    ids, place = demonstration_ids(model.tokenizer, prompt, text)
    row = torch.tensor([ids])
    total = 0.0
    for sign, each in ((1.0, model), (-1.0, reference)):
        states = each.network.read(each.parameters, padded([ids], 0)).states
        logp = each.network.logits(each.parameters, states).log_softmax(-1)[0]
        total += sign * sum(logp[t - 1, row[0, t]].item() for t in range(place, len(ids)))
    return total


def test_the_likelihood_is_bradley_and_terrys_of_summed_log_ratios():
    base, moved = tiny(0), tiny(0)
    moved = moved.with_parameters({n: v * 1.05 for n, v in moved.parameters.items()})
    pairs = pairs_of([("ab", "c"), ("d", "efg")], [0, 1], [1.0, 0.3])
    objective = _Mixture(
        model=base, pairs=pairs, config=DirectConfig(strength=0.5), features=np.zeros((2, 0)),
        reference=reference_of(base, pairs),
    )  # fmt: skip
    parameters = {**moved.parameters, "router": torch.zeros((0, 1), dtype=torch.float64)}
    found = objective.log_prob(parameters, np.array([0, 1])).item()
    wanted = 0.0
    for (one, other), q in ((("ab", "c"), 1.0), (("d", "efg"), 0.3)):
        gap = 0.5 * (worth(moved, base, one) - worth(moved, base, other))
        wanted += q * np.log(1 / (1 + np.exp(-gap))) + (1 - q) * np.log(1 / (1 + np.exp(gap)))
    assert found == pytest.approx(wanted, rel=1e-10)
    # At the reference every pair is a coin.
    start = {**base.parameters, "router": parameters["router"]}
    assert objective.log_prob(start, np.array([0, 1])).item() == pytest.approx(2 * np.log(0.5))


def objective_of(pairs, config, **given):
    base = tiny()
    return _Mixture(
        model=base, pairs=pairs, config=config, features=np.zeros((int(pairs.person.max()) + 1, 0)),
        reference=reference_of(base, pairs), **given,
    )  # fmt: skip


def moved_parameters(config):
    fresh = _fresh(tiny(), config, 0)
    moved = {n: v * 1.05 + (0.01 if n.endswith("up") else 0.0) for n, v in fresh.items()}
    return {**moved, "router": fresh.get("router", torch.zeros((0, 1), dtype=torch.float64))}


@pytest.mark.parametrize("kinds", [1, 2])
def test_a_pair_that_counts_twice_is_two_pairs(kinds):
    texts, person, wins = [("ab", "c"), ("d", "ef"), ("g", "h")], [0, 0, 1], [1.0, 0.3, 0.0]
    config = DirectConfig(strength=0.5, kinds=kinds, low_rank=ADAPTERS, anchor=0.4)
    heavy = replace(pairs_of(texts, person, wins), weight=np.array([2.0, 1.0, 3.0]))
    rows = [0, 0, 1, 2, 2, 2]
    repeated = pairs_of([texts[r] for r in rows], [person[r] for r in rows],
                        [wins[r] for r in rows])  # fmt: skip
    one, other = (objective_of(pairs, config) for pairs in (heavy, repeated))
    parameters, people = moved_parameters(config), np.array([0, 1])
    assert one.log_prob(parameters, people).item() == pytest.approx(
        other.log_prob(parameters, people).item(), rel=1e-10
    )
    assert one.weight(people) == other.weight(people) == 6.0
    assert one.weight(np.array([1])) == 3.0
    for mine, theirs in zip(one.told(parameters), other.told(parameters)):
        np.testing.assert_allclose(mine, theirs, rtol=1e-9)
    with pytest.raises(DataError, match="above 0"):
        replace(heavy, weight=np.array([1.0, 0.0, 1.0]))


@pytest.mark.parametrize("law", ["davidson", "rao_kupper"])
def test_ties_are_an_answer_of_their_own_with_a_strength_that_is_learnt(law):
    from penchant.feedback import pairwise

    pairs = pairs_of([("ab", "c"), ("d", "ef"), ("g", "h")], [0, 1, 2], [1.0, 0.5, 0.2])
    config = DirectConfig(strength=0.5, ties=law)
    base = tiny()
    moved = {n: v * 1.05 for n, v in base.parameters.items()}
    own = torch.tensor([0.3], dtype=torch.float64)
    found = objective_of(pairs, config).log_prob({**moved, "ties": own}, np.arange(3)).item()
    policy = base.with_parameters(moved)
    worths = np.array([[0.5 * worth(policy, base, text) for text in pair]
                       for pair in (("ab", "c"), ("d", "ef"), ("g", "h"))])  # fmt: skip
    log_prob = getattr(pairwise, f"{law}_log_prob")
    told = [log_prob(worths, np.full(3, k), np.array([[0.3]])) for k in range(3)]
    wanted = told[0][0] + told[2][1] + 0.2 * told[0][2] + 0.8 * told[1][2]
    assert found == pytest.approx(wanted, rel=1e-10)


@pytest.mark.parametrize("law", ["davidson", "rao_kupper"])
def test_where_all_answers_are_alike_the_strength_of_ties_begins_at_its_best(law):
    pairs = pairs_of([("ab", "c")] * 5, np.arange(5), [1.0, 0.5, 0.0, 0.5, 1.0])
    pairs = replace(pairs, weight=np.array([1.0, 3.0, 1.0, 0.5, 2.0]))
    config = DirectConfig(ties=law)
    own = torch.tensor([tie_start(pairs, config)], dtype=torch.float64).requires_grad_()
    value = objective_of(pairs, config).log_prob({**tiny().parameters, "ties": own}, np.arange(5))
    assert torch.autograd.grad(value, own)[0].item() == pytest.approx(0.0, abs=1e-9)
    for wins in ([1.0] * 5, [0.5] * 5):
        with pytest.raises(DataError, match="some and not all"):
            tie_start(replace(pairs, first_wins=np.array(wins)), config)
    with pytest.raises(ConfigError, match="logistic loss"):
        DirectConfig(ties=law, loss="hinge")


def test_a_policy_with_ties_is_trained_whole_and_says_their_strength():
    base = tiny(dtype=torch.float32)
    wins = [1.0] * 4 + [0.5] * 4
    pairs = pairs_of([("a", "b")] * 4 + [("c", "d")] * 4, np.arange(8), wins)
    config = DirectConfig(strength=0.5, ties="davidson")
    fit = fit_direct(base, pairs, TRAINING, config)
    assert set(fit.policies[0].parameters) == set(base.parameters)
    gaps = [worth(fit.policies[0], base, a) - worth(fit.policies[0], base, b)
            for a, b in (("a", "b"), ("c", "d"))]  # fmt: skip
    assert gaps[0] > 1.0 > abs(gaps[1])
    assert np.isfinite(fit.ties)
    # Of equal answers more tie than half of all pairs: what does not was of unequal ones.
    assert np.exp(fit.ties) / (2.0 + np.exp(fit.ties)) > 0.5
    assert fit_direct(base, pairs, replace(TRAINING, max_epochs=1)).ties is None


def test_people_are_mixed_whole_and_two_equal_kinds_are_one():
    base = tiny()
    pairs = pairs_of([("a", "b"), ("b", "c"), ("c", "a")], [0, 0, 1])
    features, reference = np.zeros((2, 0)), reference_of(base, pairs)

    def told(kinds, parameters):
        config = DirectConfig(strength=1.0, kinds=kinds, low_rank=ADAPTERS)
        objective = _Mixture(
            model=base, pairs=pairs, config=config, features=features, reference=reference
        )
        return objective.log_prob(parameters, np.array([0, 1])).item()

    two = _fresh(base, DirectConfig(kinds=2, low_rank=ADAPTERS), 0)
    blank = torch.zeros((0, 1), dtype=torch.float64)
    one, other = (
        {n.replace(f"{s}/", "0/", 1): v for n, v in two.items() if n.startswith(f"{s}/")}
        for s in (0, 1)
    )
    same = {**two, **{n.replace("0/", "1/", 1): v for n, v in one.items()}}
    assert told(2, same) == pytest.approx(told(1, {**one, "router": blank}), rel=1e-10)
    # Each person's answers are a product within a kind, the kinds a sum over people.
    alone = [
        [
            _Mixture(
                model=base, pairs=pairs, config=DirectConfig(strength=1.0, low_rank=ADAPTERS),
                features=features, reference=reference,
            ).log_prob({**kind, "router": blank}, np.array([person])).item()
            for kind in (one, other)
        ]
        for person in (0, 1)
    ]  # fmt: skip
    routed = {**two, "router": torch.tensor([[1.3]], dtype=torch.float64)}
    log_w = np.array([0.0, 1.3]) - np.log(1 + np.exp(1.3))
    wanted = sum(np.logaddexp(*(log_w + np.array(mine))) for mine in alone)
    assert told(2, routed) == pytest.approx(wanted, rel=1e-10)


@pytest.mark.parametrize("loss", ["logistic", "squared", "hinge"])
def test_what_is_preferred_becomes_likelier_beside_the_reference(loss):
    base = tiny(dtype=torch.float32)
    pairs = pairs_of([("a", "b")] * 6 + [("b", "a")] * 2, np.arange(8), [1.0] * 6 + [0.0] * 2)
    config = DirectConfig(strength=0.5, loss=loss)
    fit = fit_direct(base, pairs, TRAINING, config)
    (policy,) = fit.policies
    # The squared loss asks for a gap of 1 / (2 beta) = 1 and no more, the others for one or more.
    gap = worth(policy, base, "a") - worth(policy, base, "b")
    assert 0.6 < gap < 1.4 if loss == "squared" else gap > 1.0


def test_an_anchor_keeps_the_better_answer_likely():
    base = tiny(dtype=torch.float32)
    pairs = pairs_of([("ab", "ac")] * 8, np.arange(8))

    def gained(anchor):
        config = DirectConfig(strength=0.1, anchor=anchor)
        (policy,) = fit_direct(base, pairs, TRAINING, config).policies
        return worth(policy, base, "ab")

    assert gained(1.0) > gained(0.0) + 0.5


def test_opposed_kinds_of_people_are_found_and_each_has_its_own_policy():
    rng = np.random.default_rng(0)
    base, kind = tiny(dtype=torch.float32), rng.permutation(np.repeat([0, 1], 8))
    person = np.repeat(np.arange(16), 6)
    likes_a = (kind[person] == 0) ^ (rng.random(len(person)) < 0.1)
    pairs = pairs_of([("a", "b")] * len(person), person, likes_a.astype(float))
    config = DirectConfig(
        strength=1.0, kinds=2, low_rank=ADAPTERS, learner=LearnerConfig(at_once=16)
    )
    training = TrainConfig(batch_size=16, max_epochs=30, learning_rate=0.05, patience=None)
    fit = fit_direct(base, pairs, training, config)
    found = fit.posterior.argmax(axis=1)
    agree = np.mean(found == kind)
    assert max(agree, 1 - agree) >= 15 / 16
    gaps = [worth(policy, base, "a") - worth(policy, base, "b") for policy in fit.policies]
    of_a = found[kind == 0].mean() < 0.5
    likes, dislikes = (gaps[0], gaps[1]) if of_a else (gaps[1], gaps[0])
    assert likes > 1.0
    assert dislikes < -1.0
    # One policy for all has to stay between them.
    (one,) = fit_direct(base, pairs, training, DirectConfig(strength=1.0)).policies
    assert abs(worth(one, base, "a") - worth(one, base, "b")) < 1.0
    np.testing.assert_allclose(np.exp(fit.log_shares).sum(axis=1), 1.0, rtol=1e-5)


def test_who_is_of_which_kind_may_depend_on_what_is_known_of_them():
    rng = np.random.default_rng(1)
    kind = np.repeat([0, 1], 10)
    person = np.repeat(np.arange(20), 6)
    likes_a = (kind[person] == 0) ^ (rng.random(len(person)) < 0.1)
    pairs = pairs_of([("a", "b")] * len(person), person, likes_a.astype(float))
    config = DirectConfig(strength=1.0, kinds=2, low_rank=ADAPTERS)
    training = TrainConfig(batch_size=20, max_epochs=30, learning_rate=0.05, patience=None)
    fit = fit_direct(
        tiny(dtype=torch.float32), pairs, training, config,
        person_features=2.0 * kind[:, None] - 1.0,
    )  # fmt: skip
    shares = np.exp(fit.log_shares)
    assert abs(shares[0, 0] - shares[-1, 0]) > 0.5


def test_a_training_that_is_taken_up_again_ends_in_the_same_place(tmp_path):
    base, pairs = tiny(), pairs_of([("a", "b"), ("b", "c")], [0, 1])
    whole = TrainConfig(batch_size=1, max_epochs=3, learning_rate=0.01, patience=None)
    one = fit_direct(base, pairs, whole, checkpoint=tmp_path)
    again = fit_direct(base, pairs, whole, checkpoint=tmp_path)
    for name, value in one.policies[0].parameters.items():
        np.testing.assert_array_equal(again.policies[0].parameters[name], value)


def test_what_cannot_be_learnt_from_is_refused():
    with pytest.raises(DataError, match="lengths"):
        Pairs(first=[[1, 2]], second=[], place=np.array([1]), first_wins=np.ones(1),
              person=np.array([0]))  # fmt: skip
    one = {"place": np.array([1]), "first_wins": np.ones(1), "person": np.array([0])}
    with pytest.raises(DataError, match="second answer of pair 0 has no token"):
        Pairs(first=[[1, 2]], second=[[1]], **one)
    # A row's first token is foretold by nothing, and what a world said is not scored.
    with pytest.raises(DataError, match="first answer of pair 0 has no token"):
        Pairs(first=[[1]], second=[[1, 2]], **one | {"place": np.array([0])})
    with pytest.raises(DataError, match="first answer of pair 0 has no token"):
        Pairs(first=[[1, 2]], second=[[1, 3]], first_own=[[True, False]], **one)
    with pytest.raises(DataError, match="other lengths"):
        Pairs(first=[[1, 2]], second=[[1, 3]], second_own=[[True]], **one)
    with pytest.raises(ConfigError, match="adapters"):
        DirectConfig(kinds=2)
    with pytest.raises(DataError, match="person_features"):
        fit_direct(tiny(), pairs_of([("a", "b")], [0]), TRAINING, person_features=np.zeros((3, 1)))


def test_a_margin_is_asked_of_the_winner_wherever_it_stands():
    base, moved = tiny(0), tiny(0)
    moved = moved.with_parameters({n: v * 1.05 for n, v in moved.parameters.items()})
    parameters = {**moved.parameters, "router": torch.zeros((0, 1), dtype=torch.float64)}

    def told(answers, first_wins):
        pairs = pairs_of([answers], [0], [first_wins])
        return _Mixture(
            model=base, pairs=pairs, config=DirectConfig(strength=0.5, margin=1.5),
            features=np.zeros((1, 0)), reference=reference_of(base, pairs),
        ).log_prob(parameters, np.array([0])).item()  # fmt: skip

    gap = 0.5 * (worth(moved, base, "ab") - worth(moved, base, "c"))
    assert told(("ab", "c"), 1.0) == pytest.approx(-np.log1p(np.exp(1.5 - gap)))
    assert told(("c", "ab"), 0.0) == pytest.approx(-np.log1p(np.exp(1.5 - gap)))
    assert told(("c", "ab"), 0.2) == pytest.approx(told(("ab", "c"), 0.8))


@pytest.mark.parametrize("loss", ["squared", "hinge"])
def test_a_margin_that_would_not_be_heard_is_refused(loss):
    with pytest.raises(ConfigError, match="gap of their own"):
        DirectConfig(loss=loss, margin=0.5)


def test_an_anchor_holds_each_kind_by_the_answers_of_its_own_people():
    base = tiny()
    pairs = pairs_of([("a", "b")] * 5 + [("b", "a")] * 5, [0] * 5 + [1] * 5)
    parameters = _fresh(base, DirectConfig(kinds=2, low_rank=ADAPTERS), 0)
    # Two kinds that differ, so that each person is nearly surely of one.
    parameters = {
        n: 20.0 * v if n.startswith("0/") and n.endswith(".up") else v
        for n, v in parameters.items()
    }

    def objective(anchor):
        config = DirectConfig(strength=1.0, kinds=2, low_rank=ADAPTERS, anchor=anchor)
        return _Mixture(
            model=base, pairs=pairs, config=config, features=np.zeros((2, 0)),
            reference=reference_of(base, pairs),
        )  # fmt: skip

    everybody = np.arange(2)
    held = objective(0.3).log_prob(parameters, everybody) - objective(0.0).log_prob(
        parameters, everybody
    )
    _, joint = objective(0.0).told(parameters)
    posterior = np.exp(joint - np.logaddexp.reduce(joint, axis=1)[:, None])
    assert posterior.max(axis=1).min() > 0.55
    config = DirectConfig(kinds=2, low_rank=ADAPTERS)
    wanted = 0.0
    for s in range(2):
        policy = _of_kind(base, parameters, config, s)
        for person, text in ((0, "a"), (1, "b")):
            ids, place = demonstration_ids(base.tokenizer, "?", text)
            logp = log_probs(policy, padded([ids], 0)).log_prob[0, place - 1 :].mean().item()
            wanted += 0.3 * 5 * posterior[person, s] * logp
    assert held.item() == pytest.approx(wanted, rel=1e-9)


def test_a_training_of_other_labels_is_another_training(tmp_path):
    whole = TrainConfig(batch_size=2, max_epochs=1, learning_rate=0.01, patience=None)
    fit_direct(tiny(), pairs_of([("a", "b"), ("b", "c")], [0, 1]), whole, checkpoint=tmp_path)
    for others in (([0, 1], [0.0, 1.0]), ([0, 0], None)):
        with pytest.raises(ConfigError, match="fingerprint"):
            fit_direct(
                tiny(), pairs_of([("a", "b"), ("b", "c")], *others), whole, checkpoint=tmp_path
            )


def test_labels_people_and_strengths_that_mean_nothing_are_refused():
    with pytest.raises(DataError, match="0 to 1"):
        pairs_of([("a", "b")], [0], [np.nan])
    with pytest.raises(DataError, match="from 0 on"):
        pairs_of([("a", "b")], [-1])
    with pytest.raises(ConfigError, match="above 0"):
        DirectConfig(strength=0.0)


def uneven_pairs():
    """Prompts and answers of all lengths, some prompts of several pairs, people of some pairs."""
    tokenizer = tiny().tokenizer
    said = [
        ("?", "a", "bcdefgh"),
        ("longer than that?", "xy", ""),
        ("?", "abcd", "c"),
        ("", "a", "b"),
    ]
    rows = [[demonstration_ids(tokenizer, p, text) for text in texts] for p, *texts in said]
    return Pairs(
        first=[a[0] for a, _ in rows], second=[b[0] for _, b in rows],
        place=np.array([a[1] for a, _ in rows]), first_wins=np.array([1.0, 0.3, 0.0, 1.0]),
        person=np.array([0, 1, 1, 2]),
    )  # fmt: skip


@pytest.mark.parametrize("mean", [False, True])
def test_packed_pairs_say_what_padded_ones_say_and_teach_the_same(mean):
    base, pairs = tiny(), uneven_pairs()
    config = DirectConfig(kinds=2, low_rank=ADAPTERS, strength=0.7, anchor=0.2, mean=mean)
    start = _fresh(base, config, 0)
    found = []
    for layout in ("padded", "shared", "packed"):
        leaves = {n: v.clone().requires_grad_() for n, v in start.items()}
        told = _Mixture(
            model=base, pairs=pairs, config=replace(config, layout=layout),
            features=np.zeros((3, 0)), reference=reference_of(base, pairs, layout),
        ).log_prob(leaves, np.array([2, 0, 1]))  # fmt: skip
        told.backward()
        found.append((told.item(), {n: leaf.grad for n, leaf in leaves.items()}))
    (one, slopes), *others = found
    for other, other_slopes in others:
        assert other == pytest.approx(one, rel=1e-11)
        for name, slope in slopes.items():
            np.testing.assert_allclose(other_slopes[name], slope, atol=1e-10)


@pytest.mark.parametrize("layout", ["padded", "packed"])
def test_people_read_a_few_at_a_time_are_the_same_training(layout):
    base, pairs = tiny(), uneven_pairs()
    training = TrainConfig(batch_size=3, max_epochs=2, learning_rate=0.01, patience=None)
    ends = [
        fit_direct(base, pairs, training, DirectConfig(layout=layout, tokens_at_once=tokens))
        for tokens in (None, 40)
    ]
    assert len(people_within(pairs, np.arange(3), 40, layout)) > 1
    one, other = (end.policies[0].parameters for end in ends)
    for name, value in one.items():
        np.testing.assert_allclose(other[name], value, atol=1e-9)


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(1, 9), st.integers(1, 9), st.integers(1, 9)),
        min_size=1, max_size=15,
    ),
    st.integers(5, 80), st.sampled_from(["padded", "packed"]),
)  # fmt: skip
def test_parts_hold_every_person_once_and_keep_to_the_budget(told, budget, layout):
    person, place, one, other = (np.array(part) for part in zip(*told))
    pairs = Pairs(
        first=[[3] * n for n in place + one], second=[[3] * n for n in place + other],
        place=place, first_wins=np.ones(len(told)), person=person,
    )  # fmt: skip
    people = np.unique(person)
    parts = people_within(pairs, people, budget, layout)
    assert sorted(np.concatenate(parts).tolist()) == people.tolist()

    def cost(part):
        mine = np.isin(person, part)
        if layout == "packed":
            return (place + one + other)[mine].sum()
        return 2 * mine.sum() * (place + np.maximum(one, other))[mine].max()

    for part, after in zip(parts, [*parts[1:], None]):
        assert len(part) == 1 or cost(part) <= budget
        assert after is None or cost(np.append(part, after[0])) > budget


def test_one_kind_of_people_is_everybodys():
    fit = fit_direct(tiny(), pairs_of([("a", "b")] * 2, [0, 1]), TRAINING)
    assert fit.posterior.tolist() == [[1.0], [1.0]]
    assert fit.log_shares.tolist() == [[0.0], [0.0]]


def test_a_token_budget_below_one_is_refused():
    with pytest.raises(ConfigError, match="tokens_at_once"):
        DirectConfig(tokens_at_once=0)
