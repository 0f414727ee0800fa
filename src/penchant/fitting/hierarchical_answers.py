"""What hierarchical Bayes asks of people's answers: each one's taste, and the shape all share.

Plain choices, and whatever is made of them (rankings, ratings, ties, best and worst, approvals), by
the fused loops and one ragged table; real outcomes and their like by the channels' own derivatives.
Own parameters of likelihoods (thresholds, strength of ties) are drawn with the means.

Legend: N options over all menus, B observations, K options, G groups (people), D tastes, R random
ones, P parameters of spread, Q own parameters of likelihoods, M = D + P + Q. z are random tastes in
standard units: the tastes of person g are mean + root z[g].
"""

from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.beliefs.personal import PersonalAnswers
from penchant.beliefs.personal_kinds import AnswersOfKinds
from penchant.beliefs.taste_posterior import TastePrior
from penchant.data.batch import Batch, FlatChoices
from penchant.feedback.as_choices import AnswersAsChoices, as_choices
from penchant.feedback.channel_choice import Choice
from penchant.feedback.channel_contract import Channel
from penchant.feedback.channel_pair import Pair
from penchant.feedback.own_columns import OwnColumns
from penchant.fitting.newton import Evaluation
from penchant.fitting.pooled_density import PooledDensity, check_common
from penchant.fitting.pooled_task import rows_of_groups
from penchant.numerics.arrays import Array
from penchant.utilities.linear import Linear


@runtime_checkable
class Shape(Protocol):
    """The log-likelihood of means, root and own parameters, everybody's z held."""

    def evaluate(self, theta: Float[Array, " M"]) -> Evaluation:
        """Value, gradient and information."""
        ...


@runtime_checkable
class SweepAnswers(Protocol):
    """The answers of everybody, as the steps of a sweep need them."""

    @property
    def initial(self) -> Float[Array, " Q"]:
        """Own parameters to start from."""
        ...

    @property
    def answered(self) -> Bool[Array, " G"]:
        """Who gave an answer at all."""
        ...

    def of_people(self, prior: TastePrior, own: Float[Array, " Q"]) -> PersonalAnswers:
        """Person by person, at these own parameters."""
        ...

    def shape(
        self, z: Float[Array, "G R"], features: Int[Array, " P"], columns: Int[Array, " P"]
    ) -> Shape:
        """A likelihood of one taste for all whose features are the options' own and, for entry p
        of the root, feature `features[p]` times the person's z in `columns[p]`."""
        ...

    def log_likelihood_alike(self) -> float:
        """With worths of zero, and own parameters at the answers' shares."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class PlainAnswers:
    """Choices alone, which have no parameters of their own."""

    flat: FlatChoices

    @property
    def initial(self) -> Float[Array, " Q"]:
        return np.zeros(0)

    @property
    def answered(self) -> Bool[Array, " G"]:
        return np.diff(self.flat.group_start) > 0

    def of_people(self, prior: TastePrior, own: Float[Array, " Q"]) -> PersonalAnswers:
        return PersonalAnswers.of_choices(self.flat, prior)

    def shape(
        self, z: Float[Array, "G R"], features: Int[Array, " P"], columns: Int[Array, " P"]
    ) -> Shape:
        wide = _with_root(self.flat, self.flat.features.shape[1], z, features, columns)
        return _PlainShape(flat=self.flat, design=wide)

    def log_likelihood_alike(self) -> float:
        return -float(self.flat.weight @ np.log(np.diff(self.flat.menu_start)))


@dataclass(frozen=True, kw_only=True, eq=False)
class _PlainShape:
    flat: FlatChoices
    design: Float[Array, "N M"]

    def evaluate(self, theta: Float[Array, " M"]) -> Evaluation:
        flat, design = self.flat, self.design
        starts, sizes = flat.menu_start[:-1], np.diff(flat.menu_start)
        worth = design @ theta
        top = np.maximum.reduceat(worth, starts)
        expo = np.exp(worth - np.repeat(top, sizes))
        total = np.add.reduceat(expo, starts)
        probability = expo / np.repeat(total, sizes)
        average = np.add.reduceat(probability[:, None] * design, starts)
        weighted = design * (probability * np.repeat(flat.weight, sizes))[:, None]
        value = flat.weight @ (worth[flat.chosen] - top - np.log(total))
        return Evaluation(
            value=float(value),
            gradient=flat.weight @ (design[flat.chosen] - average),
            information=weighted.T @ design - (average * flat.weight[:, None]).T @ average,
        )


def _with_root(
    flat: FlatChoices,
    num_tastes: int,
    z: Float[Array, "G R"],
    features: Int[Array, " P"],
    columns: Int[Array, " P"],
) -> Float[Array, "N M"]:
    """The options' features, those times their person's z, then columns beside the features."""
    rows = np.repeat(np.arange(len(z)), np.diff(flat.group_start))
    group = np.repeat(rows, np.diff(flat.menu_start))
    of_root = flat.features[:, features] * z[:, columns][group]
    own, beside = flat.features[:, :num_tastes], flat.features[:, num_tastes:]
    return np.concatenate([own, of_root, beside], axis=1)


@dataclass(frozen=True, kw_only=True, eq=False)
class _MadeShape:
    """Of answers made of choices: own parameters are coefficients of columns, which they bend."""

    inner: _PlainShape
    columns: OwnColumns

    def evaluate(self, theta: Float[Array, " M"]) -> Evaluation:
        columns, cut = self.columns, len(theta) - self.columns.num_parameters
        own = theta[cut:]
        here = self.inner.evaluate(np.concatenate([theta[:cut], columns.coefficients(own)]))
        everybody, gaps = np.ones(len(columns.counts)), columns.gap_term(own)
        chain = np.zeros((len(here.gradient), len(theta)))
        chain[:cut, :cut], chain[cut:, cut:] = np.eye(cut), columns.jacobian(own)
        gradient = chain.T @ here.gradient
        gradient[cut:] += everybody @ gaps.score
        information = chain.T @ here.information @ chain
        information[cut:, cut:] += columns.gap_information(own, everybody)
        information[cut:, cut:] -= columns.bend(own, here.gradient[cut:])
        return Evaluation(
            value=here.value + float(gaps.value.sum()), gradient=gradient, information=information
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class KindAnswers:
    """Any mix of answers, each kind by the channel that serves it; made, flat: the plain choices
    that all of them are made of, None where one is not."""

    batch: Batch
    channels: tuple[Channel, ...]
    made: AnswersAsChoices | None
    flat: FlatChoices | None

    @classmethod
    def of(
        cls, batch: Batch, channels: tuple[Channel, ...], *, has_choices: bool = True
    ) -> "KindAnswers":
        """has_choices: take answers apart into choices where that is possible."""
        made = as_choices(batch, channels) if has_choices else None
        flat = None if made is None else made.choices.flat_choices()
        return cls(batch=batch, channels=channels, made=made, flat=flat)

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many own parameters each channel has."""
        return tuple(channel.num_parameters(self.batch) for channel in self.channels)

    @property
    def initial(self) -> Float[Array, " Q"]:
        found = [channel.initial(self.batch) for channel in self.channels]
        return np.concatenate([np.zeros(0), *found])

    @property
    def answered(self) -> Bool[Array, " G"]:
        return rows_of_groups(self.batch) > 0

    def of_people(self, prior: TastePrior, own: Float[Array, " Q"]) -> PersonalAnswers:
        if self.made is not None and self.flat is not None:
            return PersonalAnswers.made_of_choices(self.flat, self.made, prior, own)
        parts = tuple(np.split(own, np.cumsum(self.sizes)[:-1]))
        answers = AnswersOfKinds(batch=self.batch, channels=self.channels, own=parts)
        return PersonalAnswers.of_kinds(answers, prior)

    def shape(
        self, z: Float[Array, "G R"], features: Int[Array, " P"], columns: Int[Array, " P"]
    ) -> Shape:
        if self.made is not None and self.flat is not None:
            wide = _with_root(self.flat, self.batch.num_features, z, features, columns)
            inner = _PlainShape(flat=self.flat, design=wide)
            return _MadeShape(inner=inner, columns=self.made.columns)
        blocks = []
        for block in self.batch.blocks:
            of_root = block.features[:, :, features] * z[:, columns][block.group][:, None]
            wide = np.concatenate([block.features, of_root], axis=2)
            blocks.append(replace(block, features=wide))
        return self._density(replace(self.batch, blocks=tuple(blocks)), len(features))

    def log_likelihood_alike(self) -> float:
        alike = np.concatenate([np.zeros(self.batch.num_features), self.initial])
        return self._density(self.batch, 0).slope(alike).value

    def _density(self, batch: Batch, num_more: int) -> PooledDensity:
        size = batch.num_features + num_more + sum(self.sizes)
        return PooledDensity(
            batch=batch,
            utility=Linear(),
            channels=self.channels,
            sizes=self.sizes,
            prior_precision=np.zeros(size),
        )


def sweep_answers(batch: Batch, channels: tuple[Channel, ...]) -> SweepAnswers:
    """The fast form where all answers are plain choices, else the general one.

    Raises `DataError` for an answer of a kind that no channel serves, or that one holds impossible,
    `ConfigError` for channels with parameters of single people.
    """
    check_common(batch, channels, "hierarchical Bayes cannot tell from their tastes")
    if all(channel in (Choice(), Pair()) for channel in channels):
        return PlainAnswers(flat=batch.flat_choices())
    return KindAnswers.of(batch, channels)
