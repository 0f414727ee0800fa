"""Models of reward and of the logging policy, each round foretold by one that has not seen it.

Legend: B rounds, N options over all menus, D features (and the intercept), M target policies.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int

from penchant.beliefs.belief import Belief
from penchant.data.batch import Batch
from penchant.data.decisions import Decisions
from penchant.data.records import Records
from penchant.data.splits import person_folds
from penchant.encoders.table import TableEncoder
from penchant.feedback.channel_choice import Choice
from penchant.feedback.channel_option import Binary, Outcome
from penchant.fitting.pooled import fit_pooled
from penchant.numerics.arrays import Array, sigmoid
from penchant.numerics.threads import one_blas_thread

# Floats of features held at once: 64 MB.
_FLOATS_AT_ONCE = 8_000_000
# Curvature that no data gave, as a share of its mean diagonal: for columns that a fold never saw.
_RIDGE = 1e-8


@dataclass(frozen=True, kw_only=True, eq=False)
class _Fold:
    """Rounds learnt from and judged, the coefficients between, and the mean over the judged of
    sum_a pi(a) f'(.) x_a for each policy, times the share of all rounds that they are."""

    train: Int[Array, " T"]
    judged: Int[Array, " J"]
    theta: Float[Array, " D"]
    slopes: Float[Array, "M D"]


@dataclass(frozen=True, kw_only=True, eq=False)
class RewardModel:
    """What a reward model, cross-fitted, says of every option of the log.

    predicted: expected reward of each option, by a model that has not seen its round.
    taken: features of the actions taken.
    """

    predicted: Float[Array, " N"]
    taken: Float[Array, "B D"]
    decisions: Decisions
    folds: tuple[_Fold, ...]

    def correction(self, policy: int, used: Float[Array, " B"]) -> Float[Array, " B"]:
        """Each round's influence on an estimate sum_a pi q + used (r - q) through the model.

        With q = f(x' theta) and theta the root of sum_b x_b (r_b - q_b) = 0, a round of the
        training part moves the estimate by g' H^-1 x_b (r_b - q_b): g is the estimate's derivative,
        the mean over the judged part of sum_a pi(a) f'(.) x_a - used f'(.) x, and H the mean of
        f' x x' (Newey 1994; such weights are the balancing ones of Bruns-Smith, Dukes, Feller and
        Ogburn 2023). Of mean 0. used: the weights as the estimator uses them; 0 for the direct
        method. With true weights g is about 0, and so is the correction.
        """
        weight, is_binary = self.decisions.weight, self.decisions.is_binary
        found = np.zeros(len(self.decisions))
        for fold in self.folds:
            judged = self.taken[fold.judged]
            slope = _response(judged @ fold.theta, is_binary)[1]
            share = weight[fold.judged] * used[fold.judged] * slope / weight.sum()
            gradient = fold.slopes[policy] - share @ judged
            own, own_weight = self.taken[fold.train], weight[fold.train]
            mean, slope = _response(own @ fold.theta, is_binary)
            information = (own * (own_weight * slope)[:, None]).T @ own / weight.sum()
            information += _RIDGE * np.trace(information) / len(fold.theta) * np.eye(own.shape[1])
            effect = own @ np.linalg.solve(information, gradient)
            moved = effect * (self.decisions.reward[fold.train] - mean)
            found[fold.train] += moved - np.average(moved, weights=own_weight)
        return found


@one_blas_thread
def cross_fit_reward(
    decisions: Decisions,
    targets: Sequence[Float[Array, " N"]],
    formula: str,
    num_folds: int = 2,
    seed: int = 0,
    prior_scale: float | None = None,
) -> RewardModel:
    """Logistic regression of rewards 0 and 1, linear of others, fold by fold over people."""
    records, is_binary = decisions.records, decisions.is_binary
    encoder = TableEncoder(formula, group_by="row", unseen="reference").fit(records)
    trained = encoder.encode(decisions.only_taken)
    channel = Binary() if is_binary else Outcome(has_intercept=True)
    predicted = np.full(records.options.num_rows, np.nan)
    folds = []
    for split in person_folds(decisions.cluster, num_folds, seed):
        belief = fit_pooled(
            trained.take_rows(split.train), channels=(channel,), prior_scale=prior_scale
        )
        theta = _coefficients(belief, is_binary)
        slopes = np.zeros((len(targets), len(theta)))
        for lines, features in option_features(encoder, records, split.test):
            predicted[lines], slope = _response(features @ theta, is_binary)
            share = slope * decisions.weight[records.row_of_option[lines]]
            for m, target in enumerate(targets):
                slopes[m] += np.nan_to_num(target[lines] * share) @ features
        folds.append(
            _Fold(train=split.train, judged=split.test, theta=theta,
                  slopes=slopes / decisions.weight.sum())
        )  # fmt: skip
    return RewardModel(
        predicted=predicted, taken=_with_intercept(_single(trained)), decisions=decisions,
        folds=tuple(folds),
    )  # fmt: skip


@one_blas_thread
def estimated_propensities(
    decisions: Decisions, formula: str, num_folds: int = 2, seed: int = 0
) -> Float[Array, " N"]:
    """How likely the logging policy was to take each option: a conditional logit of what it took.

    Cross-fitted over people. Right as far as `formula` holds all that the policy looked at.
    """
    records = decisions.records
    chosen = decisions.taken - records.offsets[:-1]
    kinds = pa.array(["choice"] * len(records))
    as_choices = records.with_columns(rows={"kind": kinds, "chosen": chosen})
    encoder = TableEncoder(formula, group_by="row", unseen="reference").fit(as_choices)
    batch = encoder.encode(as_choices)
    found = np.full(records.options.num_rows, np.nan)
    for split in person_folds(decisions.cluster, num_folds, seed):
        belief = fit_pooled(batch.take_rows(split.train), channels=(Choice(),))
        judged = batch.take_rows(split.test)
        for block, share in zip(judged.blocks, belief.predict_proba(judged)):
            before = np.cumsum(block.offered, axis=1) - 1
            place = records.offsets[:-1][block.row][:, None] + before
            found[place[block.offered]] = share[block.offered]
    return found


def _coefficients(belief: Belief, is_binary: bool) -> Float[Array, " D"]:
    own = belief.channel_theta(0)
    # The bar is what a utility must pass; the intercept of outcomes comes after log sigma.
    return np.append(belief.population_theta, -own[0] if is_binary else own[1])


def _response(
    utility: Float[Array, " N"], is_binary: bool
) -> tuple[Float[Array, " N"], Float[Array, " N"]]:
    """The expected reward and its derivative by the utility."""
    if not is_binary:
        return utility, np.ones_like(utility)
    mean = sigmoid(utility)
    return mean, mean * (1.0 - mean)


def option_features(
    encoder: TableEncoder, records: Records, rows: Int[Array, " R"]
) -> Iterator[tuple[Int[Array, " L"], Float[Array, "L D"]]]:
    """The lines of these rounds' menus and their features with a 1 behind them, a part of them at a
    time."""
    num_features = len(encoder.encode(records.take(rows[:1])).feature_names) + 1
    most = max(1, int(records.menu_sizes.max()))
    at_once = max(1, _FLOATS_AT_ONCE // (num_features * most))
    for start in range(0, len(rows), at_once):
        mine = rows[start : start + at_once]
        batch = encoder.encode(records.take(mine))
        for block in batch.blocks:
            before = np.cumsum(block.offered, axis=1) - 1
            place = records.offsets[:-1][mine[block.row]][:, None] + before
            yield place[block.offered], _with_intercept(block.features[block.offered])


def _single(batch: Batch) -> Float[Array, "B D"]:
    (block,) = batch.blocks
    return block.features[:, 0]


def _with_intercept(features: Float[Array, "N D"]) -> Float[Array, "N D1"]:
    return np.column_stack([features, np.ones(len(features))])
