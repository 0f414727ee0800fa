"""Maximum simulated likelihood finds what is there, says how surely, and repeats itself."""

from dataclasses import replace

import numpy as np
import pytest

from penchant.data.batch import Batch, Block
from penchant.data.records import Records
from penchant.errors import ConfigError, DataError
from penchant.fitting import simulated
from penchant.fitting.panel_logit import PanelChoices
from penchant.fitting.panel_logit_density import PanelDensity
from penchant.fitting.pooled import fit_pooled
from penchant.fitting.shrinkage import Shrinkage
from penchant.fitting.simulated import SimulatedConfig, fit_simulated, maximise_simulated
from penchant.models.mixed_logit import MixedLogit
from penchant.populations.normal import Normal
from penchant.simulation.choices import SimulationConfig, simulate_choices

MEAN = (0.9, -0.6, 0.4)
ROOT = ((0.8, 0.0, 0.0), (0.4, 0.5, 0.0), (0.0, 0.0, 0.0))
POPULATION = Normal(
    random=(0, 1), distributions=("normal", "normal"), correlated=True, num_draws=200
)
TRUTH = np.array([*MEAN, 0.8, 0.4, 0.5])


def people(num_people=400, seed=0, root=ROOT, num_tasks=6):
    config = SimulationConfig(
        part_worths=(MEAN,), spread=root, num_people=num_people, num_tasks=num_tasks,
        menu_sizes=(3, 4),
    )  # fmt: skip
    return simulate_choices(config, np.random.default_rng(seed)).batch


def test_the_truth_lies_within_the_stated_errors():
    distances = []
    for seed in range(12):
        belief = fit_simulated(people(seed=seed), replace(POPULATION, seed=seed))
        assert belief.report.converged
        errors = np.sqrt(np.diag(belief.covariance))
        distances.append((belief.theta - TRUTH) / errors)
    distances = np.array(distances)
    assert 0.75 < np.sqrt(np.mean(distances**2)) < 1.25
    assert np.abs(distances.mean(axis=0)).max() < 3.5 / np.sqrt(12)
    ratio = np.sqrt(np.diag(belief.robust_covariance) / np.diag(belief.covariance))
    assert np.all((ratio > 0.8) & (ratio < 1.25))


def test_the_optimum_is_one():
    belief = fit_simulated(people(), POPULATION, config=SimulatedConfig(is_adapted=False))
    choices = PanelChoices.from_flat(people().flat_choices())
    density = PanelDensity.build(choices, POPULATION, num_blocks=256).in_double()
    here = density.evaluate(belief.theta)
    errors = np.sqrt(np.diag(belief.covariance))
    assert np.abs(here.gradient * errors).max() < 1e-3
    assert belief.report.log_likelihood == pytest.approx(here.log_likelihood, rel=1e-12)
    np.testing.assert_allclose(
        np.linalg.inv(density.information(belief.theta, here)), belief.covariance,
        rtol=0.01, atol=0.01 * np.diag(belief.covariance).min(),
    )  # fmt: skip


def test_few_draws_around_peoples_own_tastes_equal_many_of_the_population():
    """Three random coefficients: 200 adapted draws against 5,000 of the population."""
    root = ((1.2, 0.0, 0.0), (0.0, 1.2, 0.0), (0.0, 0.0, 1.2))
    population = Normal(random=(0, 1, 2), distributions=("normal",) * 3, num_draws=200)
    batch = people(root=root, num_people=300, num_tasks=12)
    plain = SimulatedConfig(is_adapted=False, num_blocks=300)
    few = fit_simulated(batch, population)
    coarse = fit_simulated(batch, population, config=plain)
    many = fit_simulated(batch, replace(population, num_draws=5000), config=plain)
    error = np.sqrt(np.diag(many.covariance))
    assert np.abs((few.theta - many.theta) / error).max() < 0.25
    assert abs(few.report.log_likelihood - many.report.log_likelihood) < 1.0
    assert abs(coarse.report.log_likelihood - many.report.log_likelihood) > 3.0


def test_the_same_seed_gives_the_same_bits_and_threads_change_none():
    batch = people(num_people=120)
    one, two = (fit_simulated(batch, POPULATION) for _ in range(2))
    three = fit_simulated(batch, POPULATION, config=SimulatedConfig(num_threads=2))
    np.testing.assert_array_equal(one.theta, two.theta)
    np.testing.assert_array_equal(one.covariance, two.covariance)
    np.testing.assert_array_equal(one.theta, three.theta)
    other = fit_simulated(batch, replace(POPULATION, seed=1))
    assert 0 < np.abs(other.theta - one.theta).max() < 0.05


def test_an_interrupted_fit_is_taken_up_where_it_was():
    batch, seen = people(num_people=150), []

    def stop_late(iteration, theta, value):
        seen.append(theta)
        if len(seen) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_simulated(batch, POPULATION, on_step=stop_late)
    resumed = fit_simulated(batch, POPULATION, start=seen[-1])
    whole = fit_simulated(batch, POPULATION)
    errors = np.sqrt(np.diag(whole.covariance))
    assert np.abs((resumed.theta - whole.theta) / errors).max() < 0.1
    assert resumed.report.converged


def test_people_of_one_taste_are_not_found_to_differ():
    gains = []
    for seed in range(5):
        batch = people(seed=seed, root=(), num_people=150)
        mixed = fit_simulated(batch, replace(POPULATION, correlated=False))
        pooled = fit_pooled(batch)
        gains.append(2 * (mixed.report.log_likelihood - pooled.report.log_likelihood))
        errors = np.sqrt(np.diag(mixed.covariance))
        assert np.all(mixed.theta[3:] >= 0)
        assert np.all(mixed.theta[3:] < 3.5 * errors[3:] + 0.1)
        assert np.abs((mixed.theta[:3] - pooled.theta) / errors[:3]).max() < 1.0
    # Twice the gain is a mixture of chi-squared with 0, 1 and 2 degrees: 1 on average.
    assert np.mean(gains) < 4.0


def test_the_order_of_people_matters_only_through_their_draws():
    batch = people(num_people=200)
    order = np.random.default_rng(0).permutation(200)
    one, two = fit_simulated(batch, POPULATION), fit_simulated(batch.take_groups(order), POPULATION)
    errors = np.sqrt(np.diag(one.covariance))
    assert np.abs((one.theta - two.theta) / errors).max() < 0.15


def test_a_column_that_decides_every_answer_is_bounded_and_said():
    batch = people(num_people=80)
    blocks = []
    for block in batch.blocks:
        marks = np.arange(block.offered.shape[1]) == block.answer["chosen"][:, None]
        blocks.append(
            replace(block, features=np.concatenate([block.features, marks[:, :, None]], axis=2))
        )
    names = (*batch.feature_names, "telling")
    belief = fit_simulated(replace(batch, blocks=tuple(blocks), feature_names=names), POPULATION)
    assert np.all(np.isfinite(belief.theta))
    assert any("perfectly predicted" in note and "telling" in note for note in
               belief.report.warnings)  # fmt: skip
    assert belief.report.prior is not None


def test_a_tight_prior_on_the_spreads_gives_one_taste():
    batch = people(num_people=150)
    scale = np.array([1e3, 1e3, 1e3, 1e-4, 1e-4, 1e-4])
    tight = fit_simulated(batch, POPULATION, prior_scale=scale)
    np.testing.assert_allclose(tight.theta[:3], fit_pooled(batch).theta, atol=1e-3)
    free = fit_simulated(batch, POPULATION)
    some = fit_simulated(batch, POPULATION, prior_scale=0.2)
    assert np.all(np.abs(some.theta) < np.abs(free.theta))


def test_what_cannot_be_fitted_is_refused():
    batch = people(num_people=20)
    with pytest.raises(DataError, match="holds no observations"):
        fit_simulated(batch.take_rows(np.array([], dtype=np.int64)), POPULATION)
    with pytest.raises(ConfigError, match="no coefficient is random"):
        fit_simulated(batch, Normal(random=(), distributions=()))
    with pytest.raises(ConfigError, match="among 3 features"):
        fit_simulated(batch, Normal(random=(3,), distributions=("normal",)))
    with pytest.raises(ConfigError, match="at least one block"):
        SimulatedConfig(num_blocks=0)


def test_a_climb_cut_short_says_so():
    belief = fit_simulated(people(num_people=60), POPULATION, config=SimulatedConfig(max_steps=2))
    assert not belief.report.converged
    assert any("did not converge" in note for note in belief.report.warnings)


@pytest.mark.parametrize(("num_draws", "said"), [(1, True), (19, True), (20, False)])
def test_too_few_draws_are_said(num_draws, said):
    belief = fit_simulated(people(num_people=60), replace(POPULATION, num_draws=num_draws))
    assert any("which is too few" in note for note in belief.report.warnings) == said


def test_the_way_up_does_not_matter():
    batch = people(num_people=200)
    density = PanelDensity.build(
        PanelChoices.from_flat(batch.flat_choices()), POPULATION, num_blocks=64
    )
    config = SimulatedConfig(is_adapted=False)
    one = maximise_simulated(density, config)
    two = maximise_simulated(density, config, start=TRUTH * 0.3)
    np.testing.assert_allclose(one.theta, two.theta, atol=2e-4)


def test_a_column_that_gives_the_answer_away_is_wide_in_both_errors():
    batch = people(num_people=60)
    blocks = []
    for block in batch.blocks:
        oracle = np.zeros((*block.offered.shape, 1))
        few = np.flatnonzero(block.row % 12 == 0)
        oracle[few, block.answer["chosen"][few]] = 1.0
        blocks.append(replace(block, features=np.concatenate([block.features, oracle], axis=2)))
    told = replace(batch, blocks=tuple(blocks), feature_names=(*batch.feature_names, "oracle"))
    belief = fit_simulated(told, POPULATION)
    assert any("oracle" in warning for warning in belief.report.warnings)
    for covariance in (belief.covariance, belief.robust_covariance):
        assert np.sqrt(covariance[3, 3]) > 1.0


def test_a_climb_with_more_parameters_than_people_arrives():
    # Seven tastes that hang together and a hundred shrunk terms, of 80 people: the outer product of
    # their scores cannot have full rank, and what it taught of step lengths must be forgotten.
    rng = np.random.default_rng(6)
    people, tasks, options, random, columns = 80, 9, 3, 7, 14
    person = np.repeat(np.arange(people), tasks)
    plain = rng.normal(size=(len(person), options, random))
    context = (rng.random((people, columns)) < 0.3)[person][:, None, None, :]
    crossed = (plain[..., None] * context).reshape(len(person), options, -1)
    root = np.tril(rng.normal(size=(random, random)) * 0.4) + np.diag(np.linspace(2.0, 0.3, random))
    taste = rng.normal(size=random) + rng.normal(size=(people, random)) @ root.T
    worth = np.einsum("bkd,bd->bk", plain, taste[person]) + rng.gumbel(size=(len(person), options))
    block = Block(
        kind="choice",
        features=np.concatenate([plain, crossed], axis=2),
        offered=np.ones(worth.shape, dtype=bool),
        option=np.tile(np.arange(options), (len(person), 1)),
        row=np.arange(len(person)),
        group=person,
        weight=np.ones(len(person)),
        answer={"chosen": worth.argmax(axis=1)},
    )
    batch = Batch(
        blocks=(block,),
        feature_names=tuple(f"x{d}" for d in range(random * (1 + columns))),
        option_names=("a", "b", "c"),
        group_names=tuple(map(str, range(people))),
        group_features=np.zeros((people, 0)),
        num_rows=len(person),
    )
    population = Normal(
        random=tuple(range(random)), distributions=("normal",) * random, correlated=True,
        num_draws=64, seed=0,
    )  # fmt: skip
    families = (-1,) * random + tuple(int(f) for f in np.repeat(np.arange(random), columns))
    shrinkage = Shrinkage(families=families, names=tuple("abcdefg"))
    report = fit_simulated(batch, population, shrinkage=shrinkage).report
    assert report.converged
    # 180 where spreads are turned positive in the middle of the climb, whose draws lie for others.
    assert report.iterations < 150


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_what_ran_away_starts_anew_on_its_own_side(side, monkeypatch):
    rng = np.random.default_rng(4)
    shape = (120, 3)
    x, rare = rng.normal(size=shape), (rng.random(shape) < 0.08).astype(float)
    chosen = (x + 30.0 * side * rare + rng.gumbel(size=shape)).argmax(axis=1)
    records = Records.from_arrays(
        options={"x": x, "rare": rare},
        rows={"chosen": chosen, "person": np.repeat(np.arange(30), 4).astype(str)},
    )
    starts, climb = [], simulated.maximise_simulated

    def watched(density, config=None, *, start=None, label="", **how):
        if label:
            starts.append(start)
        return climb(density, config, start=start, label=label, **how)

    monkeypatch.setattr(simulated, "maximise_simulated", watched)
    fitted = MixedLogit("x + rare", random=("x",), num_draws=50).fit(records).belief_
    (start,) = starts
    place = fitted.parameter_names.index("rare")
    assert side * start[place] > 1.0
    assert side * fitted.theta[place] > 1.0
    assert any("perfectly predicted along `rare`" in note for note in fitted.report.warnings)
