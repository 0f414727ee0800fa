"""Maximum simulated likelihood for random coefficients: cheap steps far away, exact ones near.

Legend: G groups (people), D features, P spreads, M parameters: D + P and the likelihoods' own.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count

import numpy as np
from jaxtyping import Float

from penchant.beliefs.belief import Belief, Encoder
from penchant.data.batch import Batch
from penchant.errors import ConfigError, DataError
from penchant.feedback.channel import default_channels
from penchant.feedback.channel_choice import Choice
from penchant.feedback.channel_contract import Channel
from penchant.feedback.channel_pair import Pair
from penchant.fitting.answer_density import AnswerDensity, SimulatedDensity
from penchant.fitting.checkpoint import Checkpoint
from penchant.fitting.inference import Covariances, invert_information, widened
from penchant.fitting.panel_logit import PanelChoices
from penchant.fitting.panel_logit_density import PanelDensity
from penchant.fitting.separation import WEAK_SCALE, describe, runaway_directions
from penchant.fitting.shrinkage import Learned, Mode, Shrinkage, learn_spreads
from penchant.fitting.simulated_belief import belief_of
from penchant.fitting.simulated_climb import Climb, OnStep, SimulatedOptimum
from penchant.fitting.simulated_start import starting_point
from penchant.numerics.arrays import Array
from penchant.numerics.threads import one_blas_thread
from penchant.populations.normal import Normal
from penchant.utilities.linear import Linear

# The first climb uses about so many people and draws: a twentieth of the work of a large fit, and
# it ends within two standard errors of the top.
_FEW_PEOPLE, _FEW_DRAWS = 1000, 128
# A rough climb ends when a step promises less than this per parameter: its people are a sample,
# or its proposals are out of date, and the top that it would find is not the one sought.
_ROUGH = 1e-2
# Standard deviations of the weak prior within which a climb begins again.
_REACH = 2.0
# Proposals made at the starting point are poor ones: the second round makes better.
_ROUGH_ROUNDS = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class SimulatedConfig:
    """num_blocks: people share this many different blocks of draws; as many as there are people
    gives each their own. tolerance: stop when half the Newton decrement, the expected gain of one
    more step, falls below this many nats. max_steps: over all stages. num_threads: people are
    shared out among them, with the same result. is_adapted: take each person's draws around their
    own taste instead of from the whole population."""

    num_blocks: int = 256
    tolerance: float = 1e-8
    max_steps: int = 200
    num_threads: int = 1
    is_adapted: bool = True

    def __post_init__(self) -> None:
        if min(self.num_blocks, self.max_steps, self.num_threads) < 1 or self.tolerance <= 0:
            raise ConfigError(
                f"got {self}; expected at least one block, step and thread and a tolerance above 0."
            )


@one_blas_thread
def fit_simulated(
    batch: Batch,
    population: Normal,
    *,
    channels: tuple[Channel, ...] | None = None,
    prior_scale: float | Float[Array, " M"] | None = None,
    shrinkage: Shrinkage | None = None,
    anchors: Mapping[int, tuple[float, float]] | None = None,
    start: Float[Array, " M"] | None = None,
    config: SimulatedConfig | None = None,
    encoder: Encoder | None = None,
    on_step: OnStep | None = None,
    checkpoint: Checkpoint | None = None,
) -> Belief:
    """Fit random coefficients to answers of any kind, alone or mixed.

    channels: how each kind of answer comes about, by default `default_channels`; their own
    parameters (thresholds, tie strength) are common to all people and stand last.
    prior_scale: standard deviation of every location and spread around zero before any data, in
    utility per standard deviation of its feature within menus; or one number for each parameter,
    in its own unit. None fits without a prior unless the data push a parameter to infinity, then a
    weak one on the parameters concerned is turned on and `report.warnings` says so. shrinkage:
    families of features whose locations are shrunk to zero by an amount that the data tell.
    anchors: of features by their places, mean and standard deviation of a normal prior on their
    location, in its own unit. start: climb from there; what `on_step(iteration, theta, value)`
    recorded takes up an interrupted fit. checkpoint keeps the stages of the climb that are
    finished; taken up, the fit ends as it would have. The same seed gives the same bits.

    Raises `DataError` for a batch without observations or with a kind that no channel serves, or
    people whose rows have different weights; `ConfigError` for channels with parameters of single
    people.
    """
    began = time.perf_counter()
    config = config or SimulatedConfig()
    if batch.num_observations == 0:
        raise DataError(
            "the batch holds no observations; expected at least one. Check the filters, or "
            "the quarantine, that came before."
        )
    _check_places(population, batch.num_features)
    channels = channels or default_channels(batch)
    own = tuple(name for channel in channels for name in channel.parameter_names(batch))
    scales = _parameter_scales(population, Linear().scales(batch))
    scales, cut = np.concatenate([scales, np.ones(len(own))]), len(scales)
    precision, prior = np.zeros(len(scales)), None
    if isinstance(prior_scale, int | float):
        precision[:cut] = (scales[:cut] / prior_scale) ** 2
        prior = f"normal, standard deviation {prior_scale:g} per standard deviation of the feature"
    elif prior_scale is not None:
        precision = 1.0 / np.asarray(prior_scale, dtype=np.float64) ** 2
        prior = "normal around zero, one standard deviation for each parameter"
    # A prior so tight that the location stays at zero to eight digits.
    centred = list(population.centred)
    precision[centred] = 1e10 * np.maximum(scales[centred], 1e-8) ** 2
    centre = np.zeros(len(scales))
    for place, (mean, sd) in (anchors or {}).items():
        centre[place], precision[place] = mean, sd**-2.0
        said = f"normal around {mean:g}, standard deviation {sd:g}, on {batch.feature_names[place]}"
        prior = said if prior is None else f"{prior}; {said}"
    density = _density(batch, channels, population, precision, centre, config)
    if shrinkage is not None:
        learned = _learn(density, shrinkage, scales, config, start, on_step, checkpoint)
        density, start = replace(density, precision=learned.precision), learned.fit
        precision, prior = learned.precision, learned.sentence(shrinkage)
    optimum = maximise_simulated(
        density, config, start=start, on_step=on_step, checkpoint=checkpoint
    )
    names = population.parameter_names(batch.feature_names, batch.group_feature_names) + own
    notes: tuple[str, ...] = ()
    # A simulated climb stops before such an estimate is truly large: errors of ten standard
    # deviations' worth of utility are enough, where `runaway_directions` wants a hundred.
    runaway = runaway_directions(0.01 * optimum.information, density.information_at_zero, scales)
    if runaway.parameters.any():
        safe = np.where(scales > 0, scales, 1.0)
        extra = runaway.parameters * (safe / WEAK_SCALE) ** 2
        density = replace(density, precision=precision + extra)
        bounded = np.where(
            runaway.parameters,
            _brought_back(optimum.theta, safe, population, len(own)),
            optimum.theta,
        )
        steps = optimum.iterations
        optimum = maximise_simulated(
            density, config, start=bounded, on_step=on_step, checkpoint=checkpoint, label="bounded "
        )
        optimum = replace(optimum, iterations=steps + optimum.iterations)
        weak = f"weak, standard deviation {WEAK_SCALE:g}, where the data do not bound a parameter"
        prior = weak if prior is None else f"{prior}; {weak}"
        notes = describe(runaway, names)
    belief = belief_of(batch, channels, density, optimum, names, encoder, prior, notes, began)
    robust = widened(
        Covariances(
            classical=belief.covariance,
            robust=belief.robust_covariance,
            flat_directions=np.zeros((0, len(names))),
        ),
        runaway.parameters,
    )
    return replace(belief, robust_covariance=robust)


def _brought_back(
    theta: Float[Array, " M"], unit: Float[Array, " M"], population: Normal, num_own: int
) -> Float[Array, " M"]:
    """Where parameters that ran away start anew: on the side to which they ran, near enough for a
    weak prior to hold them.

    Beside a start a tenth of a unit above zero, whatever their side, climbs ended between 0.7 nats
    higher and 0.08 lower, some in fewer steps and some in more (4,000 draws, worlds of 40 people).
    A spread of zero would stay there.
    """
    bound = _REACH * WEAK_SCALE / unit
    back = np.clip(theta, -bound, bound)
    cut = len(theta) - num_own
    spreads = np.zeros(len(theta), dtype=bool)
    spreads[cut - len(population.spread_pairs) : cut] = True
    least = 0.1 / unit
    return np.where(spreads & (np.abs(back) < least), least, back)


def _density(
    batch: Batch,
    channels: tuple[Channel, ...],
    population: Normal,
    precision: Float[Array, " M"],
    centre: Float[Array, " M"],
    config: SimulatedConfig,
) -> SimulatedDensity:
    """Of choices alone as they are, of other answers as what they are made of."""
    if all(channel in (Choice(), Pair()) for channel in channels):
        return PanelDensity.build(
            PanelChoices.from_flat(batch.flat_choices()),
            population,
            num_blocks=config.num_blocks,
            precision=precision,
            centre=centre,
            num_threads=config.num_threads,
        )
    return AnswerDensity.build(
        batch,
        channels,
        population,
        num_blocks=config.num_blocks,
        precision=precision,
        centre=centre,
        num_threads=config.num_threads,
    )


def _learn(
    density: SimulatedDensity,
    shrinkage: Shrinkage,
    scales: Float[Array, " M"],
    config: SimulatedConfig,
    start: Float[Array, " M"] | None,
    on_step: OnStep | None,
    checkpoint: Checkpoint | None,
) -> Learned[Float[Array, " M"]]:
    """The families' spreads, by climbs no better than the spreads can be known.

    Draws are those of the population, which stay where they are: draws placed around people's
    tastes as seen from a poor theta would let hundreds of parameters chase their error.
    """

    checkpoint, rounds = checkpoint or Checkpoint(), count(1)

    def climb(
        precision: Float[Array, " M"], start: Float[Array, " M"] | None
    ) -> Mode[Float[Array, " M"]]:
        def run() -> dict[str, Array]:
            shrunk = replace(density, precision=precision)
            rough = Climb(shrunk, config.max_steps, on_step, is_rough=True)
            theta, _ = rough.run(starting_point(shrunk) if start is None else start, tolerance=0.05)
            inverse, _ = invert_information(shrunk.outer_product(rough.here))
            return {"theta": theta, "inverse": inverse}

        kept = checkpoint.once(f"how much is shrunk, round {next(rounds)}", run)
        return Mode(theta=kept["theta"], covariance=kept["inverse"], fit=kept["theta"])

    # Spreads and own parameters belong to no family.
    others = (-1,) * (len(scales) - len(shrinkage.families))
    whole = replace(shrinkage, families=shrinkage.families + others)
    return learn_spreads(climb, whole, scales, density.precision, start=start)


def maximise_simulated(
    density: SimulatedDensity,
    config: SimulatedConfig | None = None,
    *,
    start: Float[Array, " M"] | None = None,
    on_step: OnStep | None = None,
    checkpoint: Checkpoint | None = None,
    label: str = "",
) -> SimulatedOptimum:
    """Climb to the maximum of a simulated log-density.

    A sample of people with few draws first, by steps with the outer product of people's scores
    (Berndt, Hall, Hall and Hausman 1974) in a trust region; then all people and draws; near the
    top the exact information, which the standard errors need anyway. The last steps are in double
    precision. Each person's draws are placed once, where the rough climb ended. Parameters of
    spread come out with a positive diagonal. checkpoint keeps every stage but the last, under names
    that begin with `label`.
    """
    config, checkpoint = config or SimulatedConfig(), checkpoint or Checkpoint()
    taken, every = 0, max(1, len(density.weight) // _FEW_PEOPLE)
    if start is None:
        few = density.coarser(every, _FEW_DRAWS)
        theta = starting_point(few)
        for number in range(1, _ROUGH_ROUNDS + 1):

            def rough(theta: Float[Array, " M"] = theta, taken: int = taken) -> dict[str, Array]:
                # Turned before draws are placed around people: afterwards they would lie elsewhere.
                theta = few.oriented(theta)
                climb = Climb(_adapted(few, theta, config), config.max_steps, on_step,
                               taken=taken, is_rough=True)  # fmt: skip
                return climb.stage(theta, _ROUGH * len(theta))

            kept = checkpoint.once(f"{label}rough climb {number}", rough)
            theta, taken = kept["theta"], int(kept["taken"])
    else:
        theta = np.array(start, dtype=np.float64)
    stages = (_ROUGH * len(theta), 1e-4) if config.is_adapted else (1e-4,)
    for number, tolerance in enumerate(stages, start=1):
        density = _adapted(density, density.oriented(theta), config)

        def single(
            here: SimulatedDensity = density,
            theta: Float[Array, " M"] = theta,
            taken: int = taken,
            tolerance: float = tolerance,
        ) -> dict[str, Array]:
            is_rough = tolerance != 1e-4
            climb = Climb(here, config.max_steps, on_step, taken=taken, is_rough=is_rough)
            return climb.stage(here.oriented(theta), tolerance)

        kept = checkpoint.once(f"{label}climb {number}", single)
        theta, taken = kept["theta"], int(kept["taken"])
    # Not turned here, with draws already placed: a world of 80 people fell 38 nats by it.
    double = Climb(density.in_double(), config.max_steps, on_step, taken=taken)
    if "information" in kept:
        double.information = kept["information"]
        double.informed_at = float(kept["informed_at"])
    theta, converged = double.run(theta, tolerance=config.tolerance)
    here, information = double.here, double.information
    if information is None:
        # Out of steps, or stuck, before the exact one was asked for: the errors need it anyway.
        information = double.density.information(theta, here)
    turned = density.oriented(theta)
    if not np.array_equal(turned, theta):
        # A spread that wanders across zero is zero within its error; only its sign is dropped.
        sign = np.where(turned == theta, 1.0, -1.0)
        theta, information = turned, information * sign[:, None] * sign
        here = replace(here, gradient=here.gradient * sign, scores=here.scores * sign)
    return SimulatedOptimum(
        theta=theta,
        here=here,
        information=information,
        converged=converged,
        iterations=double.taken,
        decrement=double.decrement,
    )


def _adapted(
    density: SimulatedDensity, theta: Float[Array, " M"], config: SimulatedConfig
) -> SimulatedDensity:
    return density.adapted(theta) if config.is_adapted else density


def _check_places(population: Normal, num_features: int) -> None:
    places = population.random if population.price is None else (
        *population.random, population.price
    )  # fmt: skip
    if any(not 0 <= place < num_features for place in places):
        raise ConfigError(
            f"random coefficients (and the price) are at places {places} among {num_features} "
            "features; expected places from 0 on."
        )


def _parameter_scales(population: Normal, scales: Float[Array, " D"]) -> Float[Array, " M"]:
    """The unit of each parameter: that of its feature, one for logarithms."""
    scales = np.array(scales)
    if population.price is not None:
        scales = scales / max(float(scales[population.price]), 1e-300)
        scales[population.price] = 1.0
    for place, name in zip(population.random, population.plain_distributions):
        if name == "lognormal":
            scales[place] = 1.0
    spreads = [scales[population.random[row]] for row, _ in population.spread_pairs]
    return np.concatenate([scales, np.array(spreads)])
