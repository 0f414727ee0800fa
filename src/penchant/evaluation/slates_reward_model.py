"""What each option would earn at each place of a slate, and what that makes of a target policy.

Legend: B rounds, L places, K options of a menu, N options over all menus.
"""

import numpy as np
from jaxtyping import Float, Int

from penchant.data.slates import Slates
from penchant.data.splits import person_folds
from penchant.encoders.table import TableEncoder
from penchant.evaluation.cross_fitting import option_features
from penchant.metrics.off_policy_slates import cascade_doubly_robust, of_place
from penchant.numerics.arrays import Array

# Precision of coefficients before any reward, as a share of the mean diagonal.
_RIDGE = 1e-2
# Places from which a reward is foretold: chances of further ones are sums over too many slates.
_AHEAD = 3


def cross_fit_places(
    slates: Slates, formula: str, num_folds: int = 2, seed: int = 0
) -> Float[Array, "N L"]:
    """The expected reward of each option at each place, by a ridge regression for each place that
    has not seen the round (nor its person)."""
    records = slates.records
    encoder = TableEncoder(formula, group_by="row", unseen="reference").fit(records)
    found = np.zeros((records.options.num_rows, slates.line.shape[1]))
    for split in person_folds(slates.cluster, num_folds, seed):
        told = _by_line(encoder, slates, split.train)
        theta = [_ridge(slates, told, split.train, place) for place in range(found.shape[1])]
        for lines, features in option_features(encoder, records, split.test):
            found[lines] = features @ np.column_stack(theta)
    return found


def cascade_terms(
    law: Float[Array, "B K"],
    item: Int[Array, "B L"],
    weight: Float[Array, "B L"],
    reward: Float[Array, "B L"],
    model: Float[Array, "B K L"],
) -> Float[Array, " B"]:
    """`cascade_doubly_robust` of a target that draws places one by one from what is left of `law`.

    item: shown at each place, -1 beyond the last. model: of each option at each place. What is
    expected from a place on is the target's mean of the model there and at the next two places,
    given what stands above; whatever the model, the estimate is right if weights are.
    """
    num, places = item.shape
    predicted, value = np.zeros((num, places)), np.zeros((num, places))
    left, rows = law.copy(), np.arange(num)
    before = _ahead(left, model, item, 0)
    for place in range(places):
        is_shown = item[:, place] >= 0
        here = np.maximum(item[:, place], 0)
        left[rows[is_shown], here[is_shown]] = 0.0
        after = _ahead(left, model, item, place + 1)
        value[:, place] = np.where(is_shown, before[:, :_AHEAD].sum(axis=1), 0.0)
        # One place less ahead, so that `value` is the mean of `predicted`.
        of_next = after[:, : _AHEAD - 1].sum(axis=1)
        predicted[:, place] = np.where(is_shown, model[rows, here, place] + of_next, 0.0)
        before = after
    return cascade_doubly_robust(weight, reward, predicted, value)


def _ahead(
    left: Float[Array, "B K"], model: Float[Array, "B K L"], item: Int[Array, "B L"], first: int
) -> Float[Array, "B A"]:
    """The target's mean of the model at the places from `first` on, drawn from what is left."""
    num = min(_AHEAD, item.shape[1] - first)
    if num <= 0:
        return np.zeros((len(item), 0))
    total = left.sum(axis=1, keepdims=True)
    law = np.divide(left, total, out=np.zeros_like(left), where=total > 1e-12)
    means = [
        np.where(
            item[:, first + ahead] >= 0, (chance * model[:, :, first + ahead]).sum(axis=1), 0.0
        )
        for ahead, chance in enumerate(np.moveaxis(of_place(law, num), 1, 0))
    ]
    return np.nan_to_num(np.column_stack(means))


def _by_line(encoder: TableEncoder, slates: Slates, rows: Int[Array, " R"]) -> Float[Array, "N D"]:
    parts = list(option_features(encoder, slates.records, rows))
    found = np.zeros((slates.records.options.num_rows, parts[0][1].shape[1]))
    for lines, features in parts:
        found[lines] = features
    return found


def _ridge(
    slates: Slates, features: Float[Array, "N D"], rows: Int[Array, " R"], place: int
) -> Float[Array, " D"]:
    mine = rows[slates.shown[rows, place]]
    x, weight = features[slates.line[mine, place]], slates.weight[mine]
    information = (x * weight[:, None]).T @ x
    size = max(float(np.trace(information)) / x.shape[1], 1e-12)
    information += _RIDGE * size / max(len(mine), 1) * np.eye(x.shape[1])
    told: Array = x.T @ (weight * slates.reward[mine, place])
    return np.asarray(np.linalg.solve(information, told))
