"""A policy says how likely it is to take each option: a probability a line, one in every menu.

Legend: N options over all menus, B rounds.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import pyarrow.compute as pc
from jaxtyping import Float

from penchant.beliefs.belief import Belief
from penchant.data.columns import is_list, is_number, one_chunk, to_floats, to_ints
from penchant.data.records import Records
from penchant.errors import ConfigError, DataError
from penchant.numerics.arrays import Array
from penchant.policies.oneshot.risk import check_share, conditional_value_at_risk

_SUM_TOLERANCE = 1e-3


@runtime_checkable
class Policy(Protocol):
    """Records to the probability of taking each option, in the order of their options.

    NaN where a policy cannot say (of a logged policy, what was not taken).
    """

    def __call__(self, records: Records) -> Float[Array, " N"]: ...


@dataclass(frozen=True)
class Uniform:
    """Every option of the menu alike."""

    def __call__(self, records: Records) -> Float[Array, " N"]:
        refuse_what_was_shown_alone(records)
        return 1.0 / np.repeat(records.menu_sizes, records.menu_sizes)


@dataclass(frozen=True)
class Logged:
    """The policy that made the log, as far as it wrote down its propensities."""

    def __call__(self, records: Records) -> Float[Array, " N"]:
        if "propensity" not in records.options.column_names:
            return np.full(records.options.num_rows, np.nan)
        return to_floats(records.options["propensity"])


@dataclass(frozen=True)
class Column:
    """Probabilities that stand in a column: of the options, whatever its role; of rows that hold a
    list, one number an option, or a number where every round shows one option.

    is_law: they add up to 1 over each menu; not so where each is of its own place in a slate.
    """

    name: str
    is_law: bool = True

    def __call__(self, records: Records) -> Float[Array, " N"]:
        found = _of_each_option(records, self.name)
        total = np.add.reduceat(found, records.offsets[:-1])
        bad = ~((found >= 0) & (found <= 1 + _SUM_TOLERANCE))
        # One option a round says nothing of the others, so that nothing need add up.
        whole = (records.menu_sizes > 1) & self.is_law
        off = whole & (np.abs(total - 1.0) > _SUM_TOLERANCE)
        if bad.any() or off.any():
            row = int(np.argmax(off)) if off.any() else int(records.row_of_option[np.argmax(bad)])
            raise DataError(
                f"column {self.name!r} gives round {row} probabilities that add up to "
                f"{total[row]:.6g} ({int(off.sum()) or int(bad.sum())} are like this); expected "
                "numbers from 0 to 1"
                + (" that add up to 1 over each menu." if self.is_law else ".")
            )
        return found


@dataclass(frozen=True, eq=False)
class Greedy:
    """The option of the highest expected worth; equal ones share the probability."""

    belief: Belief

    def __call__(self, records: Records) -> Float[Array, " N"]:
        refuse_what_was_shown_alone(records)
        return _best(expected_worth(self.belief, records), records)


@dataclass(frozen=True, eq=False)
class EpsilonGreedy:
    """The best option, but with probability epsilon any, all alike."""

    belief: Belief
    epsilon: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.epsilon <= 1:
            raise ConfigError(f"epsilon is {self.epsilon}; expected a probability, such as 0.1.")

    def __call__(self, records: Records) -> Float[Array, " N"]:
        best = Greedy(self.belief)(records)
        return (1.0 - self.epsilon) * best + self.epsilon * Uniform()(records)


@dataclass(frozen=True, eq=False)
class Softmax:
    """pi(a) proportional to exp(worth / temperature); a temperature of 0.1 is nearly greedy."""

    belief: Belief
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ConfigError(
                f"the temperature is {self.temperature}; expected more than 0, such as 1."
            )

    def __call__(self, records: Records) -> Float[Array, " N"]:
        refuse_what_was_shown_alone(records)
        worth = expected_worth(self.belief, records) / self.temperature
        top = np.maximum.reduceat(worth, records.offsets[:-1])
        power = np.exp(worth - np.repeat(top, records.menu_sizes))
        return power / np.repeat(np.add.reduceat(power, records.offsets[:-1]), records.menu_sizes)


@dataclass(frozen=True, eq=False)
class Careful:
    """The option that is best for the worst off `share` of kinds of people (conditional value at
    risk, `policies/oneshot/risk.py`); 0 minds the worst off kind alone, 1 is `Greedy`. Equal ones
    share the probability."""

    belief: Belief
    share: float = 0.1

    def __post_init__(self) -> None:
        check_share(self.share)

    def __call__(self, records: Records) -> Float[Array, " N"]:
        refuse_what_was_shown_alone(records)
        return _best(worth_of_the_worst_off(self.belief, records, self.share), records)


def _best(worth: Float[Array, " N"], records: Records) -> Float[Array, " N"]:
    best = np.maximum.reduceat(worth, records.offsets[:-1])
    is_best = (worth == np.repeat(best, records.menu_sizes)).astype(np.float64)
    ties = np.add.reduceat(is_best, records.offsets[:-1])
    return is_best / np.repeat(ties, records.menu_sizes)


def _of_each_option(records: Records, name: str) -> Float[Array, " N"]:
    if name in records.options.column_names:
        return to_floats(records.options[name])
    if name in records.rows.column_names:
        column = one_chunk(records.rows[name])
        if is_list(column.type):
            lengths = to_ints(pc.list_value_length(column), missing=-1)
            if np.array_equal(lengths, records.menu_sizes):
                return to_floats(pc.list_flatten(column))
        elif is_number(column.type) and (records.menu_sizes == 1).all():
            return to_floats(column)
    raise DataError(
        f"there is no column {name!r} of options; expected one with the policy's probability of "
        f"each (in rows: a list as long as the menu). There are "
        f"{', '.join(records.options.column_names)}."
    )


def refuse_what_was_shown_alone(records: Records) -> None:
    """Raises DataError for menus of one option that was shown with a probability below 1.

    Such a log holds what was shown and not what else could have been: over its menus every policy
    would take the one option surely, which is true of none.
    """
    if "propensity" not in records.options.column_names:
        return
    shown = to_floats(records.options["propensity"])
    alone = np.repeat(records.menu_sizes == 1, records.menu_sizes) & (shown < 1 - _SUM_TOLERANCE)
    if alone.any():
        line = int(np.argmax(alone))
        raise DataError(
            f"round {int(records.row_of_option[line])} holds one option alone, shown with "
            f"probability {shown[line]:.6g} ({int(alone.sum()):,} of {len(records):,} rounds are "
            "like this); expected whole menus, as what else could have been shown decides how "
            "likely a policy takes what was. Log whole menus, or complete them with all options "
            "of the log: `--menu seen`, in Python "
            "`penchant.data.decisions.with_whole_menus(records)`."
        )


def expected_worth(belief: Belief, records: Records) -> Float[Array, " N"]:
    """sum_s w[g, s] u_s of each option: the mean worth over kinds of people."""
    batch = belief.encode(records)
    means = [np.zeros(block.offered.shape) for block in batch.blocks]
    for worths in belief.utilities(batch):
        weights = np.exp(worths.log_weights)
        means[worths.block][worths.rows] = np.einsum("cks,cs->ck", worths.utilities, weights)
    return batch.flat(means)


def worth_of_the_worst_off(belief: Belief, records: Records, share: float) -> Float[Array, " N"]:
    """Of each option the mean worth over the `share` of kinds of people to whom it is worth least.

    Worths are counted from the mean of each kind's menu: only differences within a menu matter.
    Raises `ConfigError` for less than all people of a belief that knows one kind alone.
    """
    batch, most = belief.encode(records), 1
    found = [np.zeros(block.offered.shape) for block in batch.blocks]
    for worths in belief.utilities(batch):
        most = max(most, worths.utilities.shape[2])
        shown = batch.blocks[worths.block].offered[worths.rows][:, :, None]
        level = np.where(shown, worths.utilities, 0.0).sum(axis=1, keepdims=True)
        apart = np.where(shown, worths.utilities - level / shown.sum(axis=1, keepdims=True), 0.0)
        weights = np.exp(worths.log_weights)[:, None, :]
        found[worths.block][worths.rows] = conditional_value_at_risk(
            apart, np.broadcast_to(weights, apart.shape), share
        )
    if most == 1 and share < 1.0:
        raise ConfigError(
            "this model knows one kind of people alone, so that nobody is worse off than others; "
            "expected one with kinds of people (`penchant fit --model classes` or `mixed`). Or "
            "take the best for all, `greedy`."
        )
    return batch.flat(found)
