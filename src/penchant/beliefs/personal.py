"""What one person's few answers say of their taste: a mode, its curvature, and exact reweighting.

Legend: N options over all menus, B observations, K options, D tastes, G groups (people),
R random tastes, S draws, C blocks of them. z are random tastes in standard units:
beta = mean + root z.
"""

import zlib
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int

from penchant.beliefs.belief import Belief
from penchant.beliefs.personal_kinds import AnswersOfKinds, climb, weigh_kinds
from penchant.beliefs.taste_posterior import (
    PersonalDraws,
    PersonalModes,
    TastePrior,
    drawn_around,
)
from penchant.data.batch import Batch, FlatChoices
from penchant.errors import BeliefError
from penchant.feedback.as_choices import AnswersAsChoices, as_choices
from penchant.feedback.channel_choice import Choice
from penchant.feedback.channel_pair import Pair
from penchant.numerics.arrays import Array
from penchant.numerics.draws import draw_uniforms
from penchant.populations.normal import Normal
from penchant.populations.population import Tastes

NUM_DRAWS = 256
# Plain choices, for the fused loops, or each kind of answer by its own likelihood.
Answers = FlatChoices | AnswersOfKinds
# Floats that the draws of people taken together may hold: 32 MB, half the time of 400 MB. More
# people are taken in parts; how many draws a person has depends on nobody else.
DRAW_FLOATS = 4_000_000


@dataclass(frozen=True, kw_only=True, eq=False)
class TastePosterior:
    """A normal belief about one person's tastes, all D of them."""

    mean: Float[Array, " D"]
    covariance: Float[Array, "D D"]


@dataclass(frozen=True, kw_only=True, eq=False)
class PersonalAnswers:
    """People's answers, as plain choices where they can be taken apart into them, and the
    population that they come from.

    Bars and thresholds of answers that are made of choices count as tastes that nobody differs in:
    `prior` has them after the `num_tastes` tastes. log_factor: what the log-probability of each
    person's answers has besides, whatever their taste.
    """

    answers: Answers
    prior: TastePrior
    num_tastes: int
    log_factor: Float[Array, " G"]

    @classmethod
    def of_choices(cls, flat: FlatChoices, prior: TastePrior) -> "PersonalAnswers":
        """Choices as they are, which have no parameters of their own."""
        nothing = np.zeros(len(flat.group_start) - 1)
        return cls(answers=flat, prior=prior, num_tastes=len(prior.mean), log_factor=nothing)

    @classmethod
    def made_of_choices(
        cls,
        flat: FlatChoices,
        made: AnswersAsChoices,
        prior: TastePrior,
        own: Float[Array, " Q"],
    ) -> "PersonalAnswers":
        """The choices that `as_choices` made of them, `flat`, at own parameters `own`."""
        mean = np.concatenate([prior.mean, made.columns.coefficients(own)])
        return cls(
            answers=flat,
            prior=TastePrior(mean=mean, random=prior.random, root=prior.root),
            num_tastes=len(prior.mean),
            log_factor=made.columns.gap_term(own).value,
        )

    @classmethod
    def of_kinds(cls, answers: AnswersOfKinds, prior: TastePrior) -> "PersonalAnswers":
        """Each kind of answer by its channel."""
        nothing = np.zeros(answers.batch.num_groups)
        return cls(answers=answers, prior=prior, num_tastes=len(prior.mean), log_factor=nothing)

    def modes(
        self, start: Float[Array, "G R"] | None = None, tolerance: float = 1e-14
    ) -> PersonalModes:
        """Of everybody; see `personal_modes`."""
        return personal_modes(self.answers, self.prior, start=start, tolerance=tolerance)

    def draws(self, modes: PersonalModes, noise: Float[Array, "C S R"]) -> PersonalDraws:
        """Around everybody's mode; see `posterior_draws`. The evidence knows of the factor."""
        drawn = posterior_draws(self.answers, self.prior, modes, noise)
        return replace(drawn, log_ratio=drawn.log_ratio + self.log_factor[:, None])


def personal_answers(belief: Belief, history: Batch) -> PersonalAnswers:
    """Answers of any kind, for a posterior per person.

    Raises `BeliefError` where the population is not normal, `DataError` for an answer of a kind
    that the belief knows nothing of.
    """
    prior = taste_prior(belief)
    known = {channel.kind for channel in belief.channels}
    is_plain = all(channel in (Choice(), Pair()) for channel in belief.channels)
    if is_plain or not {block.kind for block in history.blocks} <= known:
        return PersonalAnswers.of_choices(history.flat_choices(), prior)
    made = as_choices(history, belief.channels)
    if made is not None:
        own = belief.theta[len(belief.population_theta) :]
        flat = made.choices.flat_choices()
        return PersonalAnswers.made_of_choices(flat, made, prior, own)
    own_of = tuple(
        channel.transfer(belief.channel_theta(index), belief.group_names, history)
        for index, channel in enumerate(belief.channels)
    )
    answers = AnswersOfKinds(batch=history, channels=belief.channels, own=own_of)
    return PersonalAnswers.of_kinds(answers, prior)


def personal_tastes(
    belief: Belief, batch: Batch, history: Batch, *, num_draws: int = NUM_DRAWS, seed: int = 0
) -> Tastes:
    """Each person's posterior as weighted draws, given a history numbered as `batch`'s groups.

    Draws come from Laplace's approximation around each person's mode and are weighted by exact
    posterior over approximation: with more draws this becomes the exact posterior, and with few
    it is already close, where reweighting the population's own draws would leave a handful of them
    (Geweke 1989). People without history get the population's draws with equal weights. Answers may
    be of every kind that the belief has a likelihood for.

    Raises `BeliefError` where the population is not normal.
    """
    mine = personal_answers(belief, history)
    blocks = quasi_normal(num_draws, len(mine.prior.random), seed)
    # By name, so that a person's prediction does not depend on who else is asked about.
    block = [zlib.crc32(name.encode()) % len(blocks) for name in batch.group_names]
    noise = blocks[np.array(block, dtype=np.int64)]
    draws = mine.draws(mine.modes(), noise)
    values = mine.prior.tastes(draws.z)
    return Tastes(values=values[:, :, : mine.num_tastes], log_weights=draws.log_weights)


def people_at_once(num_features: int) -> int:
    """So many people's draws fit into `DRAW_FLOATS`."""
    return max(1, DRAW_FLOATS // (NUM_DRAWS * max(num_features, 1)))


def taste_prior(belief: Belief) -> TastePrior:
    """The normal population behind a belief. Raises `BeliefError` where it is not normal."""
    population = belief.population
    if not isinstance(population, Normal) or not population.is_plain:
        raise BeliefError(
            "a Laplace posterior per person needs a population whose tastes are normal, in "
            f"preference space; the belief has {population}. Use posterior='reweight'."
        )
    mean, root = population.split(belief.population_theta)
    return TastePrior(mean=mean, random=np.array(population.random, dtype=np.int64), root=root)


def personal_modes(
    answers: Answers,
    prior: TastePrior,
    *,
    start: Float[Array, "G R"] | None = None,
    max_steps: int = 50,
    tolerance: float = 1e-14,
) -> PersonalModes:
    """The mode of every person's posterior by damped Newton, and the curvature there.

    max over z of sum_b w_b log p(y_b | mean + root z) - z'z / 2. It is concave (but for ties in
    rankings, far out), so that the climb cannot fail; in standard units its curvature is at least
    the identity, so that a covariance without full rank does no harm. tolerance: nats that a
    further step would gain.
    """
    if isinstance(answers, AnswersOfKinds):
        return climb(answers, prior, start, max_steps, tolerance)
    if start is None:
        start = np.zeros((len(answers.group_start) - 1, len(prior.random)))
    flat = answers
    try:
        from penchant.beliefs.personal_fused import laplace as fused
    except ImportError:
        return laplace(flat, prior, start, max_steps, tolerance)
    mode, lower, value, decrement = fused(
        *flat_arrays(flat, prior), np.array(start, dtype=np.float64), max_steps, tolerance
    )
    return PersonalModes(mode=mode, lower=lower, log_joint=value, decrement=decrement)


def posterior_draws(
    answers: Answers, prior: TastePrior, modes: PersonalModes, noise: Float[Array, "C S R"]
) -> PersonalDraws:
    """Draws around each person's mode, with log joint density over (widened) proposal density."""
    lower = modes.widened()
    if isinstance(answers, AnswersOfKinds):
        return weigh_kinds(answers, prior, modes.mode, lower, noise)
    flat = answers
    try:
        from penchant.beliefs.personal_fused import weigh as fused
    except ImportError:
        return weigh(flat, prior, modes.mode, lower, noise)
    z, log_ratio = fused(*flat_arrays(flat, prior), modes.mode, lower, noise)
    return PersonalDraws(z=z, log_ratio=log_ratio)


def posterior_update(
    belief: TastePosterior,
    features: Float[Array, "K D"],
    chosen: int,
    *,
    max_steps: int = 25,
    tolerance: float = 1e-12,
) -> TastePosterior:
    """The belief about one person after one more choice, in microseconds and without their past.

    The mode and curvature of N(beta; m, C) p(chosen | beta), found in the K worths of the menu
    rather than in the D tastes: with S = X C X', alpha solves alpha = y - p(X m + S alpha); then
    m + C X' alpha and C - C X' W (I + S W)^-1 X C (Rasmussen and Williams 2006, section 3.5).
    Answers taken one at a time compound the approximation; all at once is `personal_modes`.
    """
    reach = belief.covariance @ features.T
    spread, centre = features @ reach, features @ belief.mean
    answer = np.zeros(len(features))
    answer[chosen] = 1.0
    identity = np.eye(len(features))
    alpha = np.zeros(len(features))
    value, probability = _menu_joint(centre, spread, alpha, chosen)
    for _ in range(max_steps):
        weights = np.diag(probability) - np.outer(probability, probability)
        target = np.linalg.solve(
            identity + weights @ spread, answer - probability + weights @ (spread @ alpha)
        )
        step = target - alpha
        gain = float(step @ spread @ (answer - probability - alpha))
        if gain <= tolerance:
            break
        length = 1.0
        while length > 1e-9:
            there, moved = _menu_joint(centre, spread, alpha + length * step, chosen)
            if there >= value:
                break
            length *= 0.5
        alpha, value, probability = alpha + length * step, there, moved
    weights = np.diag(probability) - np.outer(probability, probability)
    shrink = weights @ np.linalg.solve(identity + spread @ weights, reach.T)
    covariance = belief.covariance - reach @ shrink
    return TastePosterior(
        mean=belief.mean + reach @ alpha, covariance=0.5 * (covariance + covariance.T)
    )


# Making the points takes twenty times as long as weighing them for one person's answers.
@lru_cache(maxsize=4)
def quasi_normal(num_draws: int, size: int, seed: int, blocks: int = 64) -> Float[Array, "C S R"]:
    """Blocks of evenly spread standard normal points; powers of two are the most even.

    People take the blocks in turn: with one block for all, everybody's error would be the same,
    and in a sum over people it would not average out.

    Sobol points: a third to a half of the error of Halton's here, and mirrored pairs, which make
    the mean exact, lose more in the spread than they win.
    """
    from scipy.special import ndtri

    uniform = draw_uniforms("sobol", blocks, size, num_draws, np.random.default_rng(seed))
    return np.ascontiguousarray(np.swapaxes(ndtri(uniform), 1, 2))


def laplace(
    flat: FlatChoices,
    prior: TastePrior,
    start: Float[Array, "G R"],
    max_steps: int,
    tolerance: float,
) -> PersonalModes:
    """The plain twin of `personal_fused.laplace`, one person at a time."""
    modes, size = np.array(start, dtype=np.float64), start.shape[1]
    lowers = np.zeros((len(start), size, size))
    values, decrements = np.zeros(len(start)), np.zeros(len(start))
    for g in range(len(start)):
        person = _Person.read(flat, prior, g)
        z = modes[g]
        here, probability = person.log_joint(z)
        for _ in range(max_steps):
            slope, bend = person.slope_and_bend(z, probability)
            lowers[g] = np.linalg.cholesky(bend)
            step = np.linalg.solve(bend, slope)
            decrements[g] = 0.5 * slope @ step
            if decrements[g] <= tolerance:
                break
            for halving in range(40):
                there, moved = person.log_joint(z + 0.5**halving * step)
                if there >= here - 1e-13 * abs(here):
                    break
            z, here, probability = z + 0.5**halving * step, there, moved
        modes[g], values[g] = z, here
    return PersonalModes(mode=modes, lower=lowers, log_joint=values, decrement=decrements)


def weigh(
    flat: FlatChoices,
    prior: TastePrior,
    mode: Float[Array, "G R"],
    lower: Float[Array, "G R R"],
    noise: Float[Array, "C S R"],
) -> PersonalDraws:
    """The plain twin of `personal_fused.weigh`, one person at a time."""
    z, against = drawn_around(mode, lower, noise)
    log_joint = np.zeros(z.shape[:2])
    for g in range(len(z)):
        person = _Person.read(flat, prior, g)
        for s in range(z.shape[1]):
            log_joint[g, s] = person.log_joint(z[g, s])[0]
    return PersonalDraws(z=z, log_ratio=log_joint + against)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Person:
    """One person's choices: what all share of each worth, and features in standard units."""

    offset: Float[Array, " n"]
    design: Float[Array, "n R"]
    menu: Int[Array, " m"]
    sizes: Int[Array, " m"]
    chosen: Int[Array, " m"]
    weight: Float[Array, " m"]

    @classmethod
    def read(cls, flat: FlatChoices, prior: TastePrior, g: int) -> "_Person":
        rows = slice(flat.group_start[g], flat.group_start[g + 1])
        starts = flat.menu_start[flat.group_start[g] : flat.group_start[g + 1] + 1]
        features = flat.features[starts[0] : starts[-1]]
        return cls(
            offset=features @ prior.mean,
            design=features[:, prior.random] @ prior.root,
            menu=starts[:-1] - starts[0],
            sizes=np.diff(starts),
            chosen=flat.chosen[rows] - starts[0],
            weight=flat.weight[rows],
        )

    def log_joint(self, z: Float[Array, " R"]) -> tuple[float, Float[Array, " n"]]:
        if len(self.menu) == 0:
            return -0.5 * float(z @ z), np.zeros(0)
        worth = self.offset + self.design @ z
        top = np.maximum.reduceat(worth, self.menu)
        expo = np.exp(worth - np.repeat(top, self.sizes))
        total = np.add.reduceat(expo, self.menu)
        logs = worth[self.chosen] - top - np.log(total)
        value = float(self.weight @ logs) - 0.5 * float(z @ z)
        return value, expo / np.repeat(total, self.sizes)

    def slope_and_bend(
        self, z: Float[Array, " R"], probability: Float[Array, " n"]
    ) -> tuple[Float[Array, " R"], Float[Array, "R R"]]:
        if len(self.menu) == 0:
            return -z, np.eye(len(z))
        mean = np.add.reduceat(probability[:, None] * self.design, self.menu)
        slope = self.weight @ (self.design[self.chosen] - mean) - z
        centred = self.design - np.repeat(mean, self.sizes, axis=0)
        share = probability * np.repeat(self.weight, self.sizes)
        return slope, np.eye(len(z)) + (centred * share[:, None]).T @ centred


def flat_arrays(flat: FlatChoices, prior: TastePrior) -> tuple[Array, ...]:
    """The arguments that every fused pass over people begins with."""
    return (
        flat.features,
        flat.menu_start,
        flat.chosen,
        flat.weight,
        flat.group_start,
        np.ascontiguousarray(prior.mean, dtype=np.float64),
        np.ascontiguousarray(prior.random, dtype=np.int64),
        np.ascontiguousarray(np.tril(prior.root), dtype=np.float64),
    )


def _menu_joint(
    centre: Float[Array, " K"], spread: Float[Array, "K K"], alpha: Float[Array, " K"], chosen: int
) -> tuple[float, Float[Array, " K"]]:
    """log p(chosen | u) - alpha' S alpha / 2 at u = centre + S alpha, and the probabilities."""
    shift = spread @ alpha
    worth = centre + shift
    expo = np.exp(worth - worth.max())
    total = expo.sum()
    value = worth[chosen] - worth.max() - np.log(total) - 0.5 * float(alpha @ shift)
    return float(value), expo / total
