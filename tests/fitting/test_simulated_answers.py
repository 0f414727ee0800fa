"""Random coefficients from rankings, ratings, ties and all at once: truth, doubt and repetition."""

from dataclasses import replace

import numpy as np
import pytest

from fitting.answers_of_kinds import answered_block, answered_by
from penchant.beliefs.belief import Belief
from penchant.beliefs.evidence import log_evidence
from penchant.errors import DataError
from penchant.feedback.channel import default_channels
from penchant.feedback.channel_option import Rating
from penchant.feedback.channel_order import Ranking
from penchant.feedback.channel_pair import Pair
from penchant.fitting.answer_density import AnswerDensity
from penchant.fitting.checkpoint import Checkpoint
from penchant.fitting.inference import covariances
from penchant.fitting.pooled import fit_pooled
from penchant.fitting.shrinkage import Shrinkage
from penchant.fitting.simulated import SimulatedConfig, fit_simulated
from penchant.populations.normal import Normal
from penchant.simulation.choices import SimulationConfig

MEAN = (0.9, -0.6, 0.4)
ROOT = ((0.8, 0.0, 0.0), (0.4, 0.5, 0.0), (0.0, 0.0, 0.0))
CONFIG = SimulationConfig(
    part_worths=(MEAN,), spread=ROOT, num_people=300, num_tasks=5, menu_sizes=(3, 4)
)
POPULATION = Normal(
    random=(0, 1), distributions=("normal", "normal"), correlated=True, num_draws=200
)
TRUTH = np.array([*MEAN, 0.8, 0.4, 0.5])
OWN = {
    "ranking": (),
    "best_worst": (),
    "rating": (-1.0, np.log(1.2), np.log(1.2)),
    "approval": (0.5,),
    "graded": (np.log(0.5), 0.0),
    "pair": (np.log(0.7),),
}


def of_kind(kind, rng, **changes):
    config = replace(CONFIG, **changes)
    if kind in ("graded", "pair"):
        config = replace(config, menu_sizes=(2,))
    return answered_by(kind, config, rng)


def mixed(seed, num_people=200, kinds=("ranking", "rating", "pair", "approval", "choice")):
    """Everybody answers in several ways, by one and the same taste."""
    rng = np.random.default_rng(seed)
    config = replace(CONFIG, num_people=num_people, num_tasks=10, menu_sizes=(2, 3))
    simulated = answered_by("ranking", config, rng)
    blocks = []
    for block in simulated.batch.blocks:
        of_block = ("pair", "rating", "choice") if block.offered.shape[1] == 2 else (
            "ranking", "approval"
        )  # fmt: skip
        parts = np.arange(len(block)) % len(of_block)
        for part, kind in enumerate(name for name in of_block if name in kinds):
            taken = block.take(np.flatnonzero(parts == part))
            blocks.append(_again(taken, kind, simulated.tastes, rng))
    return replace(simulated.batch, blocks=tuple(blocks))


def _again(block, kind, tastes, rng):
    if kind != "choice":
        return answered_block(block, kind, tastes, rng)
    worths = np.einsum("bkd,bd->bk", block.features, tastes[block.group])
    chosen = np.argmax(worths + rng.gumbel(size=worths.shape), axis=1)
    return replace(block, kind="choice", answer={"chosen": chosen})


@pytest.mark.parametrize("kind", OWN)
def test_the_truth_lies_within_the_stated_errors(kind):
    seeds, people = 6, 200
    channels = (Pair(ties="rao_kupper"),) if kind == "pair" else None
    truth, distances = np.array([*TRUTH, *OWN[kind]]), []
    for seed in range(seeds):
        batch = of_kind(kind, np.random.default_rng(seed), num_people=people).batch
        belief = fit_simulated(batch, replace(POPULATION, seed=seed), channels=channels)
        assert belief.report.converged
        assert belief.report.warnings == ()
        distances.append((belief.theta - truth) / np.sqrt(np.diag(belief.covariance)))
    distances = np.array(distances)
    assert 0.6 < np.sqrt(np.mean(distances**2)) < 1.3
    assert np.abs(distances.mean(axis=0)).max() < 3.5 / np.sqrt(seeds)
    ratio = np.sqrt(np.diag(belief.robust_covariance) / np.diag(belief.covariance))
    assert np.all((ratio > 0.6) & (ratio < 1.6))


def test_numbers_have_the_likelihood_of_a_linear_model_with_random_coefficients():
    """Gaussian values of Gaussian tastes: y ~ N(X m, X L L'X' + s^2 I), person by person."""
    batch = of_kind("outcome", np.random.default_rng(0), num_people=25, num_tasks=3).batch

    def exact(theta):
        root, total = np.array([[theta[3], 0.0, 0], [theta[4], theta[5], 0], [0, 0, 0]]), 0.0
        for g in range(batch.num_groups):
            parts = [(b.features[b.group == g], b.answer["value"][b.group == g])
                     for b in batch.blocks]  # fmt: skip
            x = np.concatenate([x.reshape(-1, 3) for x, _ in parts])
            apart = np.concatenate([y.ravel() for _, y in parts]) - x @ theta[:3]
            spread = x @ root @ root.T @ x.T + np.exp(2 * theta[6]) * np.eye(len(x))
            total -= 0.5 * (apart @ np.linalg.solve(spread, apart))
            total -= 0.5 * np.linalg.slogdet(2 * np.pi * spread)[1]
        return total

    belief = fit_simulated(batch, POPULATION)
    assert belief.report.converged
    assert belief.report.log_likelihood == pytest.approx(exact(belief.theta), abs=0.1)
    # Each person's taste is looked for around their own mode, though numbers are no choices.
    assert belief.posterior == "laplace"
    assert log_evidence(belief, batch).sum() == pytest.approx(exact(belief.theta), abs=0.02)
    error = np.sqrt(np.diag(belief.covariance))
    for m in range(7):
        step = np.eye(7)[m] * error
        slope = (exact(belief.theta + 0.01 * step) - exact(belief.theta - 0.01 * step)) / 0.02
        assert abs(slope) < 0.15
    # Twice the logarithm is chi-squared with 7 degrees of freedom.
    assert 0.0 < exact(belief.theta) - exact(np.array([*TRUTH, 0.0])) < 12.0


def test_answers_of_five_kinds_tell_of_one_utility():
    distances = []
    for seed in range(4):
        batch = mixed(seed, num_people=150)
        assert {block.kind for block in batch.blocks} == {
            "ranking", "rating", "pair", "approval", "choice"
        }  # fmt: skip
        channels = tuple(
            Pair(ties="rao_kupper") if channel.kind == "pair" else channel
            for channel in default_channels(batch)
        )
        belief = fit_simulated(batch, replace(POPULATION, seed=seed), channels=channels)
        own = [value for channel in channels for value in OWN.get(channel.kind, ())]
        apart = belief.theta - np.array([*TRUTH, *own])
        distances.append(apart / np.sqrt(np.diag(belief.covariance)))
    assert 0.75 < np.sqrt(np.mean(np.square(distances))) < 1.25
    # Together they say more than each alone.
    alone = replace(batch, blocks=tuple(b for b in batch.blocks if b.kind == "ranking"))
    less = fit_simulated(alone, POPULATION, channels=(Ranking(),))
    both = np.diag(belief.covariance)[:6], np.diag(less.covariance)[:6]
    assert np.all(both[0] < 0.75 * both[1])


def test_people_of_one_taste_are_not_found_to_differ():
    batch = of_kind("rating", np.random.default_rng(4), spread=()).batch
    belief = fit_simulated(batch, replace(POPULATION, correlated=False))
    assert belief.theta[3:5].max() < 0.25
    alike = fit_pooled(batch, channels=belief.channels)
    assert belief.report.log_likelihood - alike.report.log_likelihood < 3.0
    assert belief.report.null_log_likelihood == pytest.approx(alike.report.null_log_likelihood)
    np.testing.assert_allclose(belief.theta[5:], alike.theta[3:], atol=0.1)


@pytest.mark.parametrize("shape", ["-lognormal", "triangular", "truncated"])
def test_other_distributions_are_found_from_ratings(shape):
    rng = np.random.default_rng(3)
    simulated = of_kind("rating", rng, num_people=400)
    (first, second) = simulated.batch.blocks
    z = rng.random(400)
    taste = {
        "-lognormal": -np.exp(0.1 + 0.6 * rng.standard_normal(400)),
        "triangular": 0.8 + 1.5 * (z + rng.random(400) - 1.0),
        "truncated": np.abs(0.6 + 0.7 * rng.standard_normal(4000)),
    }[shape]
    if shape == "truncated":
        drawn = 0.6 + 0.7 * rng.standard_normal(4000)
        taste = drawn[drawn > 0][:400]
    tastes = np.column_stack([taste, np.full(400, -0.6), np.full(400, 0.4)])
    blocks = tuple(_again(block, "rating", tastes, rng) for block in (first, second))
    population = Normal(random=(0,), distributions=(shape,), num_draws=200)
    belief = fit_simulated(replace(simulated.batch, blocks=blocks), population)
    assert belief.report.converged
    assert belief.posterior == "reweight"
    truth = {"-lognormal": (0.1, 0.6), "triangular": (0.8, 1.5), "truncated": (0.6, 0.7)}[shape]
    apart = belief.theta[[0, 3]] - truth
    assert np.abs(apart / np.sqrt(np.diag(belief.covariance))[[0, 3]]).max() < 3.5


def test_a_column_of_ones_tells_how_much_people_differ_in_generosity():
    rng = np.random.default_rng(1)
    batch = of_kind("rating", np.random.default_rng(0), num_people=200).batch
    generous, blocks = 1.5 * rng.standard_normal(200), []
    for block in batch.blocks:
        ones = np.ones((*block.features.shape[:2], 1))
        wide = replace(block, features=np.concatenate([block.features, ones], axis=2))
        tastes = np.column_stack([np.tile([1.0, -1.0, 0.5], (200, 1)), generous])
        blocks.append(answered_block(wide, "rating", tastes, rng))
    names = (*batch.feature_names, "one")
    batch = replace(batch, blocks=tuple(blocks), feature_names=names)
    population = Normal(random=(3,), distributions=("normal",), num_draws=200)
    belief = fit_simulated(batch, population)
    error = np.sqrt(belief.covariance[4, 4])
    assert abs(belief.theta[4] - np.sqrt(np.mean(generous**2))) < 3 * error
    assert error < 0.15
    (said,) = belief.report.warnings
    assert "cannot tell `one`, `threshold 0|1` apart" in said


def test_the_same_seed_gives_the_same_bits_and_a_checkpoint_ends_the_same(tmp_path):
    batch = mixed(0, num_people=80)
    one, other = fit_simulated(batch, POPULATION), fit_simulated(batch, POPULATION)
    np.testing.assert_array_equal(one.theta, other.theta)
    np.testing.assert_array_equal(one.covariance, other.covariance)
    kept = Checkpoint(tmp_path / "unfinished", key="k")
    fit_simulated(batch, POPULATION, checkpoint=kept)
    again = Checkpoint(tmp_path / "unfinished", key="k")
    taken_up = fit_simulated(batch, POPULATION, checkpoint=again)
    assert len(again.taken_up) == 4
    assert again.made == []
    np.testing.assert_array_equal(one.theta, taken_up.theta)
    np.testing.assert_array_equal(one.robust_covariance, taken_up.robust_covariance)


def test_a_fit_goes_on_from_where_it_was():
    batch, seen = mixed(1, num_people=80), []
    whole = fit_simulated(batch, POPULATION, on_step=lambda *step: seen.append(step))
    later = fit_simulated(batch, POPULATION, start=seen[len(seen) // 2][1])
    errors = np.sqrt(np.diag(whole.covariance))
    assert np.abs((later.theta - whole.theta) / errors).max() < 0.3
    assert later.report.iterations < len(seen)


def test_robust_errors_are_the_sandwich_of_peoples_scores():
    batch = of_kind("rating", np.random.default_rng(0), num_people=100).batch
    belief = fit_simulated(batch, POPULATION, config=SimulatedConfig(is_adapted=False))
    channels = belief.channels
    density = AnswerDensity.build(batch, channels, POPULATION, num_blocks=100).in_double()
    here = density.evaluate(belief.theta)
    found = covariances(density.information(belief.theta, here), here.scores)
    # The climb keeps a curvature for several steps, so that its own is a few thousandths off.
    for mine, theirs in (
        (belief.covariance, found.classical), (belief.robust_covariance, found.robust)
    ):  # fmt: skip
        size = np.sqrt(np.diag(theirs))
        np.testing.assert_allclose(
            mine / np.outer(size, size), theirs / np.outer(size, size), atol=0.02
        )
    assert np.abs(found.robust / found.classical - 1.0)[range(9), range(9)].max() > 0.03
    assert np.abs(here.gradient @ found.classical @ here.gradient) < 1e-5


def test_twice_the_weight_is_twice_the_people():
    batch = of_kind("rating", np.random.default_rng(0), num_people=100).batch
    heavy = tuple(replace(block, weight=2.0 * block.weight) for block in batch.blocks)
    once, twice = (
        fit_simulated(each, POPULATION) for each in (batch, replace(batch, blocks=heavy))
    )
    np.testing.assert_allclose(twice.theta, once.theta, atol=1e-3)
    size = np.sqrt(np.diag(once.covariance))
    np.testing.assert_allclose(
        twice.covariance / np.outer(size, size),
        0.5 * once.covariance / np.outer(size, size),
        atol=6e-3,
    )
    # Who stands for two is one witness still: robust errors are those of before.
    size = np.sqrt(np.diag(once.robust_covariance))
    np.testing.assert_allclose(np.sqrt(np.diag(twice.robust_covariance)), size, rtol=0.02)


def test_a_level_that_nobody_gave_and_a_column_that_never_varies_are_bounded_and_said():
    batch = of_kind("rating", np.random.default_rng(0), num_people=80).batch
    blocks = tuple(
        replace(
            block, answer={"level": np.where(block.answer["level"] == 1, 2, block.answer["level"])}
        )
        for block in batch.blocks
    )
    belief = fit_simulated(replace(batch, blocks=blocks), POPULATION)
    assert np.isfinite(belief.theta).all()
    assert np.abs(belief.theta).max() < 30
    (said,) = belief.report.warnings
    assert "log threshold step 1|2" in said
    assert "weak" in belief.report.prior
    names = belief.parameter_names
    error = np.sqrt(np.diag(belief.covariance))[names.index("log threshold step 1|2")]
    assert error > 1.0
    robust = np.sqrt(np.diag(belief.robust_covariance))[names.index("log threshold step 1|2")]
    assert robust >= error * (1 - 1e-9)


def test_part_worths_are_shrunk_and_thresholds_are_not():
    batch = of_kind("rating", np.random.default_rng(0), num_people=100).batch
    tight = fit_simulated(batch, POPULATION, prior_scale=0.01)
    assert np.abs(tight.theta[:6]).max() < 0.05
    nobody = fit_pooled(batch, channels=tight.channels, prior_scale=0.01)
    np.testing.assert_allclose(tight.theta[6:], nobody.theta[3:], atol=0.02)
    free = fit_simulated(batch, POPULATION)
    learnt = fit_simulated(
        batch, POPULATION, shrinkage=Shrinkage(families=(-1, -1, 0), names=("x2",))
    )
    assert learnt.report.converged
    assert 0.8 * free.theta[2] < learnt.theta[2] < free.theta[2]
    assert "learned from the data: x2" in learnt.report.prior or "x2 " in learnt.report.prior


def test_a_belief_comes_back_from_its_folder_and_knows_people_by_their_ratings(tmp_path):
    simulated = of_kind("rating", np.random.default_rng(2), num_people=300)
    belief = fit_simulated(simulated.batch, POPULATION)
    belief.save(tmp_path / "belief")
    loaded = Belief.load(tmp_path / "belief")
    np.testing.assert_array_equal(loaded.theta, belief.theta)
    assert loaded.channels == belief.channels == (Rating(levels=4),)
    assert loaded.channel_sizes == (3,)
    batch = simulated.batch
    known = loaded.mean_tastes(batch, batch)[:, 0]
    # Five menus of ratings tell most of what people differ in.
    assert np.corrcoef(known, simulated.tastes[:, 0])[0, 1] > 0.75
    told = np.concatenate(loaded.log_prob(batch, batch)).mean()
    assert told > np.concatenate(loaded.log_prob(batch)).mean() + 0.05
    evidence = log_evidence(loaded, batch).sum()
    assert evidence == pytest.approx(belief.report.log_likelihood, abs=1.5)


def test_a_batch_without_answers_is_refused():
    batch = of_kind("rating", np.random.default_rng(0), num_people=5).batch
    with pytest.raises(DataError, match="expected at least one"):
        fit_simulated(replace(batch, blocks=()), POPULATION)
