"""penchant's side of `choose.py`: the same contract as `peers.py`.

What is timed starts from the bare arrays (or the file) and ends with estimates and both kinds of
standard errors.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from worlds import World

Fit = Callable[[], dict]


def conditional(world: World) -> Fit:
    """ConditionalLogit from arrays, with classical and person-clustered standard errors."""
    from penchant.models.conditional_logit import ConditionalLogit

    def fit() -> dict:
        belief = ConditionalLogit().fit(as_batch(world)).belief_
        return _plain(belief) | {"coefficients": belief.theta.tolist()}

    return fit


def conditional_pass(world: World) -> Fit:
    """One pass for the conditional logit's value, score, information and everybody's scores."""
    from penchant.fitting.plain_logit import PlainLogit

    logit = PlainLogit.of(as_batch(world))
    beta = np.linspace(-0.8, 0.8, world.features.shape[2])

    def fit() -> dict:
        return {"log_likelihood": logit.evaluate(beta).value}

    return fit


def conditional_file(_: World, *, path: str) -> Fit:
    """From the Parquet file to the table, as text."""
    from penchant.data.description import Description
    from penchant.data.readers.read import read
    from penchant.models.conditional_logit import ConditionalLogit

    names = tuple(f"x{place}" for place in range(10))
    description = Description(
        layout="long",
        person="person",
        situation=("situation",),
        option="option",
        features=names,
        kind="choice",
        answer="chosen",
    )

    def fit() -> dict:
        model = ConditionalLogit(formula=" + ".join(names)).fit(read(path, description).records)
        str(model.summary())
        return _plain(model.belief_) | {"coefficients": model.belief_.theta.tolist()}

    return fit


def mixed(
    world: World, *, draws: int = 500, correlated: bool = False, by_person: bool = False
) -> Fit:
    """MixedLogit as it comes: every coefficient normal, each person's draws around their taste."""
    from penchant.models.mixed_logit import MixedLogit

    model = MixedLogit(
        num_draws=draws, correlated=correlated, draws_by_person=by_person, random_state=0
    )

    def fit() -> dict:
        return _mixture(model.fit(as_batch(world)).belief_)

    return fit


def mixed_population_draws(world: World, *, draws: int = 500) -> Fit:
    """The same likelihood simulated as peers do: by draws from the population for everybody."""
    from penchant.fitting.simulated import SimulatedConfig, fit_simulated

    population = _all_normal(world, draws)

    def fit() -> dict:
        config = SimulatedConfig(is_adapted=False)
        return _mixture(fit_simulated(as_batch(world), population, config=config))

    return fit


def mixed_evaluation(world: World, *, draws: int = 500) -> Fit:
    """One evaluation of the simulated log-likelihood and of everybody's scores."""
    from penchant.fitting.panel_logit import PanelChoices
    from penchant.fitting.panel_logit_density import PanelDensity

    choices = PanelChoices.from_flat(as_batch(world).flat_choices())
    density = PanelDensity.build(choices, _all_normal(world, draws), num_blocks=64)
    width = world.features.shape[2]
    theta = np.concatenate([np.linspace(-0.8, 0.8, width), np.full(width, 0.8)])
    density.evaluate(theta)

    def fit() -> dict:
        return {"log_likelihood": density.evaluate(theta).log_likelihood}

    return fit


def _all_normal(world: World, draws: int):
    from penchant.populations.normal import Normal

    width = world.features.shape[2]
    return Normal(
        random=tuple(range(width)), distributions=("normal",) * width, num_draws=draws, seed=0
    )


def _mixture(belief) -> dict:
    mean, root = belief.population.split(belief.population_theta)
    return _plain(belief) | {"mean": mean.tolist(), "cholesky": root.tolist()}


def classes(world: World, *, classes: int = 2, panel: bool = True) -> Fit:
    """LatentClassLogit: EM from several starts, then Newton."""
    from penchant.models.latent_class_logit import LatentClassLogit

    def fit() -> dict:
        model = LatentClassLogit(num_classes=classes, random_state=0)
        belief = model.fit(as_batch(world, panel=panel)).belief_
        tastes = belief.population.tastes(belief.population_theta, np.zeros((1, 0)))
        return _plain(belief) | {
            "classes": tastes.values[0].tolist(),
            "shares": np.exp(tastes.log_weights[0]).tolist(),
        }

    return fit


def posterior_of_one(world: World, *, model: str) -> Fit:
    """What one new person's six answers say: their weights over kinds of people, or their mode."""
    belief = _trained(model, world)
    person = as_batch(world.head(1))

    def fit() -> dict:
        belief.tastes(person, person)
        return {}

    return fit


def posterior_of_all(world: World, *, model: str, train: str) -> Fit:
    """The same for everybody in the world, by a belief learnt from other people."""
    import worlds

    belief = _trained(model, worlds.load(Path(train)))
    people = as_batch(world)

    def fit() -> dict:
        for part, _ in belief.in_parts(people, people):
            belief.tastes(part, people)
        return {"people": world.num_people}

    return fit


def posterior_of_ratings(world: World, *, train: str) -> Fit:
    """The same from stars, of the first option of each menu."""
    import worlds
    from penchant.models.personal_logit import PersonalLogit

    belief = PersonalLogit().fit(_rated(worlds.load(Path(train)), seed=0)).belief_
    people = _rated(world, seed=1)

    def fit() -> dict:
        for part, _ in belief.in_parts(people, people):
            belief.tastes(part, people)
        return {"people": world.num_people}

    return fit


def _rated(world: World, seed: int):
    """People of the world's tastes who give the first option of each menu one of five levels."""
    from dataclasses import replace

    rng, batch = np.random.default_rng(seed), as_batch(world)
    mean, root = (np.array(world.truth[name]) for name in ("mean", "cholesky"))
    tastes = mean + rng.standard_normal((world.num_people, len(mean))) @ root.T
    (block,) = batch.blocks
    features = np.ascontiguousarray(block.features[:, :1])
    felt = np.einsum("bd,bd->b", features[:, 0], tastes[block.group])
    felt += rng.logistic(size=len(felt))
    stars = replace(
        block,
        kind="rating",
        features=features,
        offered=np.ones((len(block), 1), dtype=bool),
        option=np.zeros((len(block), 1), dtype=np.int64),
        answer={"level": np.digitize(felt, [-2.0, -0.5, 0.5, 2.0])[:, None]},
    )
    return replace(batch, blocks=(stars,))


def _trained(model: str, world: World):
    batch = as_batch(world)
    if model == "classes":
        from penchant.models.latent_class_logit import LatentClassLogit

        return LatentClassLogit(num_classes=2, random_state=0).fit(batch).belief_
    if model == "mixed":
        from penchant.models.mixed_logit import MixedLogit

        return MixedLogit(num_draws=500, random_state=0).fit(batch).belief_
    from penchant.models.personal_logit import PersonalLogit

    return PersonalLogit().fit(batch).belief_


def as_batch(world: World, *, panel: bool = True):
    """The world as a batch; without `panel` every choice is a person of its own."""
    from penchant.data.batch import Batch, Block

    rows, options, attributes = world.features.shape
    group = world.person if panel else np.arange(rows)
    people = world.num_people if panel else rows
    option = np.broadcast_to(np.arange(options), (rows, options))
    if world.offered is None:
        offered = np.broadcast_to(True, (rows, options))
    else:
        offered, option = world.offered, np.where(world.offered, option, -1)
    block = Block(
        kind="choice",
        features=world.features,
        offered=offered,
        option=option,
        row=np.arange(rows),
        group=group,
        weight=np.ones(rows),
        answer={"chosen": world.chosen},
    )
    return Batch(
        blocks=(block,),
        feature_names=tuple(f"x{place}" for place in range(attributes)),
        option_names=tuple(f"option{place}" for place in range(options)),
        group_names=tuple(map(str, range(people))),
        group_features=np.zeros((people, 0)),
        num_rows=rows,
    )


def _plain(belief) -> dict:
    report = belief.report
    errors = None if belief.covariance is None else np.sqrt(np.diag(belief.covariance)).tolist()
    return {
        "log_likelihood": report.log_likelihood,
        "converged": report.converged,
        "iterations": report.iterations,
        "standard_errors": errors,
        "warnings": list(report.warnings),
    }
