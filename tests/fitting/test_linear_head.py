"""The head's fast climb against plain Newton, its prior against the evidence, and its errors."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from penchant.errors import ConfigError, DataError
from penchant.feedback.corrupted_pair import margin_log_prob
from penchant.feedback.gap import GapModel
from penchant.fitting import head_look_fused, head_pairs, head_start
from penchant.fitting.head_mixture_density import take_pairs
from penchant.fitting.head_pairs import HeadDensity, HeadPairs
from penchant.fitting.linear_head import HeadConfig, fit_linear_head
from penchant.numerics.arrays import log_sigmoid, sigmoid

DAVIDSON = GapModel(ties="davidson")


def world(num_texts=60, num_pairs=1500, dimensions=5, seed=0, log_tie=-0.5, bias=0.3, spread=1.0):
    """Pairs of texts whose true weights are known, ties and a favour for the first included."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((num_texts, dimensions)).astype(np.float32)
    weights = spread * rng.standard_normal(dimensions)
    first = rng.integers(0, num_texts, num_pairs)
    second = (first + rng.integers(1, num_texts, num_pairs)) % num_texts
    columns = np.ones((num_pairs, 1))
    pairs = HeadPairs(
        features=features, first=first, second=second, columns=columns,
        answer=np.zeros(num_pairs, dtype=np.int64), weight=np.ones(num_pairs),
    )  # fmt: skip
    odds = DAVIDSON.probabilities(pairs.gaps(weights, np.array([bias])), np.full((1, 1), log_tie))
    answer = (rng.random(num_pairs)[:, None] > np.cumsum(odds, axis=1)).sum(axis=1)
    return replace(pairs, answer=np.minimum(answer, 2)), weights


def newton_twin(pairs, model, prior_scale, steps=30):
    """Newton in float64 on the dense differences, derivatives by the model's general formulas."""
    everything = np.arange(len(pairs))
    design = np.column_stack([pairs.differences(everything).astype(float), pairs.columns])
    free, own = design.shape[1], model.num_own
    dimensions = pairs.features.shape[1]
    precision = np.full(free + own, 1e-6)
    precision[:dimensions] = prior_scale**-2
    theta = np.zeros(free + own)
    beside = 0.0 if pairs.offset is None else pairs.offset
    for _ in range(steps):
        found = model.respond_plainly(
            design @ theta[:free] + beside, pairs.answer, theta[None, free:]
        )
        w = pairs.weight
        gradient = np.concatenate([design.T @ (w * found.slope), w @ found.own_slope])
        information = np.zeros((free + own, free + own))
        information[:free, :free] = design.T @ (design * (w * found.bend)[:, None])
        cross = design.T @ (w[:, None] * found.cross)
        information[:free, free:], information[free:, :free] = cross, cross.T
        information[free:, free:] = np.tensordot(w, found.own_bend, 1)
        theta = theta + np.linalg.solve(
            information + np.diag(precision), gradient - precision * theta
        )
    return theta, np.linalg.inv(information + np.diag(precision)), w @ found.value


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.sampled_from([None, "davidson", "rao_kupper"]))
def test_the_climb_ends_where_newton_does(seed, ties):
    pairs, _ = world(seed=seed)
    model = GapModel(ties=ties)
    if ties is None:
        keep = pairs.answer < 2
        pairs = replace(
            pairs, first=pairs.first[keep], second=pairs.second[keep], answer=pairs.answer[keep],
            weight=pairs.weight[keep], columns=pairs.columns[keep],
        )  # fmt: skip
    # A sample of 2 pairs per parameter: the climb has to do the work.
    head = fit_linear_head(pairs, model, prior_scale=0.7, config=HeadConfig(subsample=2))
    theta, covariance, log_likelihood = newton_twin(pairs, model, 0.7)
    ours = np.concatenate([head.weights, head.coefficients, head.own])
    sd = np.sqrt(np.diag(covariance))
    assert head.converged
    # Features are float32: the gradient is known to a few 1e-4 of a standard error.
    np.testing.assert_array_less(np.abs(ours - theta) / sd, 5e-3)
    # As correlations of information, so that no entry hides behind a larger one.
    mine, twin = np.linalg.inv(head.covariance), np.linalg.inv(covariance)
    size = np.sqrt(np.diag(twin))
    np.testing.assert_allclose(mine / np.outer(size, size), twin / np.outer(size, size), atol=5e-4)
    # The likelihood is not at its own top there, so that it moves with the last digits of theta.
    assert head.log_likelihood == pytest.approx(log_likelihood, rel=1e-5)


def test_differences_and_texts_give_one_head():
    pairs, _ = world()
    apart = HeadPairs(
        features=pairs.differences(np.arange(len(pairs))), first=np.arange(len(pairs)), second=None,
        answer=pairs.answer, weight=pairs.weight, columns=pairs.columns,
    )  # fmt: skip
    one, other = (fit_linear_head(p, DAVIDSON, prior_scale=1.0) for p in (pairs, apart))
    np.testing.assert_allclose(one.weights, other.weights, atol=1e-4)
    # More texts than pairs: differences are fewer bytes, and are made.
    wide, _ = world(num_texts=500, num_pairs=300)
    assert wide.compact().second is None
    assert pairs.compact() is pairs


def test_swapping_the_sides_turns_the_bias_and_nothing_else():
    pairs, _ = world()
    swapped = replace(
        pairs, first=pairs.second, second=pairs.first, answer=np.array([1, 0, 2])[pairs.answer]
    )
    one, other = (fit_linear_head(p, DAVIDSON, prior_scale=1.0) for p in (pairs, swapped))
    np.testing.assert_allclose(one.weights, other.weights, atol=1e-4)
    np.testing.assert_allclose(one.coefficients, -other.coefficients, atol=1e-4)
    np.testing.assert_allclose(one.own, other.own, atol=1e-4)


def test_a_pair_of_weight_two_is_two_pairs():
    pairs, _ = world(num_pairs=400)
    twice = np.concatenate([np.arange(400), np.arange(100)])
    copied = replace(
        pairs, first=pairs.first[twice], second=pairs.second[twice], answer=pairs.answer[twice],
        weight=np.ones(500), columns=pairs.columns[twice],
    )  # fmt: skip
    weighed = replace(pairs, weight=np.where(np.arange(400) < 100, 2.0, 1.0))
    one, other = (fit_linear_head(p, DAVIDSON, prior_scale=1.0) for p in (copied, weighed))
    np.testing.assert_allclose(one.weights, other.weights, atol=2e-4)


def test_true_weights_lie_within_the_stated_doubt():
    standing = []
    for seed in range(30):
        pairs, weights = world(seed=seed, num_pairs=2000)
        head = fit_linear_head(pairs, DAVIDSON)
        standing.append((head.weights - weights) / np.sqrt(np.diag(head.covariance))[:5])
    scores = np.concatenate(standing)
    assert np.mean(np.abs(scores) < 1.96) == pytest.approx(0.95, abs=0.06)
    assert scores.std() == pytest.approx(1.0, abs=0.2)


def test_the_evidence_finds_the_spread_of_the_weights():
    found = []
    for spread in (0.1, 1.0):
        scales = [
            fit_linear_head(world(num_texts=300, num_pairs=4000, dimensions=40, seed=s,
                                  spread=spread)[0], DAVIDSON).prior_scale
            for s in range(5)
        ]  # fmt: skip
        found.append(np.mean(scales))
    np.testing.assert_allclose(found, [0.1, 1.0], rtol=0.3)


def test_the_climb_reports_each_pass_and_says_when_it_was_stopped():
    pairs, _ = world(dimensions=30, num_pairs=4000)
    seen = []
    whole = fit_linear_head(
        pairs, DAVIDSON, prior_scale=1.0, on_step=lambda step, value: seen.append(value)
    )
    assert whole.converged
    assert len(seen) == whole.iterations
    assert seen == sorted(seen)
    cut = fit_linear_head(
        pairs, DAVIDSON, prior_scale=1.0, has_covariance=False,
        config=HeadConfig(max_steps=1, subsample=1),
    )  # fmt: skip
    assert not cut.converged
    assert cut.covariance is None
    assert cut.gain_left > whole.gain_left


def test_unusable_pairs_are_refused():
    pairs, _ = world(num_pairs=50)
    broken = pairs.features.copy()
    broken[7, 2] = np.nan
    with pytest.raises(DataError, match=r"text 7 are not all finite numbers \(1 of 60"):
        fit_linear_head(replace(pairs, features=broken), DAVIDSON)
    with pytest.raises(DataError, match="total weight of 0"):
        fit_linear_head(replace(pairs, weight=np.zeros(50)), DAVIDSON)
    with pytest.raises(ConfigError, match="prior_scale=-1"):
        fit_linear_head(pairs, DAVIDSON, prior_scale=-1.0)


def test_steps_that_were_taken_are_counted():
    pairs, _ = world()
    for most in (1, 2, 200):
        seen = []
        head = fit_linear_head(
            pairs, DAVIDSON, prior_scale=1.0, config=HeadConfig(tolerance=0.0, max_steps=most),
            on_step=lambda step, value, seen=seen: seen.append(step),
        )  # fmt: skip
        # Without a tolerance the climb ends where float32 lets no step gain any more.
        assert seen == list(range(1, head.iterations + 1))
    assert head.iterations < 200


def test_many_dimensions_are_climbed_without_a_matrix_to_where_newton_ends(monkeypatch):
    pairs, _ = world(num_texts=400, num_pairs=6000, dimensions=30, spread=0.4)
    twin, covariance, _ = newton_twin(pairs, DAVIDSON, 0.5)
    monkeypatch.setattr(head_start, "LARGEST_MATRIX", 0)
    formed = []
    plain = HeadDensity.information
    monkeypatch.setattr(
        HeadDensity, "information", lambda self, theta: formed.append(1) or plain(self, theta)
    )
    head = fit_linear_head(pairs, DAVIDSON, prior_scale=0.5, has_covariance=False)
    ours = np.concatenate([head.weights, head.coefficients, head.own])
    assert head.converged
    assert not formed
    np.testing.assert_array_less(np.abs(ours - twin) / np.sqrt(np.diag(covariance)), 5e-3)


def test_a_subsample_speaks_for_its_own_pairs_alone_when_the_prior_scale_is_chosen():
    # Ten times the pairs of the subsample are no ten times the evidence: noise would pass for
    # spread. Here the subsample is two thirds noise, the truth 0.05.
    pairs, _ = world(num_texts=2000, num_pairs=20_000, dimensions=60, spread=0.05)
    head = fit_linear_head(pairs, DAVIDSON, config=HeadConfig(subsample=16))
    whole = fit_linear_head(pairs, DAVIDSON, config=HeadConfig(subsample=1000))
    assert head.prior_scale == pytest.approx(whole.prior_scale, rel=0.35)


def test_features_too_large_for_float32_sums_are_told_apart_from_missing_ones():
    pairs, _ = world(num_pairs=50)
    with pytest.raises(DataError, match=r"reach [\d.e+]+, so large that their sums"):
        head_start.check_numbers(pairs, np.array([np.inf]))


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.sampled_from([None, "davidson"]))
def test_an_offset_that_is_worths_moves_the_weights_by_those_worths(seed, ties):
    """f'(w - v) + f'v: what is known beforehand need not be learnt. Nearly free weights."""
    pairs, weights = world(seed=seed, num_pairs=2500)
    model = GapModel(ties=ties)
    if ties is None:
        pairs = take_pairs(pairs, np.flatnonzero(pairs.answer < 2))
    known = pairs.gaps(0.5 * weights, np.zeros(1))
    # A fifth of the pairs and less starts the climb: their offsets have to be theirs.
    few = HeadConfig(subsample=2)
    free = fit_linear_head(pairs, model, prior_scale=1e3, config=few)
    told = fit_linear_head(replace(pairs, offset=known), model, prior_scale=1e3, config=few)
    sd = np.sqrt(np.diag(free.covariance))[: len(weights)]
    apart = free.weights - 0.5 * weights - told.weights
    np.testing.assert_array_less(np.abs(apart) / sd, 0.02)
    assert told.log_likelihood == pytest.approx(free.log_likelihood, rel=1e-5)


def test_the_head_with_margins_is_at_the_top_of_the_margin_loss():
    pairs, _ = world(seed=3)
    pairs = take_pairs(pairs, np.flatnonzero(pairs.answer < 2))
    margin = np.random.default_rng(0).gamma(1.0, 1.0, len(pairs))
    sign = np.where(pairs.answer == 0, 1.0, -1.0)
    # More texts than pairs of them: the layout of differences keeps each pair's own margin.
    wide = replace(pairs, offset=-sign * margin, features=np.tile(pairs.features, (40, 1)))
    for shown in (replace(pairs, offset=-sign * margin), wide):
        head = fit_linear_head(shown, GapModel(), prior_scale=0.7)
        gap = sign * pairs.gaps(head.weights, head.coefficients)
        value = margin_log_prob(gap, margin)
        assert head.log_likelihood == pytest.approx(value.sum(), rel=1e-4)
        pull = pairs.gather(sign * (1.0 - np.exp(value))) - head.weights / 0.7**2
        assert np.abs(pull).max() < 1e-2
    assert wide.compact().second is None


def plain_pairs(seed, num_pairs, dimensions, *, spread=1.0, decay=0.0, weights=None):
    """Differences and who won, without ties: the case that compiled loops know."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((num_pairs, dimensions)).astype(np.float32)
    features *= np.exp(-decay * np.arange(dimensions)).astype(np.float32)
    # Directions that nearly say the same.
    features[:, 1:] += 0.7 * features[:, :-1]
    gaps = features @ (spread * rng.standard_normal(dimensions))
    return HeadPairs(
        features=features, first=np.arange(num_pairs), second=None,
        answer=(rng.logistic(size=num_pairs) > gaps).astype(np.int64),
        weight=np.ones(num_pairs) if weights is None else weights,
    )  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 3000), st.floats(0.01, 60.0))
def test_one_reading_tells_what_two_do(seed, dimensions, num_pairs, size):
    rng = np.random.default_rng(seed)
    pairs = plain_pairs(seed, num_pairs, dimensions, weights=rng.uniform(0.0, 3.0, num_pairs))
    density = HeadDensity(pairs=pairs, model=GapModel(), precision=np.ones(dimensions))
    step, gap = size * rng.standard_normal(dimensions), size * rng.standard_normal(num_pairs)
    shift, found, pull = head_look_fused.look(pairs.features, step, gap, pairs.answer, pairs.weight)
    assert not density._is_plain
    slow = density.look(gap, np.zeros(0), step)
    np.testing.assert_allclose(shift, slow.shift, rtol=1e-4, atol=1e-4 * size)
    exact = GapModel().respond(gap + shift, pairs.answer, np.zeros((1, 0)))
    for mine, theirs in zip(found, (exact.value, exact.slope, exact.bend)):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=1e-300)
    design = pairs.features.astype(float)
    noise = 1e-5 * np.sqrt(num_pairs) * np.abs(design).max(axis=0, initial=1e-9)
    assert (np.abs(pull - design.T @ (pairs.weight * exact.slope)) < noise + 1e-6).all()


HARD = {
    "ordinary": {},
    "nearly separable": {"spread": 40.0},
    "ill-conditioned": {"decay": 0.4},
    "hardly a choice": {"spread": 0.01},
    "few pairs": {"num_pairs": 30},
}


@pytest.mark.parametrize("world_of", HARD.values(), ids=HARD)
@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize("prior_scale", [0.05, 1.0, 30.0])
def test_large_fits_end_where_newton_does_in_hard_worlds_too(
    monkeypatch, world_of, is_weighted, prior_scale
):
    # The loops and the step on half of the pairs, which otherwise wait for a hundred thousand.
    monkeypatch.setattr(head_pairs, "LARGE", 0)
    monkeypatch.setattr(head_start, "_MANY", 1)
    size = {"num_pairs": 20_000, "dimensions": 20} | world_of
    rng = np.random.default_rng(1)
    weights = rng.integers(0, 4, size["num_pairs"]).astype(float) if is_weighted else None
    offset = 0.3 * rng.standard_normal(size["num_pairs"]) if is_weighted else None
    pairs = replace(plain_pairs(2, **size, weights=weights), offset=offset)

    def log_posterior(theta):
        gaps = pairs.features.astype(float) @ theta + (0.0 if offset is None else offset)
        value = GapModel().respond(gaps, pairs.answer, np.zeros((1, 0))).value
        return pairs.weight @ value - 0.5 * (theta @ theta) / prior_scale**2

    twin, covariance, _ = newton_twin(pairs, GapModel(), prior_scale, steps=60)
    head = fit_linear_head(pairs, GapModel(), prior_scale=prior_scale, has_covariance=False)
    assert head.converged
    np.testing.assert_array_less(np.abs(head.weights - twin) / np.sqrt(np.diag(covariance)), 2e-2)
    best = log_posterior(twin)
    quick = fit_linear_head(
        pairs, GapModel(), prior_scale=prior_scale, has_covariance=False,
        config=HeadConfig(tolerance=1e-3),
    )  # fmt: skip
    assert quick.converged
    # Where hardly a pair is in doubt the curvature falls as fast as the loss, and no share of it
    # can be told from afar: there it is the loss of knowing nothing that is divided.
    nothing = pairs.weight.sum() * np.log(2.0)
    assert best - log_posterior(quick.weights) <= 1e-3 * max(abs(best), 0.3 * nothing)
    assert quick.log_likelihood == pytest.approx(
        log_posterior(quick.weights) + 0.5 * (quick.weights @ quick.weights) / prior_scale**2,
        rel=1e-5, abs=1e-4,
    )  # fmt: skip


def test_pairs_of_a_subsample_keep_their_own_offset():
    """The climb would mend it; the evidence, which is asked on the subsample alone, would not."""
    pairs, weights = world(num_pairs=2500)
    none = np.zeros(1)
    given = replace(pairs, offset=pairs.gaps(weights, none))
    sample = head_start._subsample(given, 1024)
    assert len(sample) < len(pairs)
    np.testing.assert_allclose(sample.offset, sample.gaps(weights, none), atol=1e-5)


def awkward_pairs(name, num_pairs=3000, dimensions=30):
    """Worlds whose subsample tells little of all pairs, or whose curvature is lost in rounding."""
    rng = np.random.default_rng(5)
    features = rng.standard_normal((num_pairs, dimensions))
    answer = (rng.logistic(size=num_pairs) > features @ rng.standard_normal(dimensions)).astype(int)
    weight, offset = np.ones(num_pairs), np.zeros(num_pairs)
    if name == "a few weigh most":
        weight = rng.pareto(0.6, num_pairs)
    elif name == "a few tell most":
        features[: num_pairs // 50] *= 1000.0
    elif name == "texts in a plane":
        features = features[:, :2] @ rng.standard_normal((2, dimensions))
    elif name == "one pair again and again":
        features[:] = features[0]
    elif name == "margins on a scale of a hundred":
        offset = np.where(answer == 0, -30.0, 30.0)
    return HeadPairs(
        features=features.astype(np.float32), first=np.arange(num_pairs), second=None,
        answer=answer, weight=weight, offset=offset,
    )  # fmt: skip


@pytest.mark.parametrize("has_matrix", [True, False], ids=["by a matrix", "by products"])
@pytest.mark.parametrize("prior_scale", [0.1, 100.0])
@pytest.mark.parametrize(
    "name",
    ["a few weigh most", "a few tell most", "texts in a plane", "one pair again and again",
     "margins on a scale of a hundred"],
)  # fmt: skip
def test_awkward_pairs_are_climbed_to_the_top(monkeypatch, name, prior_scale, has_matrix):
    if not has_matrix:  # as beyond 640 parameters
        monkeypatch.setattr(head_start, "LARGEST_MATRIX", 0)
    pairs = awkward_pairs(name)
    head = fit_linear_head(pairs, GapModel(), prior_scale=prior_scale, has_covariance=False)
    assert head.converged
    design, sign = pairs.features.astype(float), np.where(pairs.answer == 0, 1.0, -1.0)

    def minus(theta):
        toward = sign * (design @ theta + pairs.offset)
        value = pairs.weight @ log_sigmoid(toward) - 0.5 * (theta @ theta) / prior_scale**2
        slope = design.T @ (pairs.weight * sign * sigmoid(-toward)) - theta / prior_scale**2
        return -value, -slope

    found = minimize(
        minus, head.weights, jac=True, method="L-BFGS-B", options={"maxiter": 3000, "ftol": 1e-14}
    )
    assert minus(head.weights)[0] - found.fun < 1e-6 * found.fun
    # A subsample that tells little does not tell either how much a rough climb leaves.
    quick = fit_linear_head(
        pairs, GapModel(), prior_scale=prior_scale, has_covariance=False,
        config=HeadConfig(tolerance=1e-3),
    )  # fmt: skip
    assert quick.converged
    assert minus(quick.weights)[0] - found.fun < 1e-3 * found.fun


@pytest.mark.parametrize("has_matrix", [True, False], ids=["by a matrix", "by products"])
def test_dimensions_that_say_the_same_twice_are_climbed_however_weak_the_prior(
    monkeypatch, has_matrix
):
    # A curvature that happens to have a factor, though its last digits are rounding.
    if not has_matrix:
        monkeypatch.setattr(head_start, "LARGEST_MATRIX", 0)
    half = plain_pairs(3, 1500, 12)
    twice = replace(half, features=np.tile(half.features, (1, 2)))
    head = fit_linear_head(twice, GapModel(), prior_scale=1e6, has_covariance=False)
    once = fit_linear_head(half, GapModel(), prior_scale=1e6, has_covariance=False)
    assert head.converged
    assert head.log_likelihood == pytest.approx(once.log_likelihood, rel=1e-6)
    np.testing.assert_allclose(head.weights[:12] + head.weights[12:], once.weights, atol=5e-3)


def in_texts(pairs):
    """Differences as those of texts, in another order, from a text of zeros."""
    features = np.concatenate([np.zeros_like(pairs.features[:1]), pairs.features[::-1]])
    first = np.arange(len(pairs), 0, -1)
    return replace(pairs, features=features, first=first, second=0 * first)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(1, 300), st.integers(1, 200))
def test_block_by_block_is_all_at_once(seed, dimensions, num_pairs, block):
    rng = np.random.default_rng(seed)
    pairs = replace(
        plain_pairs(seed, num_pairs, dimensions), columns=rng.standard_normal((num_pairs, 2))
    )
    weights, coefficients = rng.standard_normal(dimensions), rng.standard_normal(2)
    bend, design = rng.uniform(0.0, 2.0, num_pairs), pairs.features.astype(float)
    gap = design @ weights + pairs.columns @ coefficients
    for laid in (pairs, in_texts(pairs)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(head_pairs, "_BLOCK", block)
            seen, pull = laid.sweep(weights, coefficients, lambda rows, gaps: bend[rows] * gaps)
            squares = laid.squares(bend)
        np.testing.assert_allclose(seen, gap, rtol=1e-4, atol=1e-3)
        size = np.sqrt(num_pairs) * np.abs(design).max(initial=1.0) * np.abs(bend * gap).max()
        np.testing.assert_allclose(pull, design.T @ (bend * gap), rtol=1e-4, atol=1e-5 * size)
        np.testing.assert_allclose(squares, bend @ design**2, rtol=1e-4)


@pytest.mark.parametrize("ties", ["davidson", "rao_kupper"])
def test_a_look_in_blocks_is_a_look(monkeypatch, ties):
    # More pairs than a likelihood hears of at once, with ties, columns and offsets.
    pairs, weights = world(num_texts=9000, num_pairs=8700, dimensions=3)
    pairs = replace(pairs.compact(), offset=np.random.default_rng(0).standard_normal(len(pairs)))
    model = GapModel(ties=ties)
    density = HeadDensity(pairs=pairs, model=model, precision=np.ones(5))
    gap, own = pairs.gaps(0.5 * weights, np.zeros(1)), np.array([0.2])
    step = np.array([*weights, 0.4, 0.1])
    plain = model.respond_plainly(
        gap + pairs.gaps(weights, np.array([0.4])) + pairs.offset, pairs.answer, own[None] + 0.1
    )
    for block in (3 * 1000, 1 << 30):
        monkeypatch.setattr(head_pairs, "_BLOCK", block)
        seen = density.look(gap, own, step)
        for name in ("value", "slope", "bend", "own_slope", "cross", "own_bend"):
            np.testing.assert_allclose(
                getattr(seen.found, name), getattr(plain, name), rtol=1e-5, atol=1e-6
            )
        np.testing.assert_allclose(seen.gradient, density.gather(plain), rtol=1e-4, atol=1e-2)


def test_one_pair_in_so_many_is_no_copy_where_copies_are_dear(monkeypatch):
    pairs, _ = world(num_texts=900, num_pairs=800)
    pairs = replace(pairs, weight=np.arange(800.0), columns=np.arange(1600.0).reshape(800, 2))
    for laid in (pairs, pairs.compact()):
        some = laid.every(3)
        rows = np.arange(0, 800, 3)
        np.testing.assert_array_equal(some.features, pairs.differences(rows))
        for name in ("answer", "weight", "columns"):
            np.testing.assert_array_equal(getattr(some, name), getattr(pairs, name)[rows])
        assert not np.shares_memory(some.features, laid.features)
    monkeypatch.setattr(head_pairs, "LARGE", 0)
    apart = pairs.compact()
    assert np.shares_memory(apart.every(3).features, apart.features)
    np.testing.assert_array_equal(apart.every(3).features, some.features)
