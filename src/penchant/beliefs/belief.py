"""The belief: what was learnt, how surely, and the questions it answers.

Legend: B observations, C rows of a chunk, K options, S kinds of people, D tastes, G groups,
M parameters, N draws of our doubt.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from penchant.beliefs.posterior import group_log_likelihood, responsibilities
from penchant.beliefs.report import FitReport
from penchant.data.batch import Batch, Block
from penchant.data.records import Records
from penchant.errors import BeliefError, DataError
from penchant.feedback.channel_choice import Choice
from penchant.feedback.channel_contract import Channel
from penchant.feedback.choice import probabilities as choice_probabilities
from penchant.numerics.arrays import Array
from penchant.populations.population import Population, Tastes
from penchant.utilities.utility import Utility

# Floats that one chunk of worths [c, K, S] may hold: 4 MB, so that it stays in the cache.
CHUNK_FLOATS = 500_000


@runtime_checkable
class Encoder(Protocol):
    """Turns records into a batch; frozen, with whatever it learnt when it was fitted."""

    def encode(self, records: Records) -> Batch:
        """The records as blocks of features."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Worths:
    """Utilities of a few rows of one block; `rows` are places in that block."""

    block: int
    rows: Int[Array, " C"]
    utilities: Float[Array, "C K S"]
    log_weights: Float[Array, "C S"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Moments:
    """Mean worths of each block and the two reasons they vary: people differ, we are unsure."""

    mean: tuple[Float[Array, "_ _"], ...]
    people: tuple[Float[Array, "_ _ _"], ...]
    doubt: tuple[Float[Array, "_ _ _"], ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Belief:
    """What a fit learnt. Immutable: policies, reports and servers receive this and nothing else.

    theta: the mode (or posterior mean); first the population's parameters, then each channel's
    own, `channel_sizes` of them. covariance: of theta, from the curvature; robust_covariance: the
    sandwich clustered by group. Both are None in a belief without doubt, such as `sample` gives.
    has_unknown_doubt: the fit had too many parameters to make a covariance; whatever needs our
    doubt then raises `BeliefError` rather than call us certain.
    draws: posterior draws of theta where the fit made them. posterior: how a person's own answers
    are used, by reweighting the kinds of people or by a Laplace approximation per person.
    group_names: the people of the fit, kept where a channel has parameters of their own.
    """

    theta: Float[Array, " M"]
    parameter_names: tuple[str, ...]
    utility: Utility
    population: Population
    channels: tuple[Channel, ...] = (Choice(),)
    channel_sizes: tuple[int, ...] = (0,)
    encoder: Encoder | None = None
    covariance: Float[Array, "M M"] | None = None
    robust_covariance: Float[Array, "M M"] | None = None
    has_unknown_doubt: bool = False
    draws: Float[Array, "N M"] | None = None
    posterior: str = "reweight"
    group_names: tuple[str, ...] = ()
    report: FitReport | None = None
    fingerprint: str = ""
    version: str = ""

    @property
    def population_theta(self) -> Float[Array, " M1"]:
        """The population's part of theta."""
        return self.theta[: len(self.theta) - sum(self.channel_sizes)]

    def channel_theta(self, index: int) -> Float[Array, " M2"]:
        """The own parameters (tie strength, nest scales, thresholds) of one channel."""
        start = len(self.population_theta) + sum(self.channel_sizes[:index])
        return self.theta[start : start + self.channel_sizes[index]]

    def encode(self, records: Records) -> Batch:
        """Records as this belief's features. Raises `BeliefError` if it was fitted on a batch."""
        if self.encoder is None:
            raise BeliefError(
                "this belief was fitted on a batch of ready features, so it cannot read records. "
                "Give it a Batch with the same features, or fit on Records with a formula."
            )
        return self.encoder.encode(records)

    def tastes(self, batch: Batch, history: Batch | None = None) -> Tastes:
        """The kinds of people and how likely each group of `batch` is of each kind.

        With `history` (answers of the same people, met by name), the weights are conditioned on
        it: p(s | history of g) ~ w[g, s] prod p(y | u_s). Groups without history keep the
        population's weights.
        """
        prior = self.population.tastes(self.population_theta, batch.group_features)
        if history is None or history.num_observations == 0:
            return prior
        known = _regroup(history, batch)
        if not known.blocks:
            return prior
        if self.posterior == "laplace":
            from penchant.beliefs.personal import personal_tastes

            return personal_tastes(self, batch, known)
        likelihood = np.zeros((batch.num_groups, prior.values.shape[1]))
        for worths in self._worths(known, prior):
            block = known.blocks[worths.block].take(worths.rows)
            log_prob = self._log_prob(known, block, worths.utilities)
            # A chunk's rows belong to few groups, neighbours most often: only those are touched.
            first, last = int(block.group.min()), int(block.group.max()) + 1
            likelihood[first:last] += group_log_likelihood(
                log_prob, block.group - first, block.weight, last - first
            )
        return replace(prior, log_weights=responsibilities(prior.log_weights, likelihood))

    def utilities(
        self, batch: Batch, history: Batch | None = None, chunk: int = CHUNK_FLOATS
    ) -> Iterator[Worths]:
        """Worths chunk by chunk, at most `chunk` floats each: never people x options x draws."""
        for part, places in self.in_parts(batch, history):
            for worths in self._worths(part, self.tastes(part, history), chunk):
                yield replace(worths, rows=places[worths.block][worths.rows])

    def in_parts(
        self, batch: Batch, history: Batch | None = None
    ) -> Iterator[tuple[Batch, tuple[Int[Array, " _"], ...]]]:
        """The batch by as many people at a time as memory holds the tastes of, given a history.

        With each part, the places of its rows in the batch's blocks.
        """
        at_once = max(batch.num_groups, 1)
        if history is not None and self.posterior == "laplace":
            from penchant.beliefs.personal import people_at_once

            at_once = people_at_once(batch.num_features)
        return batch.in_parts(at_once)

    def mean_tastes(self, batch: Batch, history: Batch | None = None) -> Float[Array, "G D"]:
        """Each person's mean taste; one row where all share it."""
        parts = self.in_parts(batch, history)
        return np.concatenate([self.tastes(part, history).mean() for part, _ in parts])

    def predict_proba(
        self, batch: Batch, history: Batch | None = None
    ) -> tuple[Float[Array, "_ _"], ...]:
        """The probability that each option is the one chosen, for each block.

        p(k) = sum_s w[g, s] p(k | u_s): the average is taken outside the choice, over people. Of a
        pair, the probability that each wins (what is left to one is that of a tie); of a ranking,
        that each comes first; of best and worst, that each is best.

        Raises `DataError` for ratings and other feedback that chooses nothing, of which
        `beliefs.foretold` tells what is expected.
        """
        return self._shares(batch, self.utilities(batch, history))

    def predict_given(self, batch: Batch, tastes: Tastes) -> tuple[Float[Array, "_ _"], ...]:
        """`predict_proba` from tastes already at hand, so that several menus can share them."""
        return self._shares(batch, self._worths(batch, tastes))

    def _shares(self, batch: Batch, parts: Iterator[Worths]) -> tuple[Float[Array, "_ _"], ...]:
        result = tuple(np.zeros(block.offered.shape) for block in batch.blocks)
        for worths in parts:
            block = batch.blocks[worths.block].take(worths.rows)
            given_kind = self._chosen(block, worths.utilities)
            weights = np.exp(worths.log_weights)
            result[worths.block][worths.rows] = np.einsum("cks,cs->ck", given_kind, weights)
        return result

    def forecast(
        self,
        batch: Batch,
        history: Batch | None = None,
        *,
        num_draws: int,
        rng: np.random.Generator,
    ) -> tuple[Float[Array, "_ _"], ...]:
        """`predict_proba` averaged over draws of our doubt, E[p(k | theta)].

        A prediction at the mode alone is too sure where many parameters rest on few people.
        """
        total = tuple(np.zeros(block.offered.shape) for block in batch.blocks)
        for belief in self.sample(num_draws, rng, antithetic=True):
            for sum_BK, one_BK in zip(total, belief.predict_proba(batch, history)):
                sum_BK += one_BK / num_draws
        return total

    def log_prob(
        self, batch: Batch, history: Batch | None = None
    ) -> tuple[Float[Array, " _"], ...]:
        """log of the average over kinds of people of p(y_b | u_s), row by row, for each block."""
        result = tuple(np.zeros(len(block)) for block in batch.blocks)
        for worths in self.utilities(batch, history):
            block = batch.blocks[worths.block].take(worths.rows)
            joint = self._log_prob(batch, block, worths.utilities) + worths.log_weights
            peak = joint.max(axis=1)
            result[worths.block][worths.rows] = peak + np.log(
                np.exp(joint - peak[:, None]).sum(axis=1)
            )
        return result

    def moments(self, batch: Batch) -> Moments:
        """Mean and covariance of worths, people and doubt apart (law of total covariance).

        people: Cov over kinds s of u_s at theta; doubt: J Cov(theta) J' with J the derivative of
        the mean worth (delta method; exact where worths are linear in theta).
        """
        self._refuse_unknown_doubt()
        mean, people, doubt = [], [], []
        tastes = self.tastes(batch)
        jacobian_MGD = self._mean_taste_jacobian(batch.group_features)
        covariance = (
            np.zeros((len(self.theta),) * 2) if self.covariance is None else self.covariance
        )
        for block in batch.blocks:
            mean_BK = np.zeros(block.offered.shape)
            people_BKK = np.zeros((*block.offered.shape, block.offered.shape[1]))
            only = replace(batch, blocks=(block,))
            for worths in self._worths(only, tastes):
                weights = np.exp(worths.log_weights)
                centre = np.einsum("cks,cs->ck", worths.utilities, weights)
                apart = worths.utilities - centre[:, :, None]
                mean_BK[worths.rows] = centre
                people_BKK[worths.rows] = np.einsum(
                    "cks,cls,cs->ckl", apart, apart, weights, optimize=True
                )
            slopes = np.stack(
                [
                    self.utility.worths(block, taste_GD[:, None, :])[:, :, 0]
                    for taste_GD in jacobian_MGD
                ],
                axis=-1,
            )  # [B, K, M1]
            size = slopes.shape[2]
            mean.append(mean_BK)
            people.append(people_BKK)
            doubt.append(slopes @ covariance[:size, :size] @ np.swapaxes(slopes, 1, 2))
        return Moments(mean=tuple(mean), people=tuple(people), doubt=tuple(doubt))

    def sample(
        self,
        n: int,
        rng: np.random.Generator,
        *,
        robust: bool = False,
        antithetic: bool = False,
    ) -> tuple["Belief", ...]:
        """n beliefs without doubt, each one draw of theta shared by all rows of all people.

        Draws come from the posterior draws where the fit made them, else from the normal
        approximation N(theta, covariance), with the sandwich if `robust` and there is one whose
        people outnumber what the data determined. `antithetic` gives each normal draw with its
        mirror image, so that whatever is linear in theta averages exactly.

        Raises `BeliefError` where the fit made neither.
        """
        self._refuse_unknown_doubt()
        if self.draws is not None:
            thetas = self.draws[rng.integers(len(self.draws), size=n)]
        else:
            covariance = self._sandwich() if robust else self.covariance
            if covariance is None:
                thetas = np.broadcast_to(self.theta, (n, len(self.theta)))
            else:
                values, vectors = np.linalg.eigh(covariance)
                root = vectors * np.sqrt(np.maximum(values, 0.0))
                noise = rng.standard_normal((-(-n // 2) if antithetic else n, len(self.theta)))
                if antithetic:
                    noise = np.stack([noise, -noise], axis=1).reshape(-1, len(self.theta))[:n]
                thetas = self.theta + noise @ root.T
        return tuple(
            replace(self, theta=theta, covariance=None, robust_covariance=None, draws=None)
            for theta in thetas
        )

    def save(self, folder: str | Path) -> None:
        """Write belief.json and belief.safetensors into `folder` (made if absent)."""
        from penchant.beliefs.storage import save_belief

        save_belief(self, Path(folder))

    @classmethod
    def load(cls, folder: str | Path) -> "Belief":
        """Read what `save` wrote. Raises `BeliefError` for anything else."""
        from penchant.beliefs.storage import load_belief

        return load_belief(Path(folder))

    def _sandwich(self) -> Float[Array, "M M"] | None:
        """The robust covariance where it can be trusted, else the classical one.

        The scores of G people add up to zero and span G - 1 directions at most: of as many
        parameters or more the sandwich would call some combination certain.
        """
        if self.robust_covariance is None:
            return self.covariance
        if self.report is not None and self.report.people <= self.report.determined:
            return self.covariance
        return self.robust_covariance

    def _refuse_unknown_doubt(self) -> None:
        if self.has_unknown_doubt and self.covariance is None and self.draws is None:
            raise BeliefError(
                f"this belief has {len(self.theta)} parameters and no covariance: it was fitted by "
                "a method that makes none, so nobody knows how sure it is. Ask for predictions at "
                "the mode, or fit fewer parameters (or with method='newton') to get intervals."
            )

    def _chosen(self, block: Block, utilities: Float[Array, "C K S"]) -> Float[Array, "C K S"]:
        """The probability that each option is chosen, by the channel that serves the block."""
        for index, channel in enumerate(self.channels):
            if channel.kind == block.kind and block.kind in ("choice", "pair"):
                parameters = self.channel_theta(index)[:, None]
                found = channel.probabilities(utilities, block, parameters)
                # A tie, the third answer to a pair, chooses nothing.
                return found[:, : block.offered.shape[1]]
        if block.kind in ("choice", "pair", "ranking", "best_worst"):
            return choice_probabilities(utilities, block.offered)
        raise DataError(
            f"feedback of kind {block.kind!r} chooses no option, so there is no probability of "
            "being chosen; expected choices, pairs, rankings or best-worst. Use `foretell` for "
            "what is expected of such answers, `score` for the log-probability of those given."
        )

    def _log_prob(
        self, batch: Batch, block: Block, utilities: Float[Array, "C K S"]
    ) -> Float[Array, "C S"]:
        for index, channel in enumerate(self.channels):
            if block.kind == channel.kind:
                own = channel.transfer(self.channel_theta(index), self.group_names, batch)
                return channel.log_prob(utilities, block, own[:, None])
        kinds = sorted({channel.kind for channel in self.channels})
        raise DataError(
            f"the belief has no likelihood for feedback of kind {block.kind!r}; it was fitted on "
            f"{kinds}. Keep only rows of these kinds, or fit on data that has this kind too."
        )

    def _worths(self, batch: Batch, tastes: Tastes, chunk: int = CHUNK_FLOATS) -> Iterator[Worths]:
        num_kinds = tastes.values.shape[1]
        for index, block in enumerate(batch.blocks):
            step = max(1, chunk // (block.offered.shape[1] * num_kinds))
            for start in range(0, len(block), step):
                rows = np.arange(start, min(start + step, len(block)))
                part = block.take(rows)
                shared = tastes.log_weights.shape[0] == 1
                log_weights = tastes.log_weights[np.zeros_like(rows) if shared else part.group]
                yield Worths(
                    block=index,
                    rows=rows,
                    utilities=self.utility.worths(part, tastes.values),
                    log_weights=log_weights,
                )

    def average_taste_slopes(self) -> Float[Array, "M1 D"]:
        """d mean taste / d theta of people of whom nothing is known."""
        return self._mean_taste_jacobian(np.zeros((1, 0)))[:, 0]

    def _mean_taste_jacobian(self, group_features: Float[Array, "G Q"]) -> Float[Array, "M1 _ D"]:
        """d mean taste / d theta by central differences: a few evaluations of `tastes`, no data.

        One group stands for all where the population's mean is everybody's."""

        def mean_taste(theta: Float[Array, " M1"]) -> Float[Array, "G D"]:
            return self.population.tastes(theta, group_features).mean()

        theta, columns = self.population_theta, []
        for place in range(len(theta)):
            step = np.zeros_like(theta)
            step[place] = 1e-5 * max(1.0, abs(theta[place]))
            columns.append(
                (mean_taste(theta + step) - mean_taste(theta - step)) / (2.0 * step[place])
            )
        return np.stack(columns) if columns else np.zeros((0, 1, 0))


def _regroup(history: Batch, batch: Batch) -> Batch:
    """The history's rows with groups numbered as in `batch`; people not asked about are left."""
    place = {name: index for index, name in enumerate(batch.group_names)}
    target = np.array([place.get(name, -1) for name in history.group_names], dtype=np.int64)
    blocks = []
    for block in history.blocks:
        group = target[block.group]
        kept = np.flatnonzero(group >= 0)
        if len(kept):
            blocks.append(replace(block.take(kept), group=group[kept]))
    return replace(
        history,
        blocks=tuple(blocks),
        group_names=batch.group_names,
        group_features=batch.group_features,
    )
