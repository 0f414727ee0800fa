"""What each option is worth to each voter: out of ratings, rankings, or classes of voters.

Legend: V voters (people, or classes of them), N options, E ratings.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.data.columns import to_codes, to_floats
from penchant.data.rankings import Rankings, rankings_from_records
from penchant.data.rated_votes import ANSWER_OF, RATED_KINDS, is_low_good
from penchant.data.records import Records
from penchant.errors import ConfigError, DataError
from penchant.fitting.votes_classes import VoterClassesFit
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class VoterUtilities:
    """utilities: of V voters, each of `weight`; group: the place of each one's group in
    `group_names`. unit: what a utility is, in words; notes: who was left out."""

    options: tuple[str, ...]
    utilities: Float[Array, "V N"]
    weight: Float[Array, " V"]
    unit: str
    group: Int[Array, " V"] | None = None
    group_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def utilities_of_classes(found: VoterClassesFit) -> VoterUtilities:
    """Each class's scores, the class weighed by its share; every class is a group of its own."""
    met = np.isfinite(found.strength_se).all(axis=0)
    if met.sum() < 2:
        raise DataError(
            f"{int(met.sum())} of {len(met)} items met others; expected at least two to choose "
            "from."
        )
    return VoterUtilities(
        options=tuple(found.items[n] for n in np.flatnonzero(met)),
        utilities=found.strengths[:, met], weight=found.shares,
        unit="scores of classes of voters, in logits",
        group=np.arange(len(found.shares)),
        group_names=tuple(f"class {s + 1} ({share:.0%})" for s, share in enumerate(found.shares)),
    )  # fmt: skip


def utilities_of_records(records: Records, groups: str | None = None) -> VoterUtilities:
    """Each person's own ratings, or places in rankings; `groups` is a column of what persons are.

    A rating counts as it stands, with its sign turned where low ones are good, the mean of several
    of the same option; a level that is a word counts as its place on the scale. A place in a
    ranking of K options counts (K - place) / (K - 1), from 1 for the first to 0 for the last, the
    mean place for those that share one. Only who judged every option is heard, the others are
    counted; where nobody did, the options are those of the commonest set that people judged, or of
    the menu that most people ranked.

    Raises DataError for other data, and where nobody judged two options.
    """
    kinds = {str(kind) for kind in records.kinds[np.unique(records.kind_codes)]}
    if len(kinds) == 1 and kinds <= RATED_KINDS:
        amounts, unit = _amounts(records, ANSWER_OF[kinds.pop()])
        options, table = _rated(records, amounts)
    elif kinds and kinds <= {"ranking", "best_worst"}:
        rankings = rankings_from_records(records)
        options, table = rankings.items, _placed(rankings)
        unit = "places in rankings, 1 for the first, 0 for the last"
    else:
        raise DataError(
            f"the data hold answers of kind {', '.join(sorted(kinds))}; expected ratings or "
            "rankings of the same options by several people, or votes with classes of voters "
            "(--voters classes of `penchant rank`)."
        )
    return _of_whole(records, options, table, unit, groups)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Judged:
    """[V, N] what each voter gave each option, NaN where nothing; voter: the code of each row of
    the records; weight: of each voter."""

    value: Float[Array, "V N"]
    weight: Float[Array, " V"]
    names: tuple[str, ...]


def _amounts(records: Records, column: str) -> tuple[Float[Array, " E"], str]:
    """What each rating counts, higher better, and what that is in words."""
    told = to_floats(records.options[column])
    turned = "ratings with their sign turned, as low ones are good"
    if column != "level":
        return told, turned if is_low_good(records) else "ratings as they were given"
    try:
        scale = np.array([float(level) for level in records.scale])
    except ValueError:
        scale = np.zeros(0)
    rises = np.diff(scale)
    if not len(rises) or not ((rises > 0).all() or (rises < 0).all()):
        return told, "steps on the scale of ratings, 0 for the worst"
    sign = np.sign(rises[0])
    # Levels are places on a scale, whose steps need not be equal: 1, 2 and 5 stars.
    amount = np.append(sign * scale, np.nan)[np.where(np.isnan(told), -1, told).astype(np.int64)]
    return amount, "ratings as they were given" if sign > 0 else turned


def _rated(records: Records, rating: Float[Array, " E"]) -> tuple[tuple[str, ...], _Judged]:
    person, names = to_codes(_people(records))
    item, items = to_codes(records.options["option"])
    voter = person[records.row_of_option]
    given = ~np.isnan(rating) & (voter >= 0) & (item >= 0)
    weight = to_floats(records.rows["weight"])
    value = _mean_by(voter[given], item[given], rating[given], len(names), len(items))
    known = person >= 0
    times = np.bincount(person[known], minlength=len(names))
    whole = np.bincount(person[known], weight[known], len(names)) / np.maximum(times, 1)
    return tuple(map(str, items)), _Judged(value=value, weight=whole, names=tuple(map(str, names)))


def _placed(rankings: Rankings) -> _Judged:
    if rankings.voter is None:
        voter, names = np.arange(len(rankings)), tuple(f"ranking {r}" for r in range(len(rankings)))
    else:
        voter, names = rankings.voter, rankings.voters
    sizes = np.diff(rankings.start)
    row, num = rankings.ranking, rankings.num_items
    # The mean place of a tier, counted from 0: items before it, and half of the others in it.
    key = row * (int(rankings.tier.max(initial=0)) + 1) + rankings.tier
    _, begin, tier, alike = np.unique(
        key, return_index=True, return_inverse=True, return_counts=True
    )
    place = begin[tier] - rankings.start[:-1][row] + 0.5 * (alike[tier] - 1)
    value = 1.0 - place / np.maximum(sizes[row] - 1, 1)
    heard = (voter[row] >= 0) & _on_one_menu(rankings, voter)[row]
    table = _mean_by(voter[row][heard], rankings.item[heard], value[heard], len(names), num)
    cast = voter >= 0
    times = np.bincount(voter[cast], minlength=len(names))
    weight = np.bincount(voter[cast], rankings.weight[cast], len(names)) / np.maximum(times, 1)
    return _Judged(value=table, weight=weight, names=names)


def _on_one_menu(rankings: Rankings, voter: Int[Array, " R"]) -> Bool[Array, " R"]:
    """Which rankings are of the menu that is decided about: places on two menus do not compare.

    That of all options where anybody ranked it, else the one that most voters did.
    """
    counts = rankings.weight > 0
    is_whole = (np.diff(rankings.start) == rankings.num_items) & counts
    if is_whole.any():
        return is_whole
    items = rankings.item[np.lexsort((rankings.item, rankings.ranking))].astype(np.int64)
    known: dict[bytes, int] = {}
    menu = np.array([
        known.setdefault(items[begin:end].tobytes(), len(known))
        for begin, end in pairwise(rankings.start)
    ])  # fmt: skip
    cast = np.unique(np.stack([menu, voter])[:, counts & (voter >= 0)], axis=1)
    if not cast.size:
        return np.zeros(len(menu), dtype=bool)
    return (menu == np.argmax(np.bincount(cast[0]))) & counts


def _mean_by(
    voter: Int[Array, " E"], item: Int[Array, " E"], value: Float[Array, " E"], V: int, N: int
) -> Float[Array, "V N"]:
    cell = voter * N + item
    count, total = np.bincount(cell, minlength=V * N), np.bincount(cell, value, V * N)
    with np.errstate(invalid="ignore"):
        return np.where(count > 0, total / np.maximum(count, 1), np.nan).reshape(V, N)


def _of_whole(
    records: Records, options: tuple[str, ...], judged: _Judged, unit: str, groups: str | None
) -> VoterUtilities:
    kept = _in_common(judged)
    if len(kept) < 2:
        raise DataError(
            f"nobody among {len(judged.weight):,} people judged two of the {len(options)} options; "
            "expected some who did, since rules compare what options are to the same people. Rank "
            "votes with classes of voters (--voters classes)."
        )
    value = judged.value[:, kept]
    heard = np.flatnonzero(~np.isnan(value).any(axis=1) & (judged.weight > 0))
    notes: tuple[str, ...] = ()
    if len(kept) < len(options):
        notes = (
            f"Nobody judged all {len(options)} options: the rules choose between the {len(kept)} "
            "that most people have in common.",
        )
    if len(heard) < len(judged.weight):
        notes += (
            f"{len(judged.weight) - len(heard):,} of {len(judged.weight):,} people did not judge "
            "every one of these options and are not heard.",
        )
    group: Int[Array, " V"] | None = None
    names: tuple[str, ...] = ()
    if groups is not None:
        codes, names = _groups(records, groups, judged.names)
        group = codes[heard]
    return VoterUtilities(
        options=tuple(options[n] for n in kept), utilities=value[heard],
        weight=judged.weight[heard], unit=unit,
        group=group, group_names=names, notes=notes,
    )  # fmt: skip


def _in_common(judged: _Judged) -> Int[Array, " N"]:
    """All options if anybody judged them all, else those of the commonest set of two or more."""
    given = ~np.isnan(judged.value[judged.weight > 0])
    sets, people = np.unique(given, axis=0, return_counts=True)
    size = sets.sum(axis=1) if len(sets) else np.zeros(0, dtype=np.int64)
    if not (size >= 2).any():
        return np.zeros(0, dtype=np.int64)
    whole = size == given.shape[1]
    best = np.argmax(whole if whole.any() else np.where(size >= 2, people, 0))
    return np.flatnonzero(sets[best])


def _groups(
    records: Records, column: str, voters: tuple[str, ...]
) -> tuple[Int[Array, " V"], tuple[str, ...]]:
    """What each voter is by the column; who is several things is of the first."""
    if column not in records.rows.column_names:
        raise ConfigError(
            f"there is no column {column!r} of the people; expected one of "
            f"{', '.join(n for n in records.rows.column_names if n not in ('kind', 'weight'))}."
        )
    value, words = to_codes(records.rows[column])
    person, names = to_codes(_people(records))
    place = {name: v for v, name in enumerate(voters)}
    row_voter = np.array([place.get(str(name), -1) for name in names] + [-1])[person]
    codes = np.full(len(voters), len(words))
    for row in np.flatnonzero((row_voter >= 0) & (value >= 0))[::-1]:
        codes[row_voter[row]] = value[row]
    labels = tuple(map(str, words))
    return codes, (*labels, "not known") if (codes == len(words)).any() else labels


def _people(records: Records) -> Any:
    rows = records.rows
    if "person" not in rows.column_names or rows["person"].null_count == len(records):
        raise DataError(
            "nobody is named who gave these answers; expected a person for each, so that it can be "
            "said who loses. Name the column with --voter, or as `person` under [rows]."
        )
    return rows["person"]
