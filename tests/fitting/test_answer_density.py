"""Random coefficients and answers of any kind: derivatives, and two ways to the same density."""

from dataclasses import replace

import numpy as np
import pytest

from feedback.blocks_of_kinds import PEOPLE, batch_of, block_of
from penchant.errors import ConfigError, DataError
from penchant.feedback.channel_choice import Choice, Nested
from penchant.feedback.channel_option import Approval, Binary, Outcome, Rating
from penchant.feedback.channel_order import BestWorst, Ranking
from penchant.feedback.channel_pair import GradedPair, Pair
from penchant.fitting.answer_density import AnswerDensity
from penchant.fitting.panel_answers import PanelAnswers
from penchant.fitting.panel_logit import PanelChoices
from penchant.fitting.panel_logit_density import PanelDensity
from penchant.populations.normal import Normal

LOGIT = (
    Choice(), Ranking(), Rating(levels=4), Pair(ties="davidson"), Approval(), BestWorst(),
    GradedPair(levels=5), Binary(),
)  # fmt: skip
POPULATIONS = {
    "normal": Normal(random=(0, 2), distributions=("normal",) * 2, num_draws=48),
    "correlated": Normal(
        random=(0, 1, 2),
        distributions=("normal", "-lognormal", "censored"),
        correlated=True,
        num_draws=48,
    ),
    "one-signed": Normal(
        random=(0, 1, 2), distributions=("truncated", "triangular", "lognormal"), num_draws=48
    ),
    "money": Normal(random=(0, 2), distributions=("normal", "lognormal"), num_draws=48, price=2),
}


def answers_of(kinds, seed=3):
    """Several answers of each kind, all rows of a person with one weight."""
    rng = np.random.default_rng(seed)
    weight = rng.uniform(0.5, 2.0, PEOPLE)
    blocks = [block_of(kind, rng) for kind in kinds]
    return batch_of(*(replace(block, weight=weight[block.group]) for block in blocks))


def density_of(channels, population, *, is_adapted=False, **options):
    batch = answers_of([channel.kind for channel in channels])
    built = AnswerDensity.build(batch, channels, population, num_blocks=2, **options).in_double()
    theta = 0.6 * np.random.default_rng(8).normal(size=len(built.precision))
    # Spreads away from zero, where some distributions turn over.
    cut = len(theta) - built.num_own
    spreads = slice(cut - len(population.spread_pairs), cut)
    theta[spreads] = np.abs(theta[spreads]) + 0.3
    return (built.adapted(theta) if is_adapted else built), theta


@pytest.mark.parametrize("is_adapted", [False, True])
@pytest.mark.parametrize("name", POPULATIONS)
def test_answers_taken_apart_and_answers_as_they_are_have_one_density(name, is_adapted):
    apart, theta = density_of(LOGIT, POPULATIONS[name])
    whole, _ = density_of(LOGIT, POPULATIONS[name], has_choices=False)
    if is_adapted:
        whole = whole.adapted(theta)
        # The same draws: where a person is looked for must not matter here.
        apart = replace(apart, inner=replace(apart.inner, proposals=whole.inner.proposals))
    # A price multiplies tastes, and no threshold.
    assert apart.inner.is_of_choices == (name != "money")
    assert not whole.inner.is_of_choices
    one, other = apart.evaluate(theta), whole.evaluate(theta)
    assert one.value == pytest.approx(other.value, rel=1e-10)
    np.testing.assert_allclose(one.scores, other.scores, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(
        apart.information(theta, one), whole.information(theta, other), rtol=1e-6, atol=1e-8
    )


@pytest.mark.parametrize("is_adapted", [False, True])
@pytest.mark.parametrize("name", POPULATIONS)
@pytest.mark.parametrize(
    "channels",
    [LOGIT, (Outcome(has_intercept=True), Ranking(ties="davidson_luce", tie_sizes=(2, 3)))],
)
def test_gradient_and_information_equal_central_differences(channels, name, is_adapted):
    density, theta = density_of(channels, POPULATIONS[name], is_adapted=is_adapted)
    precision = np.linspace(0.1, 2.0, len(theta))
    density = replace(density, precision=precision, centre=0.3 * np.ones(len(theta)))
    here = density.evaluate(theta)
    gradient, information = np.zeros(len(theta)), np.zeros((len(theta),) * 2)
    for m in range(len(theta)):
        step = np.zeros(len(theta))
        step[m] = 1e-5
        above, below = density.evaluate(theta + step), density.evaluate(theta - step)
        gradient[m] = (above.value - below.value) / 2e-5
        information[m] = -(above.gradient - below.gradient) / 2e-5
    np.testing.assert_allclose(here.gradient, gradient, rtol=1e-6, atol=1e-6)
    # A censored taste has a kink, which a difference sees and a derivative does not.
    slack = 1e-4 if "censored" not in POPULATIONS[name].distributions else 1e-2
    np.testing.assert_allclose(density.information(theta, here), information, atol=slack)
    np.testing.assert_allclose(
        density.weight @ here.scores - precision * (theta - 0.3), here.gradient, atol=1e-10
    )


def test_choices_alone_have_the_density_of_the_choice_model():
    batch, population = answers_of(["choice"]), POPULATIONS["correlated"]
    theta = np.array([0.3, -0.5, 0.2, 0.8, 0.1, 0.6, -0.2, 0.3, 0.5])
    choices = PanelChoices.from_flat(batch.flat_choices())
    plain = PanelDensity.build(choices, population, num_blocks=2).in_double()
    for has_choices in (True, False):
        built = AnswerDensity.build(
            batch, (Choice(),), population, num_blocks=2, has_choices=has_choices
        ).in_double()
        one, other = plain.evaluate(theta), built.evaluate(theta)
        np.testing.assert_allclose(one.scores, other.scores, rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(
            plain.information(theta, one), built.information(theta, other), rtol=1e-8, atol=1e-8
        )
        np.testing.assert_allclose(plain.information_at_zero(), built.information_at_zero())
        assert plain.null_log_likelihood() == pytest.approx(built.null_log_likelihood())


def test_two_draws_of_one_rating_worked_by_hand():
    """One rating of the middle of three levels, thresholds at 0 and 2, by draws -1 and 1 of a taste
    1 + 0.5 z for a feature of 1: the mean of F(tau - u) - F(0 - u) over u = 0.5 and 1.5."""
    block = replace(
        block_of("rating", np.random.default_rng(0), num_rows=1),
        features=np.eye(4, 3)[None], offered=np.ones((1, 4), dtype=bool), weight=np.ones(1),
        answer={"level": np.array([[1, -1, -1, -1]])}, group=np.array([2]),
    )  # fmt: skip
    population = Normal(random=(0,), distributions=("normal",), num_draws=2)
    theta = np.array([1.0, 0.0, 0.0, 0.5, 0.0, np.log(2.0)])
    logistic = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731  # as the formula has it
    expected = np.log(np.mean([logistic(2 - u) - logistic(0 - u) for u in (0.5, 1.5)]))
    for has_choices in (True, False):
        built = AnswerDensity.build(
            batch_of(block), (Rating(levels=3),), population, num_blocks=1,
            has_choices=has_choices,
        ).in_double()  # fmt: skip
        base = np.resize([-1.0, 1.0], built.inner.base.shape)
        built = replace(built, inner=replace(built.inner, base=base))
        assert built.evaluate(theta).value == pytest.approx(expected)


def test_some_of_the_people_are_asked_alone():
    density, theta = density_of(LOGIT, POPULATIONS["normal"], has_choices=False)
    coarse = density.coarser(2, 32)
    np.testing.assert_allclose(coarse.weight, density.weight[::2])
    # With as few draws of their own the others are as they were.
    alone = density.coarser(1, 32).evaluate(theta)
    np.testing.assert_allclose(coarse.evaluate(theta).scores, alone.scores[::2], rtol=1e-9)


def test_people_of_uneven_weight_and_parameters_of_single_people_are_refused():
    population, batch = POPULATIONS["normal"], answers_of(["rating"])
    rows = replace(batch.blocks[0], weight=np.arange(1.0, 7.0))
    for has_choices in (True, False):
        with pytest.raises(DataError, match=r"weighs people, not rows.*or fit one taste for all"):
            AnswerDensity.build(
                replace(batch, blocks=(rows,)), (Rating(levels=4),), population, num_blocks=1,
                has_choices=has_choices,
            )  # fmt: skip
    with pytest.raises(ConfigError, match="common to all"):
        AnswerDensity.build(batch, (Rating(levels=4, by_person=True),), population, num_blocks=1)
    with pytest.raises(DataError, match="no likelihood"):
        AnswerDensity.build(batch, (Ranking(),), population, num_blocks=1)


def test_rows_of_weight_nothing_say_nothing():
    batch = answers_of(["choice", "rating"])
    silent = tuple(
        replace(block, weight=np.where(block.row < 3, 0.0, block.weight)) for block in batch.blocks
    )
    fewer = tuple(block.take(np.flatnonzero(block.row >= 3)) for block in batch.blocks)
    channels, population = (Choice(), Rating(levels=4)), POPULATIONS["normal"]
    theta = np.array([0.3, -0.5, 0.2, 0.8, 0.4, -0.5, 0.1, 0.2])
    for has_choices in (True, False):
        one, other = (
            AnswerDensity.build(
                replace(batch, blocks=blocks), channels, population, num_blocks=2,
                has_choices=has_choices,
            ).in_double().evaluate(theta)
            for blocks in (silent, fewer)
        )  # fmt: skip
        np.testing.assert_allclose(one.scores, other.scores, rtol=1e-12)
        assert one.value == pytest.approx(other.value)


def test_a_step_too_far_has_no_value_and_says_nothing_aloud():
    density, theta = density_of((Outcome(), Rating(levels=4)), POPULATIONS["normal"])
    for far in (-800.0, 800.0):
        there = np.where(np.arange(len(theta)) >= len(theta) - density.num_own, far, theta)
        assert not density.evaluate(there).value > density.evaluate(theta).value


def test_nests_are_asked_as_they_are():
    density, _ = density_of((Nested(nests=(0, 0, 1, 1)),), POPULATIONS["normal"])
    assert isinstance(density.inner.choices, PanelAnswers)
