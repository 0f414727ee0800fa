"""How shares answer to a change of an attribute, in per cent for per cent.

Legend: C options by name, J those whose attribute moves, N draws of our doubt, S kinds of people,
B observations, K options of a menu.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from penchant.beliefs.belief import Belief
from penchant.beliefs.marginal import row_weights
from penchant.data.batch import Batch, Block
from penchant.data.records import Records
from penchant.errors import ConfigError
from penchant.feedback.channel_choice import Choice
from penchant.feedback.choice import probabilities as choice_probabilities
from penchant.metrics.intervals import drawn_interval
from penchant.numerics.arrays import Array
from penchant.policies.oneshot.what_if import Change, apply_changes, expected_shares
from penchant.populations.pooled import Pooled
from penchant.populations.population import Tastes

# What is worked on at once stays in cache.
_FLOATS_AT_ONCE = 200_000


@dataclass(frozen=True, kw_only=True)
class Elasticity:
    """Per cent change of the share of `of` when `feature` of `changed` rises by one per cent.

    low, high: 95 % interval of our doubt; NaN where no draws were asked for.
    """

    feature: str
    changed: str
    of: str
    value: float
    low: float = math.nan
    high: float = math.nan


def elasticities(
    belief: Belief,
    records: Records,
    feature: str,
    *,
    step: float = 0.01,
    num_draws: int = 0,
    rng: np.random.Generator | None = None,
    robust: bool = True,
) -> tuple[Elasticity, ...]:
    """Aggregate own and cross elasticities, d log S_i / d log x_j, by sample enumeration.

    The expected shares S are moved (Ben-Akiva and Lerman 1985, 5.3): each person's probabilities
    are moved and summed, so that nobody's elasticity is averaged. Worths move by central
    differences of size `step` in log x_j, probabilities by the logit's derivative, or by
    differences too where the model is no plain logit. Independence of irrelevant alternatives
    shows as equal cross elasticities.
    num_draws: of our doubt, from `rng`, for intervals: their quantiles, or of fewer than 200, whose
    quantiles lie too far in, 1.96 root mean squares about the value. robust: by the covariance
    clustered by person where the belief has one.

    Raises `ConfigError` for a feature that the records do not have, and for draws without `rng`.
    """
    if num_draws and rng is None:
        raise ConfigError(
            f"{num_draws} draws were asked for without a generator; expected "
            "rng=np.random.default_rng(seed), so that the same seed gives the same intervals."
        )
    base = belief.encode(records)
    # The outside option has no features that could change.
    changing = [name for name in base.option_names if name != records.outside_option]
    ends = [
        tuple(
            belief.encode(apply_changes(
                records, [Change(feature=feature, option=changed, multiply=factor)]
            ))
            for factor in (1.0 + step, 1.0 / (1.0 + step))
        )
        for changed in changing
    ]  # fmt: skip
    mode = _matrices((belief,), base, ends, step)[0]
    drawn = np.zeros((0, *mode.shape))
    if rng is not None and num_draws:
        drawn = _matrices(belief.sample(num_draws, rng, robust=robust), base, ends, step)
    low, high = drawn_interval(mode, drawn)
    names = base.option_names
    return tuple(
        Elasticity(
            feature=feature, changed=changed, of=name, value=float(mode[j, i]),
            low=float(low[j, i]), high=float(high[j, i]),
        )
        for j, changed in enumerate(changing)
        for i, name in enumerate(names)
    )  # fmt: skip


def _matrices(
    beliefs: Sequence[Belief], base: Batch, ends: Sequence[tuple[Batch, ...]], step: float
) -> Float[Array, "N J C"]:
    """Of each draw of our doubt, line j, column i: d log S_i / d log x_j."""
    one = beliefs[0]
    if any(block.kind != "choice" for block in base.blocks) or one.channels != (Choice(),):
        return np.stack([difference_matrix(each, base, ends, step) for each in beliefs])
    if isinstance(one.population, Pooled):
        # Draws of one taste for all are handled as so many kinds of people, kept apart.
        thetas = np.stack([each.population_theta for each in beliefs])
        tastes = Tastes(values=thetas[None], log_weights=np.zeros((1, len(beliefs))))
        return _logit_matrices(one, tastes, base, ends, step, apart=True)
    return np.concatenate([
        _logit_matrices(each, each.tastes(base), base, ends, step, apart=False)
        for each in beliefs
    ])  # fmt: skip


def difference_matrix(
    belief: Belief, base: Batch, ends: Sequence[tuple[Batch, ...]], step: float
) -> Float[Array, "J C"]:
    """The same by central differences of the shares themselves, whatever makes them."""
    weight = row_weights(base)
    middle = expected_shares(belief.predict_proba(base), base, weight)
    up, down = (
        np.stack([
            expected_shares(belief.predict_proba(pair[side]), pair[side], weight) for pair in ends
        ])
        for side in (0, 1)
    )  # fmt: skip
    slope: Array = (up - down) / middle / (2.0 * math.log1p(step))
    return slope


def _logit_matrices(
    belief: Belief,
    tastes: Tastes,
    base: Batch,
    ends: Sequence[tuple[Batch, ...]],
    step: float,
    apart: bool,
) -> Float[Array, "S J C"]:
    """d log S_i / d log x_j of the logit, each kind of people by itself (`apart`) or all together.

    dP_i = P_i (du_i - sum_k P_k du_k), so that the probabilities are worked out once and only the
    worths are differenced: du / d log x_j = (u(x_j (1 + h)) - u(x_j / (1 + h))) / (2 log(1 + h)).
    """
    num_kinds = tastes.values.shape[1]
    sizes = (num_kinds if apart else 1, 1 + len(ends), len(base.option_names))
    total = np.zeros(sizes)
    for index, block in enumerate(base.blocks):
        at_once = max(1, _FLOATS_AT_ONCE // max(block.offered.shape[1] * num_kinds, 1))
        for start in range(0, len(block), at_once):
            rows = np.arange(start, min(start + at_once, len(block)))
            here = block.take(rows)
            kinds = here.weight[:, None] * np.ones(num_kinds)
            if not apart:
                shared = tastes.log_weights.shape[0] == 1
                kinds *= np.exp(tastes.log_weights[np.zeros_like(rows) if shared else here.group])
            worths = belief.utility.worths(here, tastes.values)
            chance = choice_probabilities(worths, here.offered)
            lines = _Lines(here, kinds, apart)
            lines.add_to(total[:, 0], chance)
            for j, (above, below) in enumerate(ends):
                up, down = (end.blocks[index].take(rows) for end in (above, below))
                # Menus that do not change move nobody.
                moved = np.flatnonzero((up.features != down.features).any(axis=(1, 2)))
                if not len(moved):
                    continue
                rise = belief.utility.worths(up.take(moved), tastes.values)
                rise -= belief.utility.worths(down.take(moved), tastes.values)
                some = chance[moved]
                rise -= (some * rise).sum(axis=1, keepdims=True)
                rise *= some
                _Lines(here.take(moved), kinds[moved], apart).add_to(total[:, 1 + j], rise)
    slope: Array = total[:, 1:] / total[:, :1] / (2.0 * math.log1p(step))
    return slope


class _Lines:
    """The options of some menus, sorted by name so that sums over each name are cheap."""

    def __init__(self, block: Block, kinds: Float[Array, "B S"], apart: bool) -> None:
        self._kinds, self._apart = kinds, apart
        name = np.where(block.offered, block.option, -1).ravel()
        self._order = np.argsort(name, kind="stable")[np.count_nonzero(name < 0) :]
        self._names, self._starts = np.unique(name[self._order], return_index=True)

    def add_to(self, total: Float[Array, "S1 C"], values: Float[Array, "B K S"]) -> None:
        """total[s, c] += sum over the lines of option c, weighted, kind by kind or over all."""
        if self._apart:
            flat = (values * self._kinds[:, None, :]).reshape(-1, values.shape[2])
        else:
            flat = np.einsum("bks,bs->bk", values, self._kinds).reshape(-1, 1)
        total[:, self._names] += np.add.reduceat(flat[self._order], self._starts, axis=0).T
