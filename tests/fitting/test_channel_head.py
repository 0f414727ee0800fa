"""One head from every kind of feedback: the same truth, the same numbers where kinds coincide."""

from dataclasses import replace

import numpy as np
import pytest

from penchant.data.batch import Batch, Block
from penchant.errors import ConfigError, DataError
from penchant.feedback.channel_choice import Choice
from penchant.feedback.channel_option import Outcome, Rating
from penchant.feedback.channel_order import Ranking
from penchant.feedback.channel_pair import Pair
from penchant.feedback.gap import GapModel
from penchant.fitting.channel_head import (
    _density,
    _utility,
    channel_likelihood,
    fit_channel_head,
    joint_channels,
)
from penchant.fitting.evidence_scales import HELD, Evidence, HeldScales, log_evidence
from penchant.fitting.head_pairs import HeadPairs
from penchant.fitting.linear_head import fit_linear_head
from penchant.fitting.newton import NewtonConfig, maximise, with_prior
from penchant.fitting.pooled_density import PooledDensity
from penchant.utilities.embedded import Embedded

DIMENSIONS, TEXTS = 6, 50


def texts(seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((TEXTS, DIMENSIONS)).astype(np.float32), rng


def block_of(kind, option, answer, group=None, features=None):
    shape = option.shape
    return Block(
        kind=kind,
        features=np.zeros((*shape, 0)) if features is None else features,
        offered=option >= 0,
        option=option,
        row=np.arange(len(option)),
        group=np.zeros(len(option), dtype=np.int64) if group is None else group,
        weight=np.ones(len(option)),
        answer=answer,
    )


def batch_of(*blocks, people=1):
    return Batch(
        blocks=blocks,
        feature_names=tuple(f"x{d}" for d in range(blocks[0].features.shape[2])),
        option_names=tuple(f"t{t}" for t in range(TEXTS)),
        group_names=tuple(f"p{g}" for g in range(people)),
        group_features=np.zeros((people, 0)),
        num_rows=sum(map(len, blocks)),
    )


def menus(rng, count, size):
    return np.argsort(rng.random((count, TEXTS)), axis=1)[:, :size]


def pairs_block(rng, worth, count=800, kind="pair"):
    option = menus(rng, count, 2)
    gap = worth[option[:, 0]] - worth[option[:, 1]]
    outcome = (rng.random(count) > 1 / (1 + np.exp(-gap))).astype(np.int64)
    return block_of(kind, option, {"outcome" if kind == "pair" else "chosen": outcome})


def ranking_block(rng, worth, count=400, size=4):
    option = menus(rng, count, size)
    noisy = worth[option] + rng.gumbel(size=option.shape)
    rank = 1 + np.argsort(np.argsort(-noisy, axis=1), axis=1)
    return block_of("ranking", option, {"rank": rank})


def rating_block(rng, worth, count=1500, people=20, scale=0.6):
    """Raters whose thresholds are shifted by their own number."""
    option, group = rng.integers(0, TEXTS, (count, 1)), rng.integers(0, people, count)
    shift = rng.standard_normal(people)[group]
    heard = scale * worth[option[:, 0]] - shift + rng.logistic(size=count)
    level = np.searchsorted([-1.5, 0.0, 1.5], heard).astype(np.int64)
    return block_of("rating", option, {"level": level[:, None]}, group)


def correlation(head, weights):
    return np.corrcoef(head.weights, weights)[0, 1]


def test_one_pair_as_a_choice_a_pair_and_a_ranking_of_two_is_one_head():
    vectors, rng = texts()
    pairs = pairs_block(rng, vectors @ np.ones(DIMENSIONS))
    outcome = pairs.answer["outcome"]
    rank = np.stack([1 + outcome, 2 - outcome], axis=1)
    forms = {
        Pair(): pairs,
        Choice(): replace(pairs, kind="choice", answer={"chosen": outcome}),
        Ranking(): replace(pairs, kind="ranking", answer={"rank": rank}),
    }
    heads = [
        fit_channel_head(vectors, batch_of(block), (channel,), prior_scale=0.8)
        for channel, block in forms.items()
    ]
    for head in heads[1:]:
        np.testing.assert_allclose(head.weights, heads[0].weights, atol=2e-5)
        np.testing.assert_allclose(head.covariance, heads[0].covariance, atol=1e-5)
    # And the fast head of pairs ends at the same place.
    fast = fit_linear_head(
        HeadPairs(features=vectors, first=pairs.option[:, 0], second=pairs.option[:, 1],
                  answer=outcome, weight=pairs.weight),
        GapModel(), prior_scale=0.8,
    )  # fmt: skip
    np.testing.assert_allclose(heads[0].weights, fast.weights, atol=1e-3)
    np.testing.assert_allclose(heads[0].covariance, fast.covariance, atol=1e-4)
    assert heads[0].log_likelihood == pytest.approx(fast.log_likelihood, rel=1e-5)


def test_the_head_is_where_a_dense_fit_of_the_same_features_ends():
    from penchant.fitting.pooled import fit_pooled

    vectors, rng = texts(3)
    weights = rng.standard_normal(DIMENSIONS)
    makers = (pairs_block, ranking_block, rating_block)
    paired, *others = (make(rng, vectors @ weights) for make in makers)
    shown_first = np.zeros((*paired.option.shape, 1))
    shown_first[:, 0] = 1.0
    # Ties that are likelier where texts are alike, so that their strength goes with the weights.
    alike = np.abs(np.diff(vectors @ weights[:, None], axis=0)).mean()
    gap = np.ptp((vectors @ weights)[paired.option], axis=1)
    outcome = np.where(gap < 0.3 * alike, 2, paired.answer["outcome"])
    blocks = [replace(paired, features=shown_first, answer={"outcome": outcome})]
    blocks += [replace(b, features=np.zeros((*b.option.shape, 1))) for b in others]
    channels = (Pair(ties="davidson"), Ranking(), Rating(levels=4, by_person=True))
    head = fit_channel_head(vectors, batch_of(*blocks, people=20), channels, prior_scale=50.0)
    dense = batch_of(*(
        replace(b, features=np.concatenate([vectors[b.option].astype(float), b.features], axis=2))
        for b in blocks
    ), people=20)  # fmt: skip
    belief = fit_pooled(dense, channels=channels)
    ours = np.concatenate([head.weights, head.coefficients, head.own])
    error = np.sqrt(np.diag(belief.covariance))
    np.testing.assert_array_less(np.abs(ours - belief.theta) / error, 0.01)
    np.testing.assert_allclose(np.sqrt(np.diag(head.covariance)), error, rtol=0.01)


def test_every_kind_of_feedback_recovers_the_truth_and_all_together_do_best():
    errors = {"pair": [], "ranking": [], "rating": [], "all": []}
    for seed in range(5):
        vectors, rng = texts(seed)
        weights = rng.standard_normal(DIMENSIONS)
        worth = vectors @ weights
        blocks = {
            "pair": pairs_block(rng, worth),
            "ranking": ranking_block(rng, worth),
            "rating": rating_block(rng, worth),
        }
        for name in errors:
            mine = tuple(blocks.values()) if name == "all" else (blocks[name],)
            head = fit_channel_head(vectors, batch_of(*mine, people=20))
            assert head.converged
            # Of a single kind the scale is its own noise's; the direction is common to all.
            errors[name].append(1 - correlation(head, weights))
    mean = {name: np.mean(each) for name, each in errors.items()}
    assert max(mean.values()) < 0.02
    assert mean["all"] < min(mean["pair"], mean["ranking"], mean["rating"])


def test_a_kind_of_feedback_with_more_noise_is_heard_through_a_scale_of_its_own():
    scales = []
    for seed in range(3):
        vectors, rng = texts(seed)
        weights = rng.standard_normal(DIMENSIONS)
        worth = vectors @ weights
        batch = batch_of(pairs_block(rng, worth, 2000), rating_block(rng, worth, 3000), people=20)
        channels = joint_channels(batch)
        head = fit_channel_head(vectors, batch, channels)
        names = [name for channel in channels for name in channel.parameter_names(batch)]
        scales.append(head.own[names.index("log scale of rating")])
        # Rewards are in the logits of pairs, whatever the ratings' noise.
        error = np.sqrt(np.diag(head.covariance))[:DIMENSIONS]
        assert np.abs(head.weights - weights).max() < 4.5 * error.max()
    assert np.mean(scales) == pytest.approx(np.log(0.6), abs=0.12)


def test_raters_who_differ_in_their_thresholds_do_not_bias_the_head():
    """Harsh raters who see the better half of the texts make them look worse."""
    rng = np.random.default_rng(0)
    vectors, _ = texts()
    weights = np.array([1.5, 0, 0, 0, 0, 0])
    worth = vectors @ weights
    good, bad = np.flatnonzero(worth > 0), np.flatnonzero(worth <= 0)
    group = rng.integers(0, 20, 4000)
    option = np.where(group < 10, rng.choice(good, 4000), rng.choice(bad, 4000))
    # One in five looks at any text, so that raters can be compared.
    option = np.where(rng.random(4000) < 0.2, rng.integers(0, TEXTS, 4000), option)
    heard = worth[option] - np.where(group < 10, 2.0, -2.0) + rng.logistic(size=4000)
    level = np.searchsorted([-1.5, 0.0, 1.5], heard)[:, None].astype(np.int64)
    batch = batch_of(block_of("rating", option[:, None], {"level": level}, group), people=20)
    personal = fit_channel_head(vectors, batch, (Rating(levels=4, by_person=True, shift_scale=2),))
    common = fit_channel_head(vectors, batch, (Rating(levels=4),))
    assert personal.weights[0] == pytest.approx(1.5, abs=0.2)
    assert common.weights[0] < 0.9


def test_what_cannot_be_fitted_is_refused():
    vectors, rng = texts()
    block = pairs_block(rng, vectors @ np.ones(DIMENSIONS), 40)
    batch = batch_of(block)
    broken = vectors.copy()
    broken[3, 1] = np.nan
    with pytest.raises(DataError, match=r"embedding of text 3 is not all finite numbers \(1 of 50"):
        fit_channel_head(broken, batch)
    with pytest.raises(DataError, match="no weight at all"):
        fit_channel_head(vectors, batch_of(replace(block, weight=np.zeros(40))))
    with pytest.raises(ConfigError, match="prior_scale=0"):
        fit_channel_head(vectors, batch, prior_scale=0)
    with pytest.raises(DataError, match="there are 5 embeddings"):
        fit_channel_head(vectors[:5], batch)
    with pytest.raises(DataError, match="kind 'pair', which this model has no likelihood for"):
        fit_channel_head(vectors, batch, (Choice(),))


def test_a_climb_that_was_cut_short_is_no_convergence():
    vectors, rng = texts()
    batch = batch_of(pairs_block(rng, 3 * vectors @ np.ones(DIMENSIONS)))
    cut = fit_channel_head(
        vectors, batch, prior_scale=1.0, config=NewtonConfig(max_steps=1, tolerance=1e-9)
    )
    assert not cut.converged
    assert cut.gain_left > 1e-3


def numbers_of_raters(seed, people=30, each=12):
    """Numbers whose raters have levels and ranges of their own, far apart beside what texts say."""
    vectors, rng = texts(seed)
    truth = rng.standard_normal(DIMENSIONS)
    option = rng.integers(0, TEXTS, (people * each, 1))
    group = np.repeat(np.arange(people), each)
    level, wide = 4.0 * rng.standard_normal(people), np.exp(0.4 * rng.standard_normal(people))
    heard = (vectors @ truth)[option[:, 0]] + 0.5 * rng.standard_normal(people * each)
    value = (20.0 + level[group] + wide[group] * heard)[:, None]
    batch = batch_of(block_of("outcome", option, {"value": value}, group), people=people)
    return vectors, truth, batch, level - level.mean(), wide


def test_raters_with_levels_and_ranges_of_their_own_are_heard_alike():
    nearness = []
    for seed in range(3):
        vectors, truth, batch, level, wide = numbers_of_raters(seed)
        (channel,) = joint_channels(batch)
        assert channel.by_person
        found = fit_channel_head(vectors, batch)
        deaf = fit_channel_head(vectors, batch, (Outcome(has_intercept=True),))
        nearness.append([np.corrcoef(head.weights, truth)[0, 1] for head in (found, deaf)])
        own = found.own[2:].reshape(-1, 2)
        assert np.corrcoef(own[:, 0], level)[0, 1] > 0.97
        assert np.corrcoef(own[:, 1], np.log(wide))[0, 1] > 0.7
    own_level, one_level = np.array(nearness).T
    assert (own_level > 0.99).all()
    assert (own_level > one_level).all()


def test_a_rater_that_nobody_shifted_for_is_the_average_one():
    _, _, batch, _, _ = numbers_of_raters(0)
    channel = Outcome(has_intercept=True, by_person=True)
    parameters = np.concatenate([[0.0, 3.0], np.arange(60.0)])
    stranger = replace(batch, group_names=("p1", "somebody else", *batch.group_names[2:]))
    moved = channel.transfer(parameters, batch.group_names, stranger)
    np.testing.assert_array_equal(moved[:6], [0.0, 3.0, 2.0, 3.0, 0.0, 0.0])
    with pytest.raises(ConfigError, match="has_intercept=False"):
        Outcome(by_person=True)


def few_answers(seed, size=1.0):
    """Forty of each kind in 24 dimensions, most of which the truth foretells for sure."""
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((TEXTS, 24)).astype(np.float32)
    weights = size * rng.standard_normal(24)
    worth = vectors @ weights
    blocks = (pairs_block(rng, worth, 40), pairs_block(rng, worth, 40, "choice"),
              ranking_block(rng, worth, 40, 3))  # fmt: skip
    return vectors, weights, batch_of(*blocks)


@pytest.mark.parametrize("size", [0.3, 1.0])
def test_few_answers_of_several_kinds_find_the_size_of_rewards(size):
    """Climbed along with the weights, scales of kinds made them a fifth of what they are."""
    ratios, scales = [], []
    for seed in range(2):
        vectors, weights, batch = few_answers(seed, size)
        head = fit_channel_head(vectors, batch)
        assert head.converged
        ratios.append(np.linalg.norm(head.weights) / np.linalg.norm(weights))
        scales += head.own.tolist()
    assert 0.6 < np.exp(np.mean(np.log(ratios))) < 1.5
    assert 0.4 < min(ratios) <= max(ratios) < 2.0
    # All kinds were as sharp as each other.
    assert abs(np.mean(scales)) < 0.35


def test_scales_are_where_the_evidence_is_largest():
    """By the plainest way: each scale a little off, with the weights integrated out anew."""
    vectors, _, batch = few_answers(1)
    head = fit_channel_head(vectors, batch)
    held, precision = channel_likelihood(vectors, batch, head=head)

    def evidence(scale, values):
        changed = precision.copy()
        changed[:24] = (scale * head.prior_scale) ** -2.0
        moved = replace(held, values=values)
        theta = head.theta.copy()
        theta[held.places] = values
        summit = maximise(with_prior(moved.evaluate, changed), theta)
        beside = 0.5 * float(((values / 0.5) ** 2).sum())
        return log_evidence(summit, changed) - beside

    best = evidence(1.0, held.values)
    for off in (-0.15, 0.15):
        assert evidence(np.exp(off), held.values) < best
        for place in range(len(held.values)):
            beside = held.values + off * (np.arange(len(held.values)) == place)
            assert evidence(1.0, beside) < best


def test_evidence_of_numbers_alone_is_that_of_a_normal_law():
    """Of numbers with known noise Laplace's approximation is exact."""
    rng = np.random.default_rng(0)
    vectors, option = texts()[0], rng.integers(0, TEXTS, (30, 1))
    value = rng.standard_normal((30, 1))
    batch = batch_of(block_of("outcome", option, {"value": value}))
    density = PooledDensity(
        batch=batch, utility=Embedded(vectors=vectors.astype(np.float64)), channels=(Outcome(),),
        sizes=(1,), prior_precision=np.zeros(DIMENSIONS + 1),
    )  # fmt: skip
    place, told = np.array([DIMENSIONS]), []
    x = vectors[option[:, 0]].astype(np.float64)
    for noise, scale in ((0.5, 1.0), (0.8, 0.3), (1.3, 2.0)):
        held = HeldScales(density=density, places=place, values=np.log([noise]))
        precision = np.append(np.full(DIMENSIONS, scale**-2.0), HELD)
        start = np.append(np.zeros(DIMENSIONS), np.log(noise))
        ours = log_evidence(maximise(with_prior(held.evaluate, precision), start), precision)
        law = scale**2 * x @ x.T + noise**2 * np.eye(30)
        theirs = -0.5 * (30 * np.log(2 * np.pi) + np.linalg.slogdet(law)[1]
                         + value[:, 0] @ np.linalg.solve(law, value[:, 0]))  # fmt: skip
        told.append(ours - theirs)
    np.testing.assert_allclose(told, told[0], atol=1e-6)


def test_what_is_held_stays_and_the_rest_is_as_if_it_were_known():
    vectors, _, batch = few_answers(0)
    head = fit_channel_head(vectors, batch)
    held, precision = channel_likelihood(vectors, batch, head=head)
    there = held.slope(head.theta)
    np.testing.assert_allclose(there.gradient, precision * head.theta, atol=1e-3)
    assert there.value == pytest.approx(head.log_likelihood + 0.5 * HELD * (held.values**2).sum())
    moved = head.theta + 0.1 * np.random.default_rng(1).standard_normal(len(head.theta))
    for n in (0, 13, *held.places):
        step = 1e-5 * (np.arange(len(moved)) == n)
        ends = [held.slope(moved + sign * step) for sign in (1, -1)]
        slope = (ends[0].value - ends[1].value) / 2e-5
        assert slope == pytest.approx(held.slope(moved).gradient[n], rel=1e-4, abs=1e-3)
        bend = (ends[1].gradient - ends[0].gradient) / 2e-5
        np.testing.assert_allclose(held.information(moved)[n], bend, atol=1e-3)


def numbers_block(rng, worth, count, unit=1.0, level=0.0):
    option = rng.integers(0, TEXTS, (count, 1))
    value = unit * (level + worth[option] + 0.5 * rng.standard_normal((count, 1)))
    return block_of("outcome", option, {"value": value})


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_numbers_in_another_unit_teach_the_same_beside_other_feedback(unit):
    """No prior may speak of a unit, nor of where numbers begin: of scales, noise, intercepts."""
    vectors, rng = texts(2)
    worth = vectors @ rng.standard_normal(DIMENSIONS)
    value = numbers_block(rng, worth, 60, level=1000.0)
    pairs, ranked = pairs_block(rng, worth, 60), ranking_block(rng, worth, 40)

    def fit(unit):
        numbers = replace(value, answer={"value": unit * value.answer["value"]})
        heads = [
            fit_channel_head(vectors, batch_of(*blocks))
            for blocks in ((pairs, numbers), (numbers, ranked))
        ]
        assert all(head.converged for head in heads)
        # Numbers alone set the unit of the worths, and the ranking is heard in theirs.
        return heads[0].weights, heads[1].weights / unit

    for ours, theirs in zip(fit(unit), fit(1.0)):
        np.testing.assert_allclose(ours, theirs, rtol=1e-2, atol=1e-3)
        assert np.linalg.norm(ours) > 1.0


@pytest.mark.parametrize("count", [1, 5, 40])
def test_few_numbers_beside_pairs_leave_rewards_their_size(count):
    """Numbers that as many weights foretell without a fault have no noise that is the likeliest,
    and made all rewards a thousandth of what they are."""
    vectors, rng = texts(1)
    weights = rng.standard_normal(DIMENSIONS)
    worth = vectors @ weights
    head = fit_channel_head(
        vectors, batch_of(pairs_block(rng, worth, 40), numbers_block(rng, worth, count))
    )
    assert head.converged
    assert 0.4 < np.linalg.norm(head.weights) / np.linalg.norm(weights) < 2.0
    assert np.linalg.eigvalsh(head.covariance).min() > 1e-6
    assert 0.0 < head.effective <= len(head.theta)


def test_scales_count_as_parameters_that_answers_determine_in_part():
    vectors, _, batch = few_answers(1)
    head = fit_channel_head(vectors, batch)
    places = np.arange(len(head.theta)) >= len(head.weights)
    precision = np.where(places, 1 / 0.5**2, head.prior_scale**-2)
    determined = 1.0 - precision * np.diag(head.covariance)
    assert head.effective == pytest.approx(determined.sum())
    assert (determined > 0).all()
    # No doubt about a scale is larger than before any data.
    assert (np.diag(head.covariance)[places] <= 0.5**2).all()


def test_the_slope_of_the_evidence_is_that_of_its_values():
    vectors, _, batch = few_answers(2)
    narrow = np.ascontiguousarray(vectors[:, :4])
    density, start = _density(_utility(narrow), batch, joint_channels(batch))
    base = density.prior_precision + 1e-6
    base[:4] = 0.0
    places = np.flatnonzero(density.prior_precision > 0)
    evidence = Evidence(density=density, base=base, places=places, dimensions=4, scale=0.7,
                        is_open=True)  # fmt: skip

    def at(h):
        held, precision = evidence.held(h)
        theta = start.copy()
        theta[places] = held.values
        return evidence.at(h, maximise(with_prior(held.evaluate, precision), theta), precision)

    h = np.array([0.4, -0.3, 0.2])
    _, slope = at(h)
    for c in range(3):
        step = 1e-4 * (np.arange(3) == c)
        assert slope[c] == pytest.approx((at(h + step)[0] - at(h - step)[0]) / 2e-4, abs=0.01)
