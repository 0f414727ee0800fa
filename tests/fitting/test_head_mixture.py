"""Several reward heads: the density against slow twins, identities I4 and I5, and recovery."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.beliefs.reward_heads import RewardHeads
from penchant.beliefs.storage import save_value
from penchant.data.batch import Batch, Block
from penchant.errors import BeliefError, ConfigError, DataError
from penchant.feedback.gap import GapModel
from penchant.fitting.class_density import ClassDensity
from penchant.fitting.head_mixture import HeadMixtureConfig, fit_head_mixture
from penchant.fitting.head_mixture_density import GroupedPairs, HeadMixtureDensity
from penchant.fitting.head_pairs import HeadPairs
from penchant.fitting.linear_head import fit_linear_head
from penchant.numerics.arrays import sigmoid
from penchant.simulation.judgements import judge_pairs, two_tastes


def as_pairs(features, answer, weight=None, columns=None):
    more = {} if columns is None else {"columns": columns}
    return HeadPairs(
        features=features.astype(np.float32), first=np.arange(len(answer)), second=None,
        answer=answer, weight=np.ones(len(answer)) if weight is None else weight, **more,
    )  # fmt: skip


def small(seed, num_columns=0, ties=None):
    """Twelve people with one to four pairs each, three dimensions, two context features."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 5, size=12)
    num = int(sizes.sum())
    data = GroupedPairs(
        pairs=as_pairs(
            rng.normal(size=(num, 3)), rng.integers(3 if ties else 2, size=num),
            rng.uniform(0.5, 2.0, size=num), rng.normal(size=(num, num_columns)),
        ),
        group_start=np.concatenate([[0], np.cumsum(sizes)]),
        context=rng.normal(size=(12, 2)),
    )  # fmt: skip
    return data, GapModel(ties=ties), rng


MIXING = np.array([[1.0, 0.0], [0.6, 0.4], [0.2, 0.8], [0.0, 1.0]])


@pytest.mark.parametrize("ties", [None, "davidson"])
@pytest.mark.parametrize(
    "settings",
    [
        {"side": "outside"},
        {"side": "inside"},
        {"side": "outside", "balance": 0.7},
        {"side": "inside", "balance": 0.7},
        {"side": "outside", "mixing": MIXING, "log_weights": np.log([0.1, 0.4, 0.3, 0.2])},
    ],
)
def test_the_gradient_is_that_of_finite_differences(settings, ties):
    data, model, rng = small(3, num_columns=2, ties=ties)
    density = HeadMixtureDensity(data=data, model=model, num_heads=2, **settings)
    theta = rng.normal(size=density.cuts[-1])
    here, step = density.at(theta).gradient, 3e-3
    for place in range(len(theta)):
        axis = np.zeros(len(theta))
        axis[place] = step
        slope = (density.at(theta + axis).value - density.at(theta - axis).value) / (2 * step)
        assert slope == pytest.approx(here[place], abs=4e-3), place


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000))
def test_pooled_outside_it_is_the_likelihood_of_latent_classes(seed):
    data, model, rng = small(seed)
    density = HeadMixtureDensity(
        data=data, model=model, num_heads=2, head_precision=1e-12, router_precision=1e-12
    )
    theta = rng.normal(size=density.cuts[-1])
    num = len(data.pairs)
    features = np.zeros((num, 2, 3))
    features[:, 0] = data.pairs.features
    block = Block(
        kind="choice", features=features, offered=np.ones((num, 2), dtype=bool),
        option=np.tile([0, 1], (num, 1)), row=np.arange(num), group=data.group_of_row,
        weight=data.pairs.weight, answer={"chosen": data.pairs.answer},
    )  # fmt: skip
    batch = Batch(
        blocks=(block,), feature_names=("a", "b", "c"), option_names=("first", "second"),
        group_names=tuple("abcdefghijkl"), group_features=data.context, num_rows=num,
        fingerprint="",
    )  # fmt: skip
    slow = ClassDensity.from_batch(batch, 2).evaluate(theta)
    fast = density.at(theta)
    assert fast.value == pytest.approx(slow.value, abs=2e-5 * abs(slow.value))
    np.testing.assert_allclose(fast.gradient, slow.gradient, atol=2e-4)
    np.testing.assert_allclose(density.responsibilities(theta), slow.responsibility, atol=1e-5)


def test_texts_and_their_differences_are_two_layouts_of_the_same_pairs():
    rng = np.random.default_rng(0)
    texts = rng.normal(size=(9, 4)).astype(np.float32)
    first, second = rng.integers(9, size=40), rng.integers(9, size=40)
    answer, columns = rng.integers(2, size=40), np.ones((40, 1))
    by_text = HeadPairs(
        features=texts, first=first, second=second, answer=answer, weight=np.ones(40),
        columns=columns,
    )  # fmt: skip
    start, context = np.arange(0, 41, 2), rng.normal(size=(20, 1))
    one, two = (
        HeadMixtureDensity(
            data=GroupedPairs(pairs=pairs, group_start=start, context=context),
            model=GapModel(), num_heads=3,
        )
        for pairs in (by_text, as_pairs(texts[first] - texts[second], answer, columns=columns))
    )  # fmt: skip
    theta = rng.normal(size=one.cuts[-1])
    assert one.at(theta).value == pytest.approx(two.at(theta).value, rel=1e-6)
    np.testing.assert_allclose(one.at(theta).gradient, two.at(theta).gradient, atol=1e-4)


def test_pieces_do_not_change_the_sum(monkeypatch):
    data, model, rng = small(1)
    density = HeadMixtureDensity(data=data, model=model, num_heads=3)
    theta = rng.normal(size=density.cuts[-1])
    whole = density.at(theta)
    monkeypatch.setattr("penchant.fitting.head_mixture_density._STEP", 3)
    pieces = replace(data, context=data.context)
    assert len(pieces.chunks) > 5
    cut = replace(density, data=pieces).at(theta)
    assert cut.value == pytest.approx(whole.value, rel=1e-6)
    np.testing.assert_allclose(cut.gradient, whole.gradient, atol=1e-4)


def test_doubled_weights_are_every_person_met_twice():
    data, model, rng = small(5)
    density = HeadMixtureDensity(data=data, model=model, num_heads=2, head_precision=1e-9)
    theta = rng.normal(size=density.cuts[-1])
    heavy = replace(data, pairs=replace(data.pairs, weight=2 * data.pairs.weight))
    twice = data.take_groups(np.repeat(np.arange(12), 2))
    one, two = (replace(density, data=part).at(theta).value for part in (heavy, twice))
    assert one == pytest.approx(two, rel=1e-6)


# I5: which side of the link.
@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000))
def test_inside_the_link_constant_weights_make_one_head_of_the_mean(seed):
    data, model, rng = small(seed)
    blind = replace(data, context=np.zeros((12, 0)))
    many = HeadMixtureDensity(data=blind, model=model, num_heads=3, side="inside",
                              head_precision=1e-12, router_precision=1e-12)  # fmt: skip
    theta = rng.normal(size=many.cuts[-1])
    weight = many.prior_shares(theta)[0]
    mean = weight @ many.split(theta).heads
    one = replace(many, num_heads=1, side="outside")
    assert many.at(theta).value == pytest.approx(one.at(mean).value, rel=1e-5)


def test_the_two_sides_agree_where_everybody_has_one_head_and_nowhere_else():
    rng = np.random.default_rng(0)
    heads = RewardHeads(
        weights=np.array([[2.0, 0.0], [-2.0, 0.0]]), router=np.zeros((1, 1)), centre=np.zeros(0),
        scale=1.0, model=GapModel(), own=np.zeros(0), coefficients=np.zeros(0),
    )  # fmt: skip
    inside, x = replace(heads, pooled="inside"), rng.normal(size=(50, 2))
    even, sure = np.log([[0.5, 0.5]]), np.array([[0.0, -1e9]])
    np.testing.assert_allclose(
        heads.probabilities(x, sure), inside.probabilities(x, sure), atol=1e-12
    )
    mixed = replace(heads, weights=np.array([[4.0, 0.0], [0.0, 4.0]]))
    out = mixed.probabilities(x, even)[:, 0]
    within = replace(mixed, pooled="inside").probabilities(x, even)[:, 0]
    # People who differ look less decided than one mind with mixed feelings.
    same_way = np.sign(x[:, 0]) == np.sign(x[:, 1])
    assert np.abs(out - within).max() > 0.1
    np.testing.assert_allclose(out, 0.5 * (sigmoid(4 * x[:, 0]) + sigmoid(4 * x[:, 1])), atol=1e-12)
    np.testing.assert_allclose(within, sigmoid(2 * x.sum(axis=1)), atol=1e-12)
    clear = same_way & (np.abs(x).min(axis=1) > 1)
    assert (np.abs(out - 0.5) <= np.abs(within - 0.5))[clear].all()


def people(seed, num, each, angle, dims=10):
    """Of which kind somebody is shows in the first of five context features."""
    made = judge_pairs(two_tastes(angle, dims), num, each, np.random.default_rng(seed))
    return made.differences, made.answer, made.person, made.context, made.gap


def accuracy(heads, log_weights, x, gap):
    return float(np.mean((heads.probabilities(x, log_weights)[:, 0] > 0.5) == (gap > 0)))


# I4: antipodal blindness.
def test_single_answers_of_opposite_halves_say_nothing_and_two_of_each_person_do():
    known, told, later, _, gap = people(9, 600, 10, np.pi)
    rest = np.arange(len(told)) % 10 >= 5
    few = ~rest
    found = {}
    for each in (1, 2, 5):
        x, answer, group, _, _ = people(1, 2000, each, np.pi)
        heads = fit_head_mixture(
            as_pairs(x, answer), 2, rng=np.random.default_rng(0), group=group
        ).heads
        weights = heads.learned(
            heads.log_weights(np.zeros((1, 0))), known[few], told[few], later[few]
        )
        found[each] = accuracy(heads, weights[later[rest]], known[rest], gap[rest])
    assert found[1] == pytest.approx(0.5, abs=0.05)
    assert found[2] > 0.9
    assert found[5] > found[2] - 0.01


def test_a_context_that_shows_the_kind_makes_single_answers_enough():
    x, answer, _, context, _ = people(2, 4000, 1, np.pi)
    x_new, _, _, context_new, gap = people(3, 1000, 1, np.pi)
    found = fit_head_mixture(as_pairs(x, answer), 2, rng=np.random.default_rng(0), context=context)
    assert accuracy(found.heads, found.heads.log_weights(context_new), x_new, gap) > 0.95
    assert accuracy(found.heads.average(), np.log([[0.5, 0.5]]), x_new, gap) < 0.6
    # The mixture is not the one head, beside which climbs stay.
    assert found.gain_over_one > 500
    assert found.converged
    one = fit_linear_head(as_pairs(x, answer), GapModel(), has_covariance=False)
    assert float(np.mean((x_new @ one.weights > 0) == (gap > 0))) == pytest.approx(0.5, abs=0.1)


def test_inside_the_link_a_router_finds_the_trade_offs_of_one_mind():
    rng = np.random.default_rng(4)
    context = rng.uniform(-2, 2, size=(4000, 1))
    share = sigmoid(2 * context)
    x = rng.normal(size=(4000, 6))
    gap = (
        x * (share * two_tastes(np.pi / 2, 6)[0] + (1 - share) * two_tastes(np.pi / 2, 6)[1])
    ).sum(1)
    answer = (rng.random(4000) > sigmoid(gap)).astype(int)
    fits = {
        side: fit_head_mixture(as_pairs(x, answer), 2, rng=np.random.default_rng(0),
                               context=context, pooled=side)
        for side in ("inside", "outside")
    }  # fmt: skip
    assert fits["inside"].log_likelihood > fits["outside"].log_likelihood + 5
    heads = fits["inside"].heads
    said = np.exp(heads.log_weights(context)) @ heads.weights
    truth = share * two_tastes(np.pi / 2, 6)[0] + (1 - share) * two_tastes(np.pi / 2, 6)[1]
    assert np.corrcoef(said[:, 0], truth[:, 0])[0, 1] > 0.97


def test_one_head_is_the_linear_head():
    x, answer, _, _, _ = people(6, 3000, 1, np.pi / 2)
    found = fit_head_mixture(as_pairs(x, answer), 1, rng=np.random.default_rng(0), head_scale=1.0)
    head = fit_linear_head(as_pairs(x, answer), GapModel(), prior_scale=1.0)
    np.testing.assert_allclose(found.heads.weights[0], head.weights, atol=2e-3)
    assert found.log_likelihood == pytest.approx(head.log_likelihood, abs=0.01)


def test_the_order_of_the_rows_does_not_matter():
    x, answer, group, _, _ = people(7, 300, 4, np.pi / 2)
    order = np.random.default_rng(0).permutation(len(answer))
    one = fit_head_mixture(as_pairs(x, answer), 2, rng=np.random.default_rng(0), group=group)
    two = fit_head_mixture(
        as_pairs(x[order], answer[order]), 2, rng=np.random.default_rng(0), group=group[order]
    )
    assert one.log_likelihood == pytest.approx(two.log_likelihood, abs=0.02)
    np.testing.assert_allclose(one.responsibilities, two.responsibilities, atol=0.02)


def test_perfectly_predicted_answers_leave_finite_heads():
    x, _, group, _, gap = people(8, 200, 5, np.pi)
    answer = (gap < 0).astype(int)
    found = fit_head_mixture(as_pairs(x, answer), 2, rng=np.random.default_rng(0), group=group)
    assert np.isfinite(found.heads.weights).all()
    assert np.abs(found.heads.weights).max() < 100
    assert np.isfinite(found.log_likelihood)


def test_the_balance_term_evens_the_router_of_each_pair():
    x, answer, _, context, _ = people(2, 1500, 1, np.pi / 2)
    spread = [
        np.abs(np.exp(found.heads.log_weights(context)) - 0.5).mean()
        for found in (
            fit_head_mixture(as_pairs(x, answer), 2, rng=np.random.default_rng(0),
                             context=context, balance=balance)
            for balance in (0.0, 0.5)
        )
    ]  # fmt: skip
    assert spread[0] > 0.4
    assert spread[1] < 0.35


def test_hedge_at_rate_one_is_bayes_rule_and_at_zero_learns_nothing():
    x, answer, group, _, _ = people(9, 50, 4, np.pi / 2)
    heads = RewardHeads(
        weights=two_tastes(np.pi / 2, 10), router=np.zeros((1, 1)), centre=np.zeros(0), scale=1.0,
        model=GapModel(), own=np.zeros(0), coefficients=np.zeros(0),
    )  # fmt: skip
    before = np.log([[0.3, 0.7]])
    joint = np.log([0.3, 0.7]) + np.add.reduceat(
        heads.log_probs(x, answer), np.arange(0, 200, 4), axis=0
    )
    bayes = np.exp(joint) / np.exp(joint).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.exp(heads.learned(before, x, answer, group)), bayes, atol=1e-12)
    still = heads.learned(before, x, answer, group, learning_rate=0.0)
    np.testing.assert_allclose(np.exp(still), np.tile([0.3, 0.7], (50, 1)))
    half = heads.learned(before, x, answer, group, learning_rate=0.5)
    # One half and then one half of the same answers is the whole of them.
    again = heads.learned(half, x, answer, group, learning_rate=0.5)
    np.testing.assert_allclose(np.exp(again), bayes, atol=1e-12)


def test_what_cannot_be_fitted_is_refused_with_a_mend():
    x, answer, group, context, _ = people(2, 30, 2, np.pi)
    rng = np.random.default_rng(0)
    with pytest.raises(ConfigError, match="are one head"):
        fit_head_mixture(as_pairs(x, answer), 2, rng=rng, pooled="inside")
    with pytest.raises(DataError, match="every code from 0"):
        fit_head_mixture(as_pairs(x, answer), 2, rng=rng, group=2 * group)
    with pytest.raises(DataError, match="one line a group"):
        fit_head_mixture(as_pairs(x, answer), 2, rng=rng, context=context)
    x[3, 1] = np.nan
    with pytest.raises(DataError, match="text 3 "):
        fit_head_mixture(as_pairs(x, answer), 2, rng=rng, group=group)
    with pytest.raises(DataError, match="router was fitted on 0"):
        RewardHeads(
            weights=np.zeros((2, 3)), router=np.zeros((1, 1)), centre=np.zeros(0), scale=1.0,
            model=GapModel(), own=np.zeros(0), coefficients=np.zeros(0),
        ).log_weights(np.zeros((4, 2)))  # fmt: skip
    with pytest.raises(ConfigError, match="num_heads=0"):
        fit_head_mixture(as_pairs(x, answer), 0, rng=rng)


def test_few_pairs_and_more_heads_than_people_still_end():
    x, answer, group, _, _ = people(2, 3, 2, np.pi)
    found = fit_head_mixture(
        as_pairs(x, answer), 5, rng=np.random.default_rng(0), group=group,
        config=HeadMixtureConfig(num_starts=3),
    )  # fmt: skip
    assert found.responsibilities.shape == (3, 5)
    np.testing.assert_allclose(found.responsibilities.sum(axis=1), 1.0, atol=1e-6)


def test_heads_are_numbered_by_how_many_follow_them_and_everybody_keeps_theirs():
    made = judge_pairs(two_tastes(np.pi, 10), 300, 6, np.random.default_rng(1))
    group, kind = made.person, np.arange(300) % 4 == 0
    # A quarter has the second taste.
    gap = made.differences @ two_tastes(np.pi, 10)[0] * np.where(kind, -1, 1)[group]
    few = (np.random.default_rng(2).random(len(gap)) > sigmoid(gap)).astype(int)
    for seed in range(3):
        found = fit_head_mixture(
            as_pairs(made.differences, few), 2, rng=np.random.default_rng(seed), group=group
        )
        assert found.heads.weights[0, 0] > 0 > found.heads.weights[1, 0]
        assert found.responsibilities[kind, 1].mean() > 0.9
        assert found.responsibilities[~kind, 0].mean() > 0.9
        before = found.heads.log_weights(np.zeros((300, 0)))
        known = np.exp(found.heads.learned(before, made.differences, few, group))
        np.testing.assert_allclose(known, found.responsibilities, atol=1e-3)


def heads_with_everything(rng, mixing):
    """A router on two features of the context, ties, and a column of the pair."""
    rows = 0 if mixing is not None else 2
    return RewardHeads(
        weights=rng.normal(size=(3 if mixing is None else mixing.shape[1], 6)),
        router=rng.normal(size=(rows, 3)), centre=rng.normal(size=2), scale=1.7,
        model=GapModel(ties="davidson"), own=np.array([0.8]), coefficients=np.array([-0.6]),
        mixing=mixing,
    )  # fmt: skip


@pytest.mark.parametrize("mixing", [None, MIXING])
def test_saved_heads_say_the_same_and_nothing_else_is_read_for_them(tmp_path, mixing):
    rng = np.random.default_rng(4)
    heads = heads_with_everything(rng, mixing)
    heads.save(tmp_path / "heads")
    loaded = RewardHeads.load(tmp_path / "heads")
    context = rng.normal(size=(5, 2))
    before = heads.log_weights(context)
    np.testing.assert_array_equal(loaded.log_weights(context), before)
    asked = rng.normal(size=(30, 6)), rng.integers(0, 3, 30)
    columns = rng.normal(size=(30, 1))
    said = heads.log_probs(*asked, columns)
    np.testing.assert_array_equal(loaded.log_probs(*asked, columns), said)
    # Each part has its word in what is said, or to keep it would be shown by nothing.
    for other in (
        replace(heads, own=0.0 * heads.own), replace(heads, coefficients=0.0 * heads.coefficients),
        replace(heads, weights=0.0 * heads.weights),
    ):  # fmt: skip
        assert np.abs(other.log_probs(*asked, columns) - said).max() > 0.1
    if mixing is None:
        assert np.abs(replace(heads, scale=1.0).log_weights(context) - before).max() > 0.1
    save_value(GapModel(), tmp_path / "other")
    with pytest.raises(BeliefError, match="GapModel"):
        RewardHeads.load(tmp_path / "other")


def test_an_offset_that_no_head_would_hear_of_is_refused():
    pairs = judge_pairs(two_tastes(np.pi, 3, 1.0), 30, 4, np.random.default_rng(0)).pairs()
    with pytest.raises(DataError, match="a mixture of heads would not hear of"):
        fit_head_mixture(
            replace(pairs, offset=np.ones(len(pairs))), 2, rng=np.random.default_rng(0)
        )
