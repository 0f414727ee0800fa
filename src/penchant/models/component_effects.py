"""Conjoint experiments: how much each level of an attribute moves the chance of being chosen.

Legend: N profiles shown, B choices, C columns (levels after the reference), G groups (people),
H subgroups.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.beliefs.marginal import subgroups
from penchant.data.batch_builder import groups_of
from penchant.data.columns import to_codes
from penchant.data.records import Records
from penchant.errors import ConfigError, DataError
from penchant.fitting.inference import covariances
from penchant.metrics.intervals import Z95, clustered_mean
from penchant.numerics.arrays import Array

EVERYBODY = "everybody"
# Beyond this an attribute is a measurement, and each level is shown too rarely to tell anything.
MOST_LEVELS = 50


@dataclass(frozen=True, kw_only=True)
class ComponentEffect:
    """Change of the probability of being chosen from the reference level to this one.

    effect, se, low, high: probabilities, the error clustered by person; profiles: how many showed
    the level; group: the subgroup whose effect it is.
    """

    attribute: str
    level: str
    reference: str
    effect: float
    se: float
    low: float
    high: float
    profiles: int
    group: str = EVERYBODY


@dataclass(frozen=True, kw_only=True)
class MarginalMean:
    """How often profiles with the level were chosen, all else as it was shown.

    mean, low, high: probabilities, the interval clustered by person; profiles: how many showed it.
    """

    attribute: str
    level: str
    mean: float
    low: float
    high: float
    profiles: int
    group: str = EVERYBODY


@dataclass(frozen=True, kw_only=True)
class SubgroupTest:
    """statistic against chi-squared with so many degrees: do all effects agree?"""

    by: str
    statistic: float
    degrees: int
    p: float


def component_effects(
    records: Records,
    attributes: tuple[str, ...] = (),
    *,
    references: dict[str, str] | None = None,
    group_by: str = "person",
    by: str | None = None,
) -> tuple[ComponentEffect, ...]:
    """Average marginal component effects (Hainmueller, Hopkins and Yamamoto 2014).

    Least squares of "was chosen" on indicators of all levels but one of each attribute; where
    levels were drawn independently at random this is the mean effect of the level over the other
    attributes, whatever people's tastes, with no model of choice. attributes: all option features
    if empty; references: the level that each is compared with, else the first, numbers by size;
    by: a column of the rows, the effects are then those of each of its values.

    Raises `ConfigError` for unknown attributes, levels or columns, `DataError` where the records
    hold other feedback than choices, or an attribute has one level only (in a subgroup too), more
    than fifty, gaps, or levels that others settle. The outside option is no profile.
    """
    shown = _Shown.of(records, attributes, references or {}, group_by, by)
    fit = shown.regression()
    errors = np.sqrt(np.diag(fit.covariance))
    width = 1 + shown.levels.shape[1]
    return tuple(
        ComponentEffect(
            attribute=attribute, level=level, reference=reference, group=group,
            effect=float(fit.slopes[at]), se=float(errors[at]),
            low=float(fit.slopes[at] - Z95 * errors[at]),
            high=float(fit.slopes[at] + Z95 * errors[at]),
            profiles=int(shown.levels[shown.subgroup == h, c].sum()),
        )
        for h, group in enumerate(shown.groups)
        for c, (attribute, level, reference) in enumerate(shown.labels)
        for at in (h * width + 1 + c,)
    )  # fmt: skip


def effects_differ(
    records: Records,
    by: str,
    attributes: tuple[str, ...] = (),
    *,
    group_by: str = "person",
) -> SubgroupTest:
    """Do the effects of all levels agree between the subgroups? One Wald test of all at once.

    Looking at each level's intervals finds a difference by chance, and which one depends on the
    reference level; this test does neither (Leeper, Hobolt and Tilley 2020). Raises as
    `component_effects` does, and `ConfigError` where `by` has one value only.
    """
    shown = _Shown.of(records, attributes, {}, group_by, by)
    if len(shown.groups) < 2:
        raise ConfigError(
            f"{by!r} has the one value {shown.groups[0]!r}; expected at least two subgroups to "
            "compare. Name another column."
        )
    fit = shown.regression()
    num, width = shown.levels.shape[1], 1 + shown.levels.shape[1]
    first = np.eye(len(fit.slopes))[1:width]
    contrasts = np.concatenate(
        [np.eye(len(fit.slopes))[h * width + 1 : (h + 1) * width] - first
         for h in range(1, len(shown.groups))]
    )  # fmt: skip
    gap = contrasts @ fit.slopes
    statistic = float(gap @ np.linalg.solve(contrasts @ fit.covariance @ contrasts.T, gap))
    from scipy.special import chdtrc

    degrees = num * (len(shown.groups) - 1)
    return SubgroupTest(
        by=by, statistic=statistic, degrees=degrees, p=float(chdtrc(degrees, statistic))
    )


def marginal_means(
    records: Records,
    attributes: tuple[str, ...] = (),
    *,
    group_by: str = "person",
    by: str | None = None,
) -> tuple[MarginalMean, ...]:
    """The share chosen among profiles that showed each level (Leeper, Hobolt and Tilley 2020).

    They need no reference level, so that subgroups can be compared level by level; with two
    profiles a choice they average one half. Arguments and errors as in `component_effects`.
    """
    shown = _Shown.of(records, attributes, {}, group_by, by)
    result = []
    for h, group in enumerate(shown.groups):
        inside = shown.subgroup == h
        for attribute, codes, names in shown.attributes:
            for code in np.unique(codes):
                those = inside & (codes == code)
                mean = clustered_mean(shown.chosen[those], shown.person[those], shown.weight[those])
                result.append(
                    MarginalMean(
                        attribute=attribute, level=str(names[code]), group=group,
                        mean=mean.estimate, low=mean.low, high=mean.high,
                        profiles=int(those.sum()),
                    )
                )  # fmt: skip
    return tuple(result)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Regression:
    """Slopes, subgroup after subgroup with its intercept first, and their clustered covariance."""

    slopes: Float[Array, " M"]
    covariance: Float[Array, "M M"]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Shown:
    """All profiles as numbers: their levels, whose they were, and whether they were chosen."""

    attributes: tuple[tuple[str, Array, Array], ...]  # name, code of each profile, levels' names
    labels: tuple[tuple[str, str, str], ...]  # attribute, level, reference of each column
    levels: Float[Array, "N C"]
    chosen: Float[Array, " N"]
    weight: Float[Array, " N"]
    person: Int[Array, " N"]
    num_people: int
    subgroup: Int[Array, " N"]
    groups: tuple[str, ...]

    @classmethod
    def of(
        cls,
        records: Records,
        attributes: tuple[str, ...],
        references: dict[str, str],
        group_by: str,
        by: str | None,
    ) -> "_Shown":
        if set(records.kinds[np.unique(records.kind_codes)]) != {"choice"}:
            raise DataError(
                f"component effects need choices between profiles; the records hold {records!r}. "
                "Keep the rows of kind 'choice'."
            )
        place = np.asarray(records.rows["chosen"].to_numpy(), dtype=np.float64)
        answered = ~np.isnan(place)
        if not answered.all():
            records, place = records.take(np.flatnonzero(answered)), place[answered]
        chosen = np.zeros(records.options.num_rows)
        chosen[records.offsets[:-1] + place.astype(np.int64)] = 1.0
        # The outside option is no profile: it shows no level of anything.
        inside = ~records.is_outside
        row = records.row_of_option[inside]
        known = tuple(
            (name, *_codes(records, name, inside))
            for name in attributes or records.columns("feature")
        )
        columns, labels = _indicators(known, references)
        groups, rows = subgroups(records, by)
        people = groups_of(records, group_by)
        return cls(
            attributes=known,
            labels=tuple(labels),
            levels=np.column_stack(columns),
            chosen=chosen[inside],
            weight=np.asarray(records.rows["weight"].to_numpy())[row],
            person=people.of_row[row],
            num_people=len(people.names),
            subgroup=rows[row],
            groups=tuple(groups),
        )

    def regression(self) -> _Regression:
        """Least squares within each subgroup, the error clustered by person across all of them."""
        width = 1 + self.levels.shape[1]
        size = width * len(self.groups)
        slopes, information = np.zeros(size), np.zeros((size, size))
        scores = np.zeros((self.num_people, size))
        for h, group in enumerate(self.groups):
            inside, own = self.subgroup == h, slice(h * width, (h + 1) * width)
            design = np.column_stack([np.ones(inside.sum()), self.levels[inside]])
            self._check(design, group)
            root = np.sqrt(self.weight[inside])
            weighted = design * root[:, None]
            slopes[own] = np.linalg.lstsq(weighted, self.chosen[inside] * root, rcond=None)[0]
            information[own, own] = weighted.T @ weighted
            residual = (self.chosen[inside] - design @ slopes[own]) * root
            np.add.at(scores[:, own], self.person[inside], weighted * residual[:, None])
        return _Regression(slopes=slopes, covariance=covariances(information, scores).robust)

    def _check(self, design: Float[Array, "N M"], group: str) -> None:
        shown = design[:, 1:].sum(axis=0)
        for (attribute, level, _), count in zip(self.labels, shown):
            if count == 0:
                raise DataError(
                    f"the subgroup {group!r} saw no profile with {attribute} = {level!r}; expected "
                    "every level in every subgroup. Take larger subgroups, or leave the attribute "
                    "out."
                )
        # What is left of each column once those before it are taken off; nothing if they say it.
        left = np.zeros(design.shape[1])
        diagonal = np.abs(np.diag(np.linalg.qr(design, mode="r")))
        left[: len(diagonal)] = diagonal
        for (attribute, level, _), own, size in zip(
            self.labels, left[1:], np.linalg.norm(design[:, 1:], axis=0)
        ):
            if own <= 1e-9 * size:
                raise DataError(
                    f"{attribute} = {level!r} is settled by the levels before it (among the "
                    f"profiles of {group!r}), so that their effects cannot be told apart; expected "
                    "levels drawn independently. Leave one of these attributes out."
                )


def _codes(
    records: Records, attribute: str, inside: Bool[Array, " L"]
) -> tuple[Int[Array, " N"], Array]:
    if attribute not in records.columns("feature"):
        raise ConfigError(
            f"there is no attribute {attribute!r}; expected some of "
            f"{list(records.columns('feature'))}."
        )
    codes, names = to_codes(records.options[attribute])
    codes = codes[inside]
    if (codes < 0).any():
        raise DataError(
            f"attribute {attribute!r} is missing on {int((codes < 0).sum())} of {len(codes)} "
            "profiles; expected a level on each. Give the gaps a name of their own, or leave the "
            "attribute out."
        )
    used = np.unique(codes)
    if len(used) > MOST_LEVELS:
        raise DataError(
            f"attribute {attribute!r} has {len(used)} levels; expected at most {MOST_LEVELS}. Cut "
            "it into classes first, or leave it out of `attributes`."
        )
    # By size where levels are numbers, else by name; to be numbered in that order.
    levels = [names[code] for code in used]
    is_size = all(isinstance(level, int | float) for level in levels)
    order = sorted(range(len(used)), key=lambda k: levels[k] if is_size else str(levels[k]))
    new = np.empty(len(names), dtype=np.int64)
    new[used[order]] = np.arange(len(used))
    return new[codes], np.asarray([str(levels[k]) for k in order], dtype=object)


def _indicators(
    attributes: tuple[tuple[str, Array, Array], ...], references: dict[str, str]
) -> tuple[list[Float[Array, " N"]], list[tuple[str, str, str]]]:
    columns: list[Float[Array, " N"]] = []
    labels: list[tuple[str, str, str]] = []
    known = {name for name, _, _ in attributes}
    if unknown := set(references) - known:
        raise ConfigError(
            f"a reference was given for {sorted(unknown)}, no attribute in use; expected some of "
            f"{sorted(known)}."
        )
    for attribute, codes, names in attributes:
        levels = {str(names[code]): code for code in np.unique(codes)}
        ordered = list(levels)
        if len(ordered) < 2:
            raise DataError(
                f"attribute {attribute!r} has {len(ordered)} level(s); expected at least two. "
                "Leave it out of `attributes`."
            )
        reference = references.get(attribute, ordered[0])
        if reference not in levels:
            raise ConfigError(
                f"attribute {attribute!r} has no level {reference!r}; expected one of {ordered}."
            )
        for level in ordered:
            if level != reference:
                columns.append((codes == levels[level]).astype(np.float64))
                labels.append((attribute, level, reference))
    return columns, labels
