"""One answer at a time, of any kind, ends where its likelihood says."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from penchant.beliefs.normal_law import DiagonalNormal, FullNormal
from penchant.beliefs.online_worths import OnlineWorths
from penchant.errors import BeliefError, ConfigError, DataError
from penchant.feedback.channel_choice import Choice
from penchant.feedback.channel_option import Approval, Binary, Outcome, Rating
from penchant.feedback.channel_order import BestWorst, Ranking
from penchant.feedback.channel_pair import GradedPair, Pair
from penchant.fitting.online_answers import OnlineAnswers, block_of, nothing_known
from penchant.fitting.online_linear import OnlineLinear

D = 3
# Each channel with an answer on a menu of so many options.
CASES = [
    (Choice(), 4, {"chosen": np.int64(2)}),
    (Ranking(), 4, {"rank": np.array([2, 1, 0, 3])}),
    (BestWorst(), 4, {"best": np.int64(1), "worst": np.int64(3)}),
    (Pair(), 2, {"outcome": np.int64(1)}),
    (Pair(ties="davidson"), 2, {"outcome": np.int64(2)}),
    (GradedPair(levels=5), 2, {"grade": np.int64(4)}),
    (Rating(levels=4), 2, {"level": np.array([3, 1])}),
    (Binary(), 3, {"success": np.array([1, 0, -1])}),
    (Approval(), 3, {"approved": np.array([True, False, True])}),
    (Outcome(has_intercept=True), 2, {"value": np.array([1.5, -0.3])}),
]
NAMES = [f"{type(c).__name__}{'' if getattr(c, 'ties', 0) in (0, None) else 'Ties'}"
         for c, _, _ in CASES]  # fmt: skip


def prior(rng, num=D):
    half = rng.normal(size=(num, num))
    return FullNormal.of(rng.normal(size=num), half @ half.T / num + 0.1 * np.eye(num))


def covariance(law):
    return law.covariance_of(np.eye(len(law.mean)))


@pytest.mark.parametrize(("channel", "K", "answer"), CASES, ids=NAMES)
@given(seed=st.integers(0, 10_000), weight=st.sampled_from([1.0, 0.3, 2.5]))
@example(seed=508, weight=1.0)
@settings(max_examples=4, deadline=None)
def test_an_answer_moves_belief_to_the_mode_and_adds_the_information_there(
    channel, K, answer, seed, weight
):
    """The slow twin: all of theta at once, its Hessian by differences of the log-likelihood."""
    rng = np.random.default_rng(seed)
    learner = OnlineAnswers(nothing_known([channel], prior(rng), noise=0.7))
    before, features = learner.belief_, rng.normal(size=(K, D))
    learner.learn(features, channel.kind, answer, weight=weight)
    after, block = learner.belief_, block_of(K, channel.kind, answer)
    is_free = np.diag(covariance(before.law)) > 0
    precision = np.linalg.inv(covariance(before.law)[np.ix_(is_free, is_free)])

    def loss(free):
        theta = before.law.mean.copy()
        theta[is_free] = free
        gap = free - before.law.mean[is_free]
        log_prob = channel.log_prob((features @ theta[:D])[None], block, theta[D:])
        return 0.5 * gap @ precision @ gap - weight * float(log_prob[0])

    mode = after.law.mean[is_free]
    step = 1e-4 * np.eye(len(mode))
    slope = [(loss(mode + a) - loss(mode - a)) / 2e-4 for a in step]
    np.testing.assert_allclose(slope, 0.0, atol=1e-6)
    hessian = np.array([[
        (loss(mode + a + b) - loss(mode + a - b) - loss(mode - a + b) + loss(mode - a - b))
        / 4e-8 for a in step] for b in step])  # fmt: skip
    told = np.linalg.inv(covariance(after.law)[np.ix_(is_free, is_free)])
    near = 2e-5 * np.abs(hessian).max()
    if np.linalg.eigvalsh(hessian - precision)[0] > -near:
        np.testing.assert_allclose(told, hessian, atol=near)
    else:
        # Directions in which an answer bends the other way are left out: no belief gets wider.
        assert np.linalg.eigvalsh(told - hessian)[0] > -near
        assert np.linalg.eigvalsh(told - precision)[0] > -near


@given(seed=st.integers(0, 10_000))
@settings(max_examples=4, deadline=None)
def test_rewards_with_normal_noise_are_ridge_regression_on_all(seed):
    rng = np.random.default_rng(seed)
    law = prior(rng)
    learner = OnlineAnswers(nothing_known([Outcome()], law, noise=0.7))
    x, reward = rng.normal(size=(40, D)), rng.normal(size=40)
    evidence = sum(
        learner.learn(x[t : t + 1], "outcome", {"value": reward[t : t + 1]}) for t in range(40)
    )
    precision = np.linalg.inv(covariance(law)) + x.T @ x / 0.49
    mean = np.linalg.solve(
        precision, np.linalg.solve(covariance(law), law.mean) + x.T @ reward / 0.49
    )
    found = learner.belief_
    np.testing.assert_allclose(found.part_worths, mean, atol=1e-8)
    np.testing.assert_allclose(covariance(found.law)[:D, :D], np.linalg.inv(precision), atol=1e-9)
    whole = x @ covariance(law) @ x.T + 0.49 * np.eye(40)
    gap = reward - x @ law.mean
    log_density = -0.5 * (
        gap @ np.linalg.solve(whole, gap) + np.linalg.slogdet(2 * np.pi * whole)[1]
    )
    assert evidence == pytest.approx(log_density, abs=1e-7)


def test_clicks_are_learnt_as_by_the_bandit_of_lone_arms():
    rng = np.random.default_rng(3)
    arm = OnlineLinear.empty(1, D, prior_precision=0.5, forgetting=1.0, is_binary=True)
    law = FullNormal.of(np.zeros(D), 2.0 * np.eye(D))
    # A bar that is known: the arm has none.
    learner = OnlineAnswers(nothing_known([Binary()], law, own_scale=1e-9))
    for _ in range(25):
        x, success = rng.normal(size=D), int(rng.random() < 0.4)
        arm.learn(0, x, float(success), 1.0)
        learner.learn(x[None], "binary", {"success": np.array([success])})
    np.testing.assert_allclose(learner.belief_.part_worths, arm.mean[0], atol=1e-7)
    np.testing.assert_allclose(
        covariance(learner.belief_.law)[:D, :D], arm.covariance[0], atol=1e-7
    )


def simulated(rng, weights, channel_kinds, num):
    """Menus of four, answered by somebody with these weights, the kinds in turn."""
    for t in range(num):
        x = rng.normal(size=(4, D))
        noisy = x @ weights + rng.gumbel(size=4)
        order = np.argsort(-noisy)
        kind = channel_kinds[t % len(channel_kinds)]
        rank = np.empty(4, dtype=np.int64)
        rank[order] = [1, 2, 0, 0]
        level = np.digitize(x[:1] @ weights + rng.logistic(size=1), [-1.0, 0.5, 1.5])
        yield {
            "choice": (x, kind, {"chosen": np.int64(order[0])}),
            "ranking": (x, kind, {"rank": rank}),
            "pair": (x[:2], kind, {"outcome": np.int64(noisy[0] < noisy[1])}),
            "rating": (x[:1], kind, {"level": level}),
            "outcome": (x, kind, {"value": x @ weights + 0.5 * rng.normal(size=4)}),
            "binary": (
                x[:1],
                kind,
                {"success": (x[:1] @ weights + rng.logistic(size=1) > 1.0) * 1},
            ),
        }[kind]


CHANNELS = [Choice(), Ranking(), Pair(), Rating(levels=4), Outcome(), Binary()]


def test_all_kinds_together_find_the_part_worths_that_made_them():
    far = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        truth = rng.normal(size=D)
        law = FullNormal.of(np.zeros(D), np.eye(D))
        # Rewards are surer than all else; here they come in one of six answers.
        learner = OnlineAnswers(nothing_known(CHANNELS, law, noise=0.5))
        kinds = [channel.kind for channel in CHANNELS]
        for x, kind, answer in simulated(rng, truth, kinds, 72):
            learner.learn(x, kind, answer)
        found = learner.belief_
        gap = found.part_worths - truth
        far.append(gap @ np.linalg.solve(covariance(found.law)[:D, :D], gap))
        # Thresholds are those of the simulation: the first at -1, the bar at 1.
        assert found.own_parameters("rating")[0] == pytest.approx(-1.0, abs=1.5)
        assert found.own_parameters("binary")[0] == pytest.approx(1.0, abs=1.5)
    # Chi-square with 9 degrees of freedom: 99.9 % lies below 27.9, 0.1 % below 1.15.
    assert 1.15 < sum(far) < 27.9


@pytest.mark.parametrize("kind", ["choice", "pair", "rating"])
def test_what_sets_a_person_apart_and_all_people_share_an_answer_as_in_a_joint_law(kind):
    rng = np.random.default_rng(5)
    law, apart = prior(rng), FullNormal.of(np.zeros(D), np.diag([0.5, 1.0, 0.1]))
    channels = [Choice(), Pair(), Rating(levels=4)]
    learner = OnlineAnswers(nothing_known(channels, law, apart=apart))
    before = learner.belief_
    x, _, answer = next(iter(simulated(rng, np.ones(D), [kind], 1)))
    learner.learn(x, kind, answer, person="ann")
    # The slow twin: w, own parameters and b in one vector, features repeated for b.
    both = np.zeros((len(before.law.mean) + D,) * 2)
    both[D:-D, D:-D] = covariance(before.law)[D:, D:]
    both[:D, :D], both[-D:, -D:] = covariance(law), covariance(apart)
    mean = np.concatenate([before.law.mean, np.zeros(D)])
    order = np.r_[:D, -D:0, D : len(mean) - D]
    joint = FullNormal.of(mean[order], both[np.ix_(order, order)])
    one = OnlineWorths(law=joint, prior=joint, channels=before.channels,
                       channel_sizes=before.channel_sizes)  # fmt: skip
    twin = OnlineAnswers(one)
    twin.learn(np.hstack([x, x]), kind, answer)
    found, expected = learner.belief_, twin.belief_.law
    np.testing.assert_allclose(found.part_worths, expected.mean[:D], atol=1e-9)
    np.testing.assert_allclose(found.people["ann"].mean, expected.mean[D : 2 * D], atol=1e-9)
    np.testing.assert_allclose(
        covariance(found.law)[:D, :D], covariance(expected)[:D, :D], atol=1e-9
    )
    np.testing.assert_allclose(
        covariance(found.people["ann"]), covariance(expected)[D : 2 * D, D : 2 * D], atol=1e-9
    )
    np.testing.assert_allclose(found.law.mean[D:], expected.mean[2 * D :], atol=1e-9)


def test_few_answers_leave_a_person_close_to_all_others_and_many_do_not():
    rng = np.random.default_rng(0)
    common, own = np.array([1.0, -1.0, 0.0]), np.array([0.0, 0.0, 2.0])
    law = FullNormal.of(np.zeros(D), np.eye(D))
    learner = OnlineAnswers(
        nothing_known([Choice()], law, apart=FullNormal.of(np.zeros(D), np.eye(D)))
    )
    for p in range(25):
        for x, kind, answer in simulated(rng, common + 0.5 * rng.normal(size=D), ["choice"], 6):
            learner.learn(x, kind, answer, person=f"p{p}")
    eye, gaps = np.eye(D), []
    stranger = learner.moments(eye, "stranger")
    nobody = learner.moments(eye)
    np.testing.assert_allclose(stranger[0], nobody[0])
    assert (np.diag(stranger[1]) > np.diag(nobody[1]) + 0.9).all()
    for x, kind, answer in simulated(rng, common + own, ["choice"], 100):
        learner.learn(x, kind, answer, person="zoe")
        gaps.append(np.abs(learner.moments(eye, "zoe")[0] - common - own).max())
    assert gaps[1] > 1.0
    assert gaps[-1] < 0.6
    # What one person wants does not become what all want.
    assert abs(learner.belief_.part_worths[2]) < 0.5
    learner.forget("zoe")
    np.testing.assert_allclose(learner.moments(eye, "zoe")[0], learner.belief_.part_worths)


def test_a_half_life_halves_what_was_learnt_and_time_brings_the_prior_back():
    law = FullNormal.of(np.ones(D), 2.0 * np.eye(D))
    known = nothing_known(
        [Choice()], law, half_life=10.0, apart=FullNormal.of(np.zeros(D), np.eye(D))
    )
    learner, x = OnlineAnswers(known), np.random.default_rng(0).normal(size=(4, D))
    learner.learn(x, "choice", {"chosen": np.int64(0)}, person="ann", time=0.0)
    then = learner.belief_
    # An answer that counts nothing only lets time pass.
    learner.learn(x, "choice", {"chosen": np.int64(0)}, person="ann", time=10.0, weight=0.0)
    later = learner.belief_
    np.testing.assert_allclose(later.part_worths - 1.0, 0.5 * (then.part_worths - 1.0))
    np.testing.assert_allclose(later.people["ann"].mean, 0.5 * then.people["ann"].mean)
    np.testing.assert_allclose(
        covariance(later.law), 0.25 * covariance(then.law) + 0.75 * 2.0 * np.eye(D), atol=1e-9
    )
    learner.learn(x, "choice", {"chosen": np.int64(0)}, person="ann", time=1e4, weight=0.0)
    np.testing.assert_allclose(learner.belief_.part_worths, 1.0, atol=1e-9)
    np.testing.assert_allclose(covariance(learner.belief_.law), 2.0 * np.eye(D), atol=1e-9)
    # What comes late is learnt, and turns no clock back.
    learner.learn(x, "choice", {"chosen": np.int64(0)}, person="ann", time=3.0)
    assert learner.belief_.last["ann"] == 1e4


def test_answers_at_one_time_leave_a_half_life_nothing_to_do():
    law = FullNormal.of(np.zeros(D), np.eye(D))
    # A thousand to a billionth: a covariance put together again would not be one to rounding.
    x, told = np.full((1, D), 1e4), {"value": np.ones(1)}
    found = []
    for half_life in (5.0, None):
        learner = OnlineAnswers(nothing_known([Outcome()], law, half_life=half_life, noise=1e-9))
        for _ in range(3):
            learner.learn(x, "outcome", told, time=7.0)
        found.append(learner.belief_.law)
    np.testing.assert_array_equal(found[0].root, found[1].root)


@pytest.mark.parametrize("size", [1e-9, 1e9])
def test_units_of_rewards_do_not_matter(size):
    rng = np.random.default_rng(4)
    x, reward = rng.normal(size=(30, D)), rng.normal(size=30)
    law = FullNormal.of(np.zeros(D), size**2 * np.eye(D) / 100)
    learner = OnlineAnswers(nothing_known([Outcome()], law, noise=size))
    for t in range(30):
        learner.learn(x[t : t + 1], "outcome", {"value": size * reward[t : t + 1]})
    covariance_ = np.linalg.inv(100 * np.eye(D) + x.T @ x)
    found = learner.belief_
    np.testing.assert_allclose(found.part_worths / size, covariance_ @ x.T @ reward, rtol=1e-6)
    np.testing.assert_allclose(covariance(found.law)[:D, :D] / size**2, covariance_, rtol=1e-6)


@pytest.mark.parametrize("law", [
    FullNormal.of(np.zeros(2), np.eye(2)), DiagonalNormal(mean=np.zeros(2), variance=np.ones(2))
])  # fmt: skip
@pytest.mark.parametrize(("channel", "answer"), [
    (Choice(), {"chosen": np.int64(0)}), (Ranking(), {"rank": np.array([1, 2, 0])}),
    (Rating(levels=3), {"level": np.array([2, 0, -1])}),
    (Binary(), {"success": np.array([1, 0, -1])}),
])  # fmt: skip
def test_features_of_any_size_are_learnt_from_or_refused(law, channel, answer):
    for size in (1e-200, 1e-9, 1e6, 1e8, 6e8):
        learner = OnlineAnswers(nothing_known([channel], law, apart=law))
        x = np.array([[-0.4 * size, 1.0], [0.6 * size, 1.0], [1.6 * size, 1.0]])
        for person in ("ann", None):
            for _ in range(2):
                learner.learn(x, channel.kind, answer, person=person)
        mean, spread = learner.moments(x, "ann")
        assert np.isfinite(mean).all()
        assert np.isfinite(spread).all()
        assert (learner.belief_.law.spread()[:2] > 0).all()
    sure = OnlineAnswers(nothing_known([Outcome()], law, noise=1e-9))
    sure.learn(np.array([[1.0, 0.0]]), "outcome", {"value": np.ones(1)})
    assert (sure.belief_.law.spread()[:2] > 0).all()
    for size in (1e10, 1e200):
        with pytest.raises(DataError, match="Rescale"):
            learner.moments(size * np.ones((1, 2)))


def test_an_answer_at_no_time_is_refused():
    law = FullNormal.of(np.zeros(D), np.eye(D))
    learner = OnlineAnswers(nothing_known([Choice()], law, half_life=5.0))
    for time in (np.nan, np.inf):
        with pytest.raises(DataError, match="expected a finite number"):
            learner.learn(np.eye(D), "choice", {"chosen": np.int64(0)}, time=time)
    assert learner.belief_.num_answers == 0


def test_a_taste_that_turned_is_followed_where_the_past_is_forgotten():
    rng, found = np.random.default_rng(1), {}
    for half_life in (None, 20.0):
        law = FullNormal.of(np.zeros(D), np.eye(D))
        learner = OnlineAnswers(nothing_known([Choice()], law, half_life=half_life))
        for sign in (1.0, -1.0):
            for x, kind, answer in simulated(rng, sign * np.ones(D), ["choice"], 60):
                learner.learn(x, kind, answer)
        found[half_life] = learner.belief_.part_worths.mean()
    assert found[20.0] < -0.5 < found[None]


def test_a_law_without_covariances_is_the_other_ones_diagonal_after_one_answer():
    rng = np.random.default_rng(2)
    diagonal = DiagonalNormal(mean=rng.normal(size=D), variance=np.array([0.5, 1.0, 2.0]))
    full = FullNormal.of(diagonal.mean, np.diag(diagonal.variance))
    for channel, K, answer in CASES:
        x = rng.normal(size=(K, D))
        found = []
        for law in (diagonal, full):
            learner = OnlineAnswers(nothing_known([channel], law))
            learner.learn(x, channel.kind, answer)
            found.append(learner.belief_.law)
        np.testing.assert_allclose(found[0].mean, found[1].mean, atol=1e-9)
        np.testing.assert_allclose(found[0].spread(), found[1].spread(), atol=1e-9)


def test_a_sparse_belief_of_many_features_learns_those_that_are_named():
    rng, num = np.random.default_rng(0), 2000
    truth = np.zeros(num)
    truth[:20] = rng.normal(size=20)
    law = DiagonalNormal(mean=np.zeros(num), variance=np.ones(num))
    learner = OnlineAnswers(nothing_known([Choice()], law))
    for _ in range(120):
        x = np.zeros((3, num))
        x[np.arange(3)[:, None], rng.integers(20, size=(3, 5))] = 1.0
        x[np.arange(3), rng.integers(20, num, size=3)] = 1.0
        worth = x @ truth + rng.gumbel(size=3)
        learner.learn(x, "choice", {"chosen": np.int64(worth.argmax())})
    known = learner.belief_.part_worths[:20] - learner.belief_.part_worths[:20].mean()
    assert np.corrcoef(known, truth[:20])[0, 1] > 0.75


def test_a_belief_is_not_changed_by_later_answers_and_can_be_put_away(tmp_path):
    law = FullNormal.of(np.zeros(D), np.eye(D))
    known = nothing_known([Choice(), Rating(levels=4)], law, half_life=9.0, apart=law)
    learner, rng = OnlineAnswers(known), np.random.default_rng(0)
    for x, kind, answer in simulated(rng, np.ones(D), ["choice", "rating"], 20):
        learner.learn(x, kind, answer, person="ann")
    belief = learner.belief_
    belief.save(tmp_path / "belief")
    again = OnlineAnswers(OnlineWorths.load(tmp_path / "belief"))
    before = belief.part_worths + 0.0
    for x, kind, answer in simulated(rng, np.ones(D), ["choice", "rating"], 9):
        for one in (learner, again):
            one.learn(x, kind, answer, person="ann")
    np.testing.assert_array_equal(belief.part_worths, before)
    np.testing.assert_array_equal(again.belief_.law.mean, learner.belief_.law.mean)
    np.testing.assert_array_equal(
        again.belief_.people["ann"].root, learner.belief_.people["ann"].root
    )
    assert again.belief_.num_answers == 29


def test_a_fitted_belief_is_not_taken_for_one_of_an_online_learner(tmp_path):
    from penchant.models.conditional_logit import ConditionalLogit
    from penchant.simulation.choices import SimulationConfig, simulate_choices

    batch = simulate_choices(SimulationConfig.pooled((1.0, 0.0)), np.random.default_rng(0)).batch

    ConditionalLogit().fit(batch).belief_.save(tmp_path / "fitted")
    with pytest.raises(BeliefError, match=r"Belief\.load"):
        OnlineWorths.load(tmp_path / "fitted")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda law: nothing_known([], law), "one or more"),
        (lambda law: nothing_known([Choice(), Choice()], law), "two alike"),
        (lambda law: nothing_known([Choice()], law, half_life=0.0), "half_life is 0.0"),
        (lambda law: nothing_known([Outcome()], law, noise=-1.0), "noise is -1.0"),
        (lambda law: nothing_known([Rating(levels=3, by_person=True)], law), "common to"),
    ],
)
def test_what_cannot_be_learnt_online_is_refused_at_the_start(make, said):
    with pytest.raises(ConfigError, match=said):
        make(FullNormal.of(np.zeros(D), np.eye(D)))


@pytest.mark.parametrize(
    ("features", "kind", "answer", "said"),
    [
        (np.ones((2, D)), "ranking", {"rank": np.array([1, 2])}, "Give the learner a channel"),
        (np.ones((2, D + 1)), "choice", {"chosen": np.int64(0)}, "4 features; expected 3"),
        (np.full((2, D), np.nan), "choice", {"chosen": np.int64(0)}, "fill in or leave"),
        (np.full((2, D), 2e12), "choice", {"chosen": np.int64(0)}, r"up to 2e\+12.*Rescale"),
        (np.ones((2, D)), "choice", {"rank": np.array([1, 2])}, r"expected \['chosen'\]"),
        (np.ones((1, D)), "rating", {"level": np.array([7])}, "answers run"),
    ],
)
def test_answers_that_cannot_be_are_refused_and_change_nothing(features, kind, answer, said):
    learner = OnlineAnswers(
        nothing_known([Choice(), Rating(levels=4)], FullNormal.of(np.zeros(D), np.eye(D)))
    )
    with pytest.raises(DataError, match=said):
        learner.learn(features, kind, answer)
    assert (learner.belief_.part_worths == 0).all()
