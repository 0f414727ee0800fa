"""Models of pairs on counts: compiled and plain alike, fits that obey the laws of comparison."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from penchant import BradleyTerry
from penchant.data.description import Description
from penchant.data.pair_counts import count_votes
from penchant.data.readers.read import read
from penchant.errors import ConfigError, DataError
from penchant.feedback import pairwise
from penchant.fitting import paired_density as density
from penchant.fitting.paired import PairedConfig, fit_paired
from penchant.fitting.paired_density import PairModel

MODELS = [
    PairModel(), PairModel(ties="davidson"), PairModel(ties="rao_kupper"), PairModel(link="probit"),
    PairModel(ties="rao_kupper", link="probit"),
]  # fmt: skip
FUSED = [model for model in MODELS if model.link == "logit"]


def names(count):
    return tuple(f"item {i}" for i in range(count))


def voted(strengths, num_votes, rng, tie_share=0.0):
    """Votes drawn from Bradley-Terry, some of them turned into ties."""
    N = len(strengths)
    first = rng.integers(0, N, num_votes)
    second = (first + rng.integers(1, N, num_votes)) % N
    chance = 1 / (1 + np.exp(strengths[second] - strengths[first]))
    outcome = np.where(rng.random(num_votes) < chance, 0, 1)
    outcome[rng.random(num_votes) < tie_share] = 2
    return first.astype(np.int32), second.astype(np.int32), outcome.astype(np.int8)


def world(seed, N=6, num_votes=200, tie_share=0.2):
    rng = np.random.default_rng(seed)
    strengths = rng.normal(size=N)
    votes = voted(strengths, num_votes, rng, tie_share)
    return strengths, votes, count_votes(names(N), *votes)


seeds = st.integers(0, 2**31)


@given(seeds, st.sampled_from(FUSED), st.floats(0.1, 60), st.floats(-3, 2))
def test_compiled_and_plain_slopes_agree_far_out_too(seed, model, spread, tie):
    _, _, counts = world(seed, num_votes=40)
    strengths = np.random.default_rng(seed + 1).normal(size=6) * spread
    fused = density.slopes(counts, strengths, tie, model)
    plain = density.slopes_plain(counts, strengths, tie, model)
    scale = counts.votes
    for name in ("gradient", "diagonal", "cross", "own_slope", "own_bend"):
        np.testing.assert_allclose(
            getattr(fused, name), getattr(plain, name), rtol=1e-9, atol=1e-11 * scale
        )
    # Single precision, and the plain twin of Davidson loses digits where a bend is next to nothing.
    np.testing.assert_allclose(fused.bend, plain.bend, rtol=1e-6, atol=1e-13 * scale)
    np.testing.assert_allclose(
        density.log_likelihood(counts, strengths, tie, model),
        density.log_likelihood_plain(counts, strengths, tie, model), rtol=1e-11,
    )  # fmt: skip


@given(seeds)
def test_bends_times_a_vector_are_those_of_the_plain_twin(seed):
    _, _, counts = world(seed, num_votes=40)
    rng = np.random.default_rng(seed)
    bend, vector = rng.random(counts.num_pairs).astype(np.float32), rng.normal(size=6)
    np.testing.assert_allclose(
        density.bend_times(counts, bend, vector), density.bend_times_plain(counts, bend, vector),
        rtol=1e-6, atol=1e-6,
    )  # fmt: skip


@given(seeds, st.sampled_from(MODELS), st.floats(-2, 1))
@settings(max_examples=40)
def test_the_likelihood_of_counts_is_that_of_the_votes_one_by_one(seed, model, tie):
    strengths, (first, second, outcome), counts = world(seed, num_votes=60)
    utilities = np.stack([strengths[first], strengths[second]], axis=1)
    own = np.full((1, 1), tie)
    if model.ties == "davidson":
        rows = pairwise.davidson_log_prob(utilities, outcome, own)
    elif model.ties == "rao_kupper":
        rows = pairwise.rao_kupper_log_prob(utilities, outcome, own, link=model.link)
    else:
        tied = outcome == 2
        ways = [
            pairwise.rao_kupper_log_prob(
                # A threshold of e^-40 is none.
                utilities,
                np.where(tied, side, outcome),
                np.full((1, 1), -40.0),
                link=model.link,
            )
            for side in (0, 1)
        ]
        rows = 0.5 * (ways[0] + ways[1])
    assert density.log_likelihood(counts, strengths, tie, model) == pytest.approx(rows.sum())


@given(seeds, st.sampled_from(MODELS), st.floats(-2, 1))
@settings(max_examples=40)
def test_slopes_are_those_of_the_likelihood(seed, model, tie):
    strengths, _, counts = world(seed, num_votes=60)
    found = density.slopes(counts, strengths, tie, model)
    step = 1e-5

    def value(vector, t):
        return density.log_likelihood(counts, vector, t, model)

    for i, e in enumerate(np.eye(6) * step):
        rise = (value(strengths + e, tie) - value(strengths - e, tie)) / (2 * step)
        assert found.gradient[i] == pytest.approx(rise, abs=1e-5)
        bend = density.slopes(counts, strengths - e, tie, model).gradient[i]
        bend -= density.slopes(counts, strengths + e, tie, model).gradient[i]
        assert found.diagonal[i] == pytest.approx(bend / (2 * step), abs=1e-4)
    if model.has_tie_parameter:
        rise = (value(strengths, tie + step) - value(strengths, tie - step)) / (2 * step)
        assert found.own_slope == pytest.approx(rise, abs=1e-5)
        up, down = (density.slopes(counts, strengths, tie + d, model) for d in (step, -step))
        np.testing.assert_allclose(
            found.cross, (down.gradient - up.gradient) / (2 * step), atol=1e-4
        )
        assert found.own_bend == pytest.approx((down.own_slope - up.own_slope) / (2 * step), 1e-4)


def config_of(model):
    return PairedConfig(ties=model.ties, link=model.link)


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_the_fit_stands_where_every_slope_is_zero(model):
    for seed in range(5):
        _, _, counts = world(seed, N=8, num_votes=400)
        fit = fit_paired(counts, config_of(model))
        assert fit.converged
        assert fit.warnings == ()
        found = density.slopes(counts, fit.strengths, fit.tie_parameter or 0.0, model)
        np.testing.assert_allclose(found.gradient, 0.0, atol=1e-5)
        assert found.own_slope == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("model", [m for m in MODELS if m.has_tie_parameter], ids=str)
def test_counts_give_the_estimate_of_the_votes_one_by_one(model):
    _, (first, second, outcome), counts = world(3, num_votes=500)
    data = pa.table({
        "left": [f"item {i}" for i in first], "right": [f"item {i}" for i in second],
        "winner": [("left", "right", "tie")[o] for o in outcome],
    })  # fmt: skip
    said = Description(layout="pairs", option_columns=("left", "right"), answer="winner")
    slow = BradleyTerry(ties=model.ties, link=model.link).fit(read(data, said).records)
    by_name = {row.name: row.estimate for row in slow.summary().coefficients}
    fit = fit_paired(counts, config_of(model))
    ours = dict(zip(counts.items, fit.strengths, strict=True))
    reference = next(name for name in ours if not any(name in full for full in by_name))
    for name, value in ours.items():
        if name != reference:
            theirs = next(e for full, e in by_name.items() if name in full)
            assert value - ours[reference] == pytest.approx(theirs, abs=1e-6)


@given(seeds, st.sampled_from(MODELS), st.permutations(range(6)))
@settings(max_examples=30)
def test_renaming_items_renames_their_strengths(seed, model, order):
    _, (first, second, outcome), counts = world(seed, num_votes=300)
    order = np.array(order, dtype=np.int32)
    fit = fit_paired(counts, config_of(model))
    renamed = fit_paired(count_votes(names(6), order[first], order[second], outcome),
                         config_of(model))  # fmt: skip
    np.testing.assert_allclose(renamed.strengths[order], fit.strengths, atol=1e-6)


@given(seeds, st.sampled_from(MODELS))
@settings(max_examples=30)
def test_who_loses_instead_of_winning_gets_the_opposite_strength(seed, model):
    _, (first, second, outcome), counts = world(seed, num_votes=300)
    turned = np.array([1, 0, 2], dtype=np.int8)[outcome]
    fit = fit_paired(counts, config_of(model))
    mirror = fit_paired(count_votes(names(6), first, second, turned), config_of(model))
    np.testing.assert_allclose(mirror.strengths, -fit.strengths, atol=1e-6)


@given(seeds, st.sampled_from(MODELS), st.floats(0.1, 50))
@settings(max_examples=30)
def test_weights_in_common_change_no_strength(seed, model, weight):
    _, votes, counts = world(seed, num_votes=300)
    assume(not fit_paired(counts).warnings)
    heavy = count_votes(names(6), *votes, np.full(300, weight))
    fits = [fit_paired(c, config_of(model)) for c in (counts, heavy)]
    np.testing.assert_allclose(fits[0].strengths, fits[1].strengths, atol=1e-6)
    assert fits[1].log_likelihood == pytest.approx(weight * fits[0].log_likelihood)


@given(seeds, st.sampled_from(["half", "davidson", "rao_kupper"]))
@settings(max_examples=20)
def test_a_voter_who_ties_everything_draws_items_together_and_keeps_their_order(seed, ties):
    rng = np.random.default_rng(seed)
    pairs = np.array([(i, j) for i in range(5) for j in range(i + 1, 5)], dtype=np.int32)
    first, second = np.repeat(pairs, 8, axis=0).T
    outcome = rng.integers(0, 2, len(first)).astype(np.int8)
    extra = np.full(len(pairs), 2, dtype=np.int8)
    # One tie at the start, so that both have a tie strength to estimate.
    before = count_votes(names(5), np.append(first, 0), np.append(second, 1), np.append(outcome, 2))
    after = count_votes(names(5), np.concatenate([[0], first, pairs[:, 0]]),
                        np.concatenate([[1], second, pairs[:, 1]]),
                        np.concatenate([[2], outcome, extra]))  # fmt: skip
    fits = [fit_paired(counts, PairedConfig(ties=ties)) for counts in (before, after)]
    assume(not fits[0].warnings)
    gaps = [fit.strengths[:, None] - fit.strengths for fit in fits]
    assert ((gaps[0] * gaps[1] > 0) | (np.abs(gaps[0]) < 0.06)).all()
    if ties == "half":
        assert np.ptp(fits[1].strengths) <= np.ptp(fits[0].strengths) + 1e-9


def test_truth_is_recovered_within_its_errors():
    inside = []
    for seed in range(20):
        truth, _, counts = world(seed, N=10, num_votes=4000)
        fit = fit_paired(counts, PairedConfig(ties="half"))
        # Half-wins flatten gaps where votes tie; drop ties for the check of strengths.
        hard = count_votes(names(10), *voted(truth, 4000, np.random.default_rng(seed)))
        fit = fit_paired(hard)
        error = fit.strengths - (truth - truth.mean())
        inside.append(np.abs(error) < 2.6 / np.sqrt(fit_information(hard, fit)))
    assert np.mean(inside) > 0.95


def fit_information(counts, fit):
    return density.slopes(counts, fit.strengths, 0.0, fit.model).diagonal


def test_an_item_that_never_loses_is_bounded_and_named():
    first, second = np.array([0, 0, 1, 2, 1]), np.array([1, 2, 2, 1, 2])
    counts = count_votes(("best", "b", "c"), first, second, np.array([0, 0, 0, 0, 0]))
    fit = fit_paired(counts)
    assert fit.converged
    assert fit.prior_scale == 5.0
    assert 1.0 < fit.strengths[0] - fit.strengths[1:].max() < 10.0
    assert any("`best` never lost" in text for text in fit.warnings)
    assert any("weak prior" in text and "`best`" in text for text in fit.warnings)
    assert fit.prior_weight[0] > 0.1
    assert fit.prior_weight[1:].tolist() == [0.0, 0.0]
    # The slope of the likelihood is what the prior answers: 2 expected losses against s / 25.
    gap = fit.strengths[0] - fit.strengths[1:].mean()
    pull = sum(1 / (1 + np.exp(fit.strengths[0] - s)) for s in fit.strengths[1:])
    assert pull == pytest.approx(gap / 25, abs=1e-6)


def test_the_others_do_not_feel_the_prior_of_an_item_far_above():
    rng = np.random.default_rng(0)
    first, second, outcome = voted(np.array([0.5, 0.0, -0.5, 0.2]), 400, rng)
    alone = fit_paired(count_votes(names(4), first, second, outcome))
    many = np.full(2000, 4)
    beaten = np.arange(2000) % 4
    with_best = fit_paired(count_votes(
        names(5), np.append(first, many), np.append(second, beaten),
        np.append(outcome, np.zeros(2000)).astype(np.int8),
    ))  # fmt: skip
    rest = with_best.strengths[:4] - with_best.strengths[:4].mean()
    np.testing.assert_allclose(rest, alone.strengths, atol=0.02)


def test_islands_are_fitted_as_if_alone_and_named():
    one, two = (voted(np.array([1.0, 0.0, -1.0]), 200, np.random.default_rng(s)) for s in (1, 2))
    both = count_votes(
        names(6), np.append(one[0], two[0] + 3), np.append(one[1], two[1] + 3),
        np.append(one[2], two[2]),
    )  # fmt: skip
    fit = fit_paired(both)
    for part, votes in ((slice(0, 3), one), (slice(3, 6), two)):
        alone = fit_paired(count_votes(names(3), *votes))
        np.testing.assert_allclose(fit.strengths[part], alone.strengths, atol=1e-7)
        assert fit.strengths[part].sum() == pytest.approx(0.0, abs=1e-9)
    assert any("2 islands" in text for text in fit.warnings)
    assert fit.prior is None


def test_items_seen_once_are_all_islands():
    count = 2000
    first = np.arange(0, count, 2, dtype=np.int32)
    fit = fit_paired(count_votes(names(count), first, first + 1, np.zeros(count // 2, np.int8)))
    assert fit.converged
    np.testing.assert_allclose(fit.strengths[::2], fit.strengths[0], atol=1e-7)
    assert fit.strengths[0] > 0.5


def test_a_prior_that_was_asked_for_shrinks_everybody():
    _, _, counts = world(0)
    free, held = fit_paired(counts), fit_paired(counts, PairedConfig(prior_scale=0.3))
    assert np.ptp(held.strengths) < np.ptp(free.strengths)
    assert (held.prior_weight > 0).all()
    found = density.slopes(counts, held.strengths, held.tie_parameter, held.model)
    np.testing.assert_allclose(found.gradient, held.strengths / 0.09, atol=1e-5)


def test_a_later_fit_starts_from_an_earlier_one():
    _, _, counts = world(0, N=20, num_votes=2000)
    fit = fit_paired(counts)
    steps = []
    again = fit_paired(counts, start=fit, on_step=lambda step, gain: steps.append(gain))
    assert again.iterations <= 1
    assert len(steps) == again.iterations
    np.testing.assert_allclose(again.strengths, fit.strengths, atol=1e-8)


def test_votes_without_ties_need_no_tie_strength():
    _, _, counts = world(0, tie_share=0.0)
    fits = [fit_paired(counts, PairedConfig(ties=ties)) for ties in ("davidson", "half", None)]
    assert [fit.tie_parameter for fit in fits] == [None] * 3
    np.testing.assert_allclose(fits[0].strengths, fits[2].strengths, atol=1e-12)


def test_ties_alone_leave_all_items_alike():
    counts = count_votes(("a", "b"), np.array([0]), np.array([1]), np.array([2]))
    fit = fit_paired(counts)
    assert fit.strengths.tolist() == [0.0, 0.0]
    assert any("Every vote is a tie" in text for text in fit.warnings)


def test_what_cannot_be_fitted_is_refused():
    _, _, counts = world(0)
    with pytest.raises(DataError, match="votes are ties"):
        fit_paired(counts, PairedConfig(ties=None))
    empty = count_votes(names(3), *(np.zeros(0, dtype=np.int32),) * 3)
    with pytest.raises(DataError, match="no votes between the 3 items"):
        fit_paired(empty)
    for wrong in ({"prior_scale": -1.0},
                  {"ties": "davidson", "link": "probit"}):  # fmt: skip
        with pytest.raises(ConfigError, match="expected"):
            PairedConfig(**wrong)
