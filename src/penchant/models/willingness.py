"""What an attribute is worth in money: willingness to pay, to whom, in which situation.

Legend: B observations, D tastes, S kinds of people, G groups, N draws of our doubt.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from penchant.beliefs.belief import Belief
from penchant.beliefs.marginal import (
    marginal_features,
    person_of_row,
    row_weights,
    subgroups,
)
from penchant.data.batch import Batch
from penchant.data.records import Records
from penchant.errors import DataError
from penchant.metrics.intervals import drawn_interval
from penchant.numerics.arrays import Array
from penchant.populations.population import Tastes


@dataclass(frozen=True, kw_only=True)
class Willingness:
    """Price that one unit less of the feature is worth to the people of a subgroup.

    value, low, high: ratio of mean marginal utilities with a 95 % interval of our doubt
    (Krinsky and Robb 1986), in price units per unit of the feature.
    """

    feature: str
    option: str
    group: str
    value: float
    low: float
    high: float
    people: int


def willingness_to_pay(
    belief: Belief,
    records: Records,
    feature: str,
    price: str,
    *,
    rng: np.random.Generator,
    option: str | None = None,
    by: str | None = None,
    history: Records | None = None,
    num_draws: int = 200,
    robust: bool = True,
) -> tuple[Willingness, ...]:
    """(d u / d feature) / (d u / d price), the price paid to be rid of one unit of the feature.

    Both derivatives are taken through the encoder, so that interactions with context, logarithms
    and alternative-specific terms count as they do in the fit. Over people the ratio is that of
    the means, which exists also where the price coefficient is random. The sign is that of a bad
    (time, headway): positive means that people pay to have less. For a good, read minus.
    Where our doubt leaves open whether more money is a gain at all, an end is infinite: a draw in
    which the price lost its sign lies beyond those in which it hardly has one.
    robust: intervals by the covariance clustered by person where the belief has one; the classical
    one takes a person's answers for as many people's, and its intervals are far too narrow.

    Raises `ConfigError` for unknown names, `DataError` where the price has no marginal utility.
    """
    slope_feature = marginal_features(belief, records, feature, option)
    slope_price = marginal_features(belief, records, price, option)
    batch = belief.encode(records)
    known = None if history is None else belief.encode(history)
    labels, subgroup = subgroups(records, by)
    weight = row_weights(batch)
    beliefs = (belief, *belief.sample(num_draws, rng, robust=robust))
    means = [one.mean_tastes(batch, known) for one in beliefs]
    person = person_of_row(batch)
    result = []
    for index, label in enumerate(labels):
        inside = (subgroup == index) & (weight > 0)
        shares = weight * inside / max(float((weight * inside).sum()), 1e-300)
        slopes = np.stack([slope_feature, slope_price])
        # Where all share one mean taste it meets the mean slopes: nothing is left to do by row.
        mean_slopes = shares @ slopes
        tops, bottoms = np.zeros(len(means)), np.zeros(len(means))
        for place, taste in enumerate(means):
            if taste.shape[0] == 1:
                top, bottom = (mean_slopes @ taste[0]).tolist()
            else:
                top, bottom = ((slopes * taste[person]).sum(axis=2) @ shares).tolist()
            if bottom == 0.0:
                raise DataError(
                    f"{price!r} has no marginal utility for {label!r}, so nothing can be told in "
                    f"its units; expected a model whose formula uses {price!r}."
                )
            tops[place], bottoms[place] = top, bottom
        sign = np.sign(bottoms[0])
        ratios = np.divide(
            tops, bottoms, out=np.copysign(np.inf, sign * tops), where=sign * bottoms > 0
        )
        low, high = drawn_interval(ratios[0], ratios[1:])
        result.append(
            Willingness(
                feature=feature,
                option=option or "any option",
                group=label,
                value=float(ratios[0]),
                low=float(low),
                high=float(high),
                people=len(np.unique(person[inside])),
            )
        )
    return tuple(result)


def population_willingness(
    belief: Belief, records: Records, feature: str, price: str, *, option: str | None = None
) -> tuple[Float[Array, "G S"], Float[Array, "G S"]]:
    """How willingness to pay is spread over the population: ratios, and shares that add to 1.

    For each person's situation, the ratio of marginal utilities of every kind of people, before
    any answer of theirs is known. A price coefficient that may be zero gives ratios without a mean
    (Daly, Hess and Train 2012): read the middle, not the ends.

    Raises `ConfigError` for unknown names.
    """
    batch = belief.encode(records)
    tastes = belief.tastes(batch)
    top, bottom = (
        _slopes_by_kind(belief, records, batch, tastes, name, option) for name in (feature, price)
    )
    ratios = np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom != 0)
    return ratios, _shares(batch, tastes)


@dataclass(frozen=True, kw_only=True)
class KindWillingness:
    """What one unit less of a feature is worth to one kind of people.

    value: ratio of the kind's mean marginal utilities over the situations of its people. share: of
    the people. pays: whether more of the price is a loss to this kind; where it is not, nothing
    has a worth in it and `value` means nothing.
    """

    value: float
    share: float
    pays: bool


def willingness_by_kind(
    belief: Belief,
    records: Records,
    feature: str,
    price: str,
    *,
    option: str | None = None,
    history: Records | None = None,
) -> tuple[KindWillingness, ...]:
    """What each kind of people would pay, kind by kind: for latent classes, which are few.

    A person between two kinds has no taste between theirs: means over a person's kinds, as
    `personal_willingness` takes them, say nothing of either. `history`: answers by which shares are
    told, else those of the population.

    Raises `ConfigError` for unknown names.
    """
    batch = belief.encode(records)
    known = None if history is None else belief.encode(history)
    tastes = belief.tastes(batch, known)
    shares = _shares(batch, tastes)
    weights = np.exp(tastes.log_weights)
    top, bottom = (
        (weights * _slopes_by_kind(belief, records, batch, tastes, name, option)).sum(axis=0)
        for name in (feature, price)
    )
    values = np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom != 0)
    return tuple(
        KindWillingness(value=float(v), share=float(s), pays=bool(b < 0))
        for v, s, b in zip(values, shares.sum(axis=0), bottom, strict=True)
    )


def _shares(batch: Batch, tastes: Tastes) -> Float[Array, "G S"]:
    """Each person's share of the rows, parted among the kinds that they may be."""
    rows = np.bincount(person_of_row(batch), row_weights(batch), minlength=batch.num_groups)
    return (rows / rows.sum())[:, None] * np.exp(tastes.log_weights)


def _slopes_by_kind(
    belief: Belief, records: Records, batch: Batch, tastes: Tastes, name: str, option: str | None
) -> Float[Array, "G S"]:
    """Marginal utilities of a feature to every kind, added up over each person's rows."""
    slopes = marginal_features(belief, records, name, option) * row_weights(batch)[:, None]
    per_person = np.zeros((batch.num_groups, slopes.shape[1]))
    np.add.at(per_person, person_of_row(batch), slopes)
    values = tastes.values
    return per_person @ values[0].T if len(values) == 1 else np.einsum(
        "gd,gsd->gs", per_person, values
    )  # fmt: skip


def personal_willingness(
    belief: Belief,
    records: Records,
    feature: str,
    price: str,
    *,
    option: str | None = None,
    history: Records | None = None,
) -> Float[Array, " G"]:
    """Each person's own ratio of posterior mean marginal utilities, in the batch's group order."""
    batch = belief.encode(records)
    known = None if history is None else belief.encode(history)
    taste = belief.mean_tastes(batch, known)
    top, bottom = np.zeros(batch.num_groups), np.zeros(batch.num_groups)
    slope_feature = marginal_features(belief, records, feature, option)
    slope_price = marginal_features(belief, records, price, option)
    for block in batch.blocks:
        per_row = taste if taste.shape[0] == 1 else taste[block.group]
        np.add.at(top, block.group, (slope_feature[block.row] * per_row).sum(axis=1))
        np.add.at(bottom, block.group, (slope_price[block.row] * per_row).sum(axis=1))
    return np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom != 0)
