"""What a change of the options would do: shares before and after, who moves, who gains or loses.

Legend: B observations, K options, S kinds of people, C options by name, N draws of our doubt.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Int

from penchant.beliefs.belief import Belief
from penchant.beliefs.marginal import marginal_features, person_of_row, row_weights, subgroups
from penchant.data.batch import Batch
from penchant.data.records import Records
from penchant.errors import ConfigError
from penchant.feedback.channel_choice import Choice
from penchant.metrics.intervals import drawn_interval
from penchant.numerics.arrays import Array, log_sum_exp, mask_options


@dataclass(frozen=True, kw_only=True)
class Change:
    """feature <- feature * multiply + add, for one option or (None) for all of them."""

    feature: str
    option: str | None = None
    multiply: float = 1.0
    add: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ShareChange:
    """An option's expected share before and after, in 0 to 1, with 95 % intervals of our doubt."""

    option: str
    before: float
    before_low: float
    before_high: float
    after: float
    after_low: float
    after_high: float
    change: float
    change_low: float
    change_high: float


@dataclass(frozen=True, kw_only=True)
class WelfareChange:
    """Mean change of consumer surplus per choice for a subgroup, in units of the price feature,
    with a 95 % interval, and the share of its people who lose more than a hundredth of a unit."""

    group: str
    people: int
    mean: float
    low: float
    high: float
    losing: float


@dataclass(frozen=True, kw_only=True)
class WhatIf:
    """shares: one per option; movers: by subgroup, the change of each option's share;
    welfare: by subgroup, empty where no price was named."""

    shares: tuple[ShareChange, ...]
    movers: dict[str, dict[str, float]]
    welfare: tuple[WelfareChange, ...]


def apply_changes(records: Records, changes: Sequence[Change]) -> Records:
    """The records with changed options.

    Raises `ConfigError` for a feature or option that the records do not have.
    """
    for change in changes:
        names = records.options.column_names
        if change.feature not in names:
            raise ConfigError(
                f"there is no option feature {change.feature!r} to change; expected one of "
                f"{list(records.columns('feature'))}."
            )
        values = np.asarray(records.options[change.feature].to_numpy(), dtype=np.float64)
        if change.option is not None and change.option == records.outside_option:
            raise ConfigError(
                f"{change.option!r} is the outside option and has no {change.feature!r} to change; "
                "expected one of the others. Change what they cost or offer instead."
            )
        touched = _lines_of_option(records, change.option)
        values = np.where(touched, values * change.multiply + change.add, values)
        records = records.with_columns(options={change.feature: values})
    return records


def what_if(
    belief: Belief,
    records: Records,
    changes: Sequence[Change],
    *,
    rng: np.random.Generator,
    price: str | None = None,
    by: str | Sequence[str] | None = None,
    history: Records | None = None,
    num_draws: int = 100,
    robust: bool = True,
) -> WhatIf:
    """Expected shares with and without the changes, by sample enumeration (Train 2009, 2.6).

    Intervals come from `num_draws` draws of theta (our doubt), each applied to everybody alike:
    their quantiles, or of fewer than 200 1.96 root mean squares about the value; none, NaN;
    `robust`: by the covariance clustered by person where the belief has one.
    Surplus is the log-sum divided by the marginal utility of money (Small and Rosen 1981), both
    averaged over the subgroup and its kinds of people; `price` names the cost feature whose unit
    it is told in.
    `by` names a row column that divides people into subgroups; several names divide them several
    times, in subgroups called "column: value". With `history`, people's own earlier answers
    sharpen what is expected of them.

    The marginal utility of money is taken where people stand now, averaged over the options that
    charge them: exact where cost enters linearly and alike for all options, an approximation for
    small changes otherwise.

    Where our doubt leaves open whether more money is a gain at all, an end of the interval of
    surplus is infinite.

    Raises `ConfigError` for unknown names, for a subgroup to which more money is no gain, and for a
    price together with a model whose choices are no plain logit (the log-sum is not theirs).
    """
    before = belief.encode(records)
    after = belief.encode(apply_changes(records, changes))
    known = None if history is None else belief.encode(history)
    groups = _memberships(records, by)
    if price is not None and any(channel != Choice() for channel in belief.channels):
        raise ConfigError(
            f"surplus by the log-sum holds for the plain logit; the model has {belief.channels}. "
            "Leave `price` out: shares are told all the same."
        )
    money = None if price is None else marginal_features(belief, records, price, None)
    beliefs = (belief, *belief.sample(num_draws, rng, robust=robust))
    runs = [_evaluate(one, before, after, known, money) for one in beliefs]
    options = before.option_names
    weight = row_weights(before)
    shares_before = np.stack([expected_shares(run.before, before, weight) for run in runs])
    shares_after = np.stack([expected_shares(run.after, before, weight) for run in runs])
    shares = tuple(
        _share_change(name, shares_before[:, place], shares_after[:, place])
        for place, name in enumerate(options)
    )
    movers = {}
    for label, member in groups.items():
        inside = weight * member
        moved = expected_shares(runs[0].after, before, inside) - expected_shares(
            runs[0].before, before, inside
        )
        movers[label] = dict(zip(options, (float(x) for x in moved)))
    welfare: tuple[WelfareChange, ...] = ()
    if money is not None:
        person = person_of_row(before)
        welfare = tuple(
            _welfare(label, runs, weight * member, person) for label, member in groups.items()
        )
    return WhatIf(shares=shares, movers=movers, welfare=welfare)


def _memberships(records: Records, by: str | Sequence[str] | None) -> dict[str, Bool[Array, " B"]]:
    """Each subgroup's name and rows."""
    columns = (by,) if by is None or isinstance(by, str) else tuple(by)
    found = {}
    for column in columns:
        labels, code = subgroups(records, column)
        for index, label in enumerate(labels):
            found[label if len(columns) == 1 else f"{column}: {label}"] = code == index
    return found


@dataclass(frozen=True, kw_only=True, eq=False)
class _Run:
    before: tuple[Float[Array, "_ _"], ...]
    after: tuple[Float[Array, "_ _"], ...]
    rise: Float[Array, " B"]
    worth_of_money: Float[Array, " B"]


def _evaluate(
    belief: Belief,
    before: Batch,
    after: Batch,
    known: Batch | None,
    money: Float[Array, "B D"] | None,
) -> _Run:
    whole = _Run(
        before=tuple(np.zeros(block.offered.shape) for block in before.blocks),
        after=tuple(np.zeros(block.offered.shape) for block in after.blocks),
        rise=np.zeros(before.num_rows),
        worth_of_money=np.zeros(before.num_rows),
    )
    both = zip(belief.in_parts(before, known), belief.in_parts(after, known))
    for (one, places), (two, _) in both:
        part = _evaluate_part(belief, one, two, known, money)
        for index, place in enumerate(places):
            whole.before[index][place] = part.before[index]
            whole.after[index][place] = part.after[index]
        # A part leaves the rows of others at zero.
        whole.rise[:] += part.rise
        whole.worth_of_money[:] += part.worth_of_money
    return whole


def _evaluate_part(
    belief: Belief,
    before: Batch,
    after: Batch,
    known: Batch | None,
    money: Float[Array, "B D"] | None,
) -> _Run:
    rise, worth_of_money = np.zeros(before.num_rows), np.zeros(before.num_rows)
    tastes = belief.tastes(before, known)
    if money is not None:
        for old, new in zip(before.blocks, after.blocks):
            step = max(1, 200_000 // (old.offered.shape[1] * tastes.values.shape[1]))
            for start in range(0, len(old), step):
                rows = np.arange(start, min(start + step, len(old)))
                one, two = old.take(rows), new.take(rows)
                values = tastes.values if tastes.values.shape[0] == 1 else tastes.values[one.group]
                shared = tastes.log_weights.shape[0] == 1
                weights = np.exp(tastes.log_weights[np.zeros_like(rows) if shared else one.group])
                surplus = [
                    log_sum_exp(
                        mask_options(
                            belief.utility.worths(block, tastes.values), block.offered, fill=-np.inf
                        ),
                        axis=1,
                    )
                    for block in (one, two)
                ]
                slope = np.einsum("bd,bsd->bs", money[one.row], np.broadcast_to(
                    values, (len(rows), *values.shape[1:])))  # fmt: skip
                rise[one.row] = ((surplus[1] - surplus[0]) * weights).sum(axis=1)
                worth_of_money[one.row] = -(slope * weights).sum(axis=1)
    return _Run(
        before=belief.predict_given(before, tastes),
        after=belief.predict_given(after, tastes),
        rise=rise,
        worth_of_money=worth_of_money,
    )


def _lines_of_option(records: Records, option: str | None) -> Bool[Array, " N"]:
    if option is None:
        return np.ones(records.options.num_rows, dtype=bool)
    column = records.options["option"].combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0)
    names = column.dictionary.to_pylist()
    if option not in names:
        raise ConfigError(f"there is no option {option!r} to change; expected one of {names}.")
    return np.asarray(column.indices.to_numpy(zero_copy_only=False)) == names.index(option)


def expected_shares(
    blocks: tuple[Float[Array, "_ _"], ...], batch: Batch, weight: Float[Array, " B"]
) -> Float[Array, " C"]:
    """Weighted mean over rows of the probability of each named option."""
    total = np.zeros(len(batch.option_names))
    for block, probability in zip(batch.blocks, blocks):
        weighted = probability * weight[block.row][:, None]
        total += np.bincount(
            block.option[block.offered], weighted[block.offered], minlength=len(total)
        )
    return total / max(float(weight.sum()), 1e-300)


def _share_change(name: str, before: Float[Array, " N"], after: Float[Array, " N"]) -> ShareChange:
    ends = [
        # Shares end at 0 and 1, which an interval about few draws does not know.
        [float(np.clip(end, lowest, 1.0)) for end in drawn_interval(x[0], x[1:])]
        for x, lowest in ((before, 0.0), (after, 0.0), (after - before, -1.0))
    ]
    (b_low, b_high), (a_low, a_high), (c_low, c_high) = ends
    return ShareChange(
        option=name,
        before=float(before[0]), before_low=b_low, before_high=b_high,
        after=float(after[0]), after_low=a_low, after_high=a_high,
        change=float(after[0] - before[0]), change_low=c_low, change_high=c_high,
    )  # fmt: skip


def _welfare(
    label: str,
    runs: Sequence[_Run],
    weight: Float[Array, " B"],
    person: Int[Array, " B"],
) -> WelfareChange:
    rises = np.array([float(run.rise @ weight) for run in runs])
    money = np.array([float(run.worth_of_money @ weight) for run in runs])
    # Averaged over the subgroup before dividing: a mean of ratios need not exist, and in some draw
    # of our doubt some single person's worth of money comes near zero or below it.
    if not money[0] > 0:
        raise ConfigError(
            f"more money is no gain to {label!r}, so surplus cannot be told in its units; expected "
            "a model whose price part-worth is negative. Leave `price` out, or use the price in "
            "the formula."
        )
    # A draw in which money is no gain lies beyond those in which it is hardly one.
    means = np.divide(rises, money, out=np.copysign(np.inf, rises), where=money > 0)
    means[rises == 0] = 0.0
    size = int(person.max(initial=-1)) + 1
    weight_of_person = np.bincount(person, weight, minlength=size)
    inside = weight_of_person > 0
    own = np.bincount(person, weight * runs[0].rise, minlength=size)[inside]
    own = own / weight_of_person[inside] / (money[0] / float(weight.sum()))
    low, high = drawn_interval(means[0], means[1:])
    return WelfareChange(
        group=label,
        people=int(inside.sum()),
        mean=float(means[0]),
        low=float(low),
        high=float(high),
        losing=float(np.mean(own < -0.01)),
    )
