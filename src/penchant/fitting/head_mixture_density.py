"""The log-posterior of several linear reward heads and of who follows which, with its gradient.

One pass computes the gaps under all heads as one matrix product and sends the responsibilities
back through a second one. Arrays stand heads first: a product with few columns is half as fast
the other way round, and a sum over heads then runs along whole vectors.

Legend: B pairs, N texts, D dimensions, K heads, S kinds of people (each a mix of heads), G groups
of pairs that share a kind, Q context features, C columns of the pair, M own parameters of the
likelihood, T parameters: heads, router (R = S - 1 rows, intercept first), columns, own.
"""

from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Literal

import numpy as np
from jaxtyping import Float, Float32, Int

from penchant.feedback.gap import GapModel
from penchant.fitting.head_pairs import HeadPairs
from penchant.fitting.lbfgs import Slope
from penchant.numerics.arrays import Array

PoolingSide = Literal["outside", "inside"]
# Pairs at a time: what the likelihood makes of them under all kinds stays in cache.
_STEP = 3072


@dataclass(frozen=True, kw_only=True, eq=False)
class GroupedPairs:
    """Pairs in the order of their groups; `group_start` says where each group begins.

    context: what is known of each group before it answers, in units in which a router's slope of
    one is ordinary.
    """

    pairs: HeadPairs
    group_start: Int[Array, " G1"]
    context: Float[Array, "G Q"]

    def __len__(self) -> int:
        return len(self.context)

    @cached_property
    def is_row_by_row(self) -> bool:
        """Whether every group is a single pair."""
        return len(self.pairs) == len(self)

    @cached_property
    def group_weight(self) -> Float[Array, " G"]:
        """The mean weight of a group's rows: how many such people there are."""
        total = np.add.reduceat(self.pairs.weight, self.group_start[:-1])
        return total / np.diff(self.group_start)

    @cached_property
    def group_of_row(self) -> Int[Array, " B"]:
        """The group of each pair."""
        return np.repeat(np.arange(len(self)), np.diff(self.group_start))

    @cached_property
    def evidence(self) -> Float[Array, " B"]:
        """A row's weight within its group: 1 on average, so that weights of whole groups count
        people and not answers."""
        whole = self.group_weight[self.group_of_row]
        return np.where(whole > 0, self.pairs.weight / np.where(whole > 0, whole, 1.0), 0.0)

    @cached_property
    def has_evidence(self) -> bool:
        """Whether rows of one group weigh differently."""
        return bool(np.any(self.evidence != 1.0))

    @cached_property
    def group_sizes(self) -> Int[Array, " G"]:
        """How many pairs each group has."""
        return np.diff(self.group_start)

    @cached_property
    def weight_single(self) -> Float32[Array, " B"]:
        """The weights in single precision, as passes read them."""
        return self.pairs.weight.astype(np.float32)

    @cached_property
    def context_single(self) -> Float32[Array, "G Q"]:
        """The context in single precision, as passes read it."""
        return self.context.astype(np.float32)

    @cached_property
    def chunks(self) -> tuple[tuple[slice, slice], ...]:
        """Rows and groups of pieces of about `_STEP` pairs, no group cut in two."""
        ends = [0]
        while ends[-1] < len(self):
            reach = self.group_start[ends[-1]] + _STEP
            far = int(np.searchsorted(self.group_start, reach, side="right")) - 1
            ends.append(max(far, ends[-1] + 1))
        return tuple(
            (slice(int(self.group_start[a]), int(self.group_start[b])), slice(a, b))
            for a, b in pairwise(ends)
        )

    def take_groups(self, groups: Int[Array, " H"]) -> "GroupedPairs":
        """These groups alone, in this order."""
        sizes = np.diff(self.group_start)[groups]
        start = np.concatenate([[0], np.cumsum(sizes)])
        rows = np.arange(start[-1]) + np.repeat(self.group_start[groups] - start[:-1], sizes)
        return GroupedPairs(
            pairs=take_pairs(self.pairs, rows), group_start=start, context=self.context[groups]
        )


def take_pairs(pairs: HeadPairs, rows: Int[Array, " A"]) -> HeadPairs:
    """Some of the pairs, in the layout they have."""
    alone = pairs.second is None
    return HeadPairs(
        features=pairs.features[rows] if alone else pairs.features,
        first=np.arange(len(rows)) if alone else pairs.first[rows],
        second=None if pairs.second is None else pairs.second[rows],
        answer=pairs.answer[rows],
        weight=pairs.weight[rows],
        columns=pairs.columns[rows],
        offset=None if pairs.offset is None else pairs.offset[rows],
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Parts:
    """Theta taken apart."""

    heads: Float[Array, "K D"]
    router: Float[Array, "R Q1"]
    columns: Float[Array, " C"]
    own: Float[Array, " M"]


@dataclass(frozen=True, kw_only=True, eq=False)
class HeadMixtureDensity:
    """The log-posterior of theta.

    Outside: sum_g v_g log sum_s w[g, s] prod_(b of g) p(y_b | gap_bs)^(w_b / v_g): each group has
    one of S tastes. Inside: sum_b w_b log p(y_b | sum_s w[g, s] gap_bs): each mind trades all of
    them off. gap_bs = sum_k mixing[s, k] (f_first - f_second)' head_k + z_b' beta.

    mixing: None where kind s follows head s. log_weights: of the kinds where nothing of a group
    tells them apart; None for a router, w[g, s] = softmax of (0, gamma_s0 + x_g' gamma_s).
    balance: lambda of the penalty lambda mean_g sum_s w[g, s] log w[g, s], in nats a group.
    head_precision, router_precision: of normal priors around zero.
    """

    data: GroupedPairs
    model: GapModel
    num_heads: int
    side: PoolingSide = "outside"
    mixing: Float[Array, "S K"] | None = None
    log_weights: Float[Array, " S"] | None = None
    balance: float = 0.0
    head_precision: float = 1.0
    router_precision: float = field(default=1e-6)

    @property
    def num_kinds(self) -> int:
        return self.num_heads if self.mixing is None else len(self.mixing)

    @property
    def cuts(self) -> tuple[int, int, int, int]:
        """Where the parts of theta end."""
        heads = self.num_heads * self.data.pairs.features.shape[1]
        rows = 0 if self.log_weights is not None else self.num_kinds - 1
        router = heads + rows * (1 + self.data.context.shape[1])
        columns = router + self.data.pairs.columns.shape[1]
        return heads, router, columns, columns + self.model.num_own

    def split(self, theta: Float[Array, " T"]) -> Parts:
        heads, router, columns, _ = self.cuts
        return Parts(
            heads=theta[:heads].reshape(self.num_heads, -1),
            router=theta[heads:router].reshape(-1, 1 + self.data.context.shape[1]),
            columns=theta[router:columns],
            own=theta[columns:],
        )

    def precision(self) -> Float[Array, " T"]:
        heads, router, _, size = self.cuts
        # Columns and own parameters are free; this much keeps them finite where no pair tells.
        precision = np.full(size, 1e-6)
        precision[:heads], precision[heads:router] = self.head_precision, self.router_precision
        return precision

    def _weights(self, parts: Parts, groups: slice) -> Float[Array, "S G"]:
        """log w[g, s] of some groups; of one where nothing tells groups apart."""
        if self.log_weights is not None:
            return self.log_weights.astype(np.float32)[:, None]
        alike = self.data.context.shape[1] == 0
        context = self.data.context_single[slice(0, 1) if alike else groups]
        router = parts.router.astype(np.float32)
        odds = np.zeros((self.num_kinds, len(context)), dtype=np.float32)
        odds[1:] = router[:, :1] + router[:, 1:] @ context.T
        odds -= odds.max(axis=0)
        return odds - np.log(np.exp(odds).sum(axis=0))

    def at(self, theta: Float[Array, " T"]) -> Slope:
        """Value and gradient, by Fisher's identity: responsibilities times scores."""
        parts, data, pairs = self.split(theta), self.data, self.data.pairs
        heads = _padded(parts.heads)
        worths = heads @ pairs.features.T if pairs.second is not None else None
        value = 0.0
        pull = np.zeros((len(heads), pairs.features.shape[1]), dtype=np.float64)
        odds = np.zeros((self.num_kinds, len(data)))
        beta, own = np.zeros(len(parts.columns)), np.zeros(len(parts.own))
        by_text = np.zeros((self.num_heads, 0 if worths is None else len(pairs)), dtype=np.float32)
        slopes = np.zeros((len(heads), max(rows.stop - rows.start for rows, _ in data.chunks)),
                          dtype=np.float32)  # fmt: skip
        for rows, groups in data.chunks:
            if worths is None or pairs.second is None:
                gaps = heads @ pairs.features[rows].T
            else:
                gaps = worths[:, pairs.first[rows]] - worths[:, pairs.second[rows]]
            gaps = self._kinds(gaps[: self.num_heads])
            if len(beta):
                gaps = gaps + (pairs.columns[rows] @ parts.columns).astype(np.float32)
            log_weights = self._weights(parts, groups)
            part = self._chunk(gaps, log_weights, parts.own, rows, groups)
            value += part.value
            odds[:, groups] = part.odds
            own += part.own
            if len(beta):
                beta += pairs.columns[rows].T @ part.slope.sum(axis=0)
            slope = part.slope if self.mixing is None else self.mixing.T @ part.slope
            if worths is None:
                mine = slopes[:, : rows.stop - rows.start]
                mine[: self.num_heads] = slope
                pull += mine @ pairs.features[rows]
            else:
                by_text[:, rows] = slope
            if self.balance:
                weight = np.exp(log_weights)
                order = (weight * log_weights).sum(axis=0)
                share = self.balance * data.group_weight[groups]
                value -= float((share * order).sum())
                odds[:, groups] -= share * weight * (log_weights - order)
        pull = pull[: self.num_heads] if worths is None else _scatter(pairs, by_text)
        router = np.zeros(0)
        if self.log_weights is None:
            router = np.column_stack([odds[1:].sum(axis=1), odds[1:] @ data.context])
        gradient = np.concatenate([pull.ravel(), router.ravel(), beta, own])
        precision = self.precision()
        return Slope(
            value=value - 0.5 * float(precision @ theta**2), gradient=gradient - precision * theta
        )

    def responsibilities(self, theta: Float[Array, " T"]) -> Float[Array, "G S"]:
        """p(kind s | context and answers of g); of pooling inside, the weights themselves."""
        parts, data = self.split(theta), self.data
        if self.side == "inside":
            return self.prior_shares(theta)
        found = []
        for rows, groups in data.chunks:
            differences = data.pairs.differences(np.arange(rows.start, rows.stop))
            gaps = self._kinds(parts.heads.astype(np.float32) @ differences.T)
            gaps = gaps + (data.pairs.columns[rows] @ parts.columns).astype(np.float32)
            log_prob = respond(self.model, gaps, data.pairs.answer[rows], parts.own).value
            joint = self._weights(parts, groups) + self._by_group(log_prob, rows, groups)
            found.append(np.exp(joint - joint.max(axis=0)).T)
        shares = np.concatenate(found)
        return shares / shares.sum(axis=1, keepdims=True)

    def prior_shares(self, theta: Float[Array, " T"]) -> Float[Array, "G S"]:
        """p(kind s | context of g)."""
        weight = np.exp(self._weights(self.split(theta), slice(0, len(self.data)))).T
        return np.broadcast_to(weight, (len(self.data), self.num_kinds)).astype(np.float64)

    def _kinds(self, gaps: Float[Array, "K B"]) -> Float[Array, "S B"]:
        return gaps if self.mixing is None else self.mixing.astype(np.float32) @ gaps

    def _by_group(
        self, log_prob: Float[Array, "S B"], rows: slice, groups: slice
    ) -> Float[Array, "S G"]:
        """log p(answers of g | kind s)."""
        if self.data.is_row_by_row:
            return log_prob
        start = self.data.group_start[groups] - rows.start
        # In double precision: the log-probabilities of a person's many answers add up.
        told = log_prob * self.data.evidence[rows] if self.data.has_evidence else log_prob
        return np.add.reduceat(told, start, axis=1, dtype=np.float64)

    def _by_row(self, of_group: Float[Array, "S G"], groups: slice) -> Float[Array, "S B"]:
        """What belongs to some groups, for each of their pairs."""
        if self.data.is_row_by_row:
            return of_group
        return np.repeat(of_group, self.data.group_sizes[groups], axis=1)

    def _chunk(
        self,
        gaps: Float[Array, "S B"],
        log_weights: Float[Array, "S G"],
        own: Float[Array, " M"],
        rows: slice,
        groups: slice,
    ) -> "_Chunk":
        data = self.data
        answer, weight = data.pairs.answer[rows], data.weight_single[rows]
        log_weights = np.broadcast_to(log_weights, (len(log_weights), groups.stop - groups.start))
        many = data.group_weight[groups]
        if self.side == "inside":
            share = self._by_row(np.exp(log_weights), groups)
            found = respond(self.model, (share * gaps).sum(axis=0)[None], answer, own)
            slope = share * (found.slope[0] * weight)
            moved = slope * gaps
            moved = moved - share * moved.sum(axis=0)
            start = data.group_start[groups] - rows.start
            return _Chunk(
                value=float(weight @ found.value[0]),
                slope=slope,
                odds=moved if data.is_row_by_row else np.add.reduceat(moved, start, axis=1),
                own=np.einsum("msb,b->m", found.own_slope, weight),
            )
        found = respond(self.model, gaps, answer, own)
        joint = log_weights + self._by_group(found.value, rows, groups)
        top = joint.max(axis=0)
        shares = np.exp(joint - top)
        total = shares.sum(axis=0)
        shares /= total
        # In single precision: one double would make all products of a pass double.
        mine = self._by_row(shares.astype(np.float32), groups)
        return _Chunk(
            value=float(many @ (top + np.log(total)).astype(np.float64)),
            slope=found.slope * mine * weight,
            odds=many * (shares - np.exp(log_weights)) if self.log_weights is None else 0.0,
            own=np.einsum("msb,sb,b->m", found.own_slope, mine, weight) if len(own) else own,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Chunk:
    value: float
    slope: Float[Array, "S B"]
    odds: Float[Array, "S G"] | float
    own: Float[Array, " M"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Response:
    """log p of each answer under each kind, its slope per unit of gap and per own parameter."""

    value: Float[Array, "S B"]
    slope: Float[Array, "S B"]
    own_slope: Float[Array, "M S B"]


def respond(
    model: GapModel, gaps: Float[Array, "S B"], answer: Int[Array, " B"], own: Float[Array, " M"]
) -> Response:
    """The likelihood of `gap.py` with kinds first; of two answers and a logit, in single precision.

    That case, the usual one, is ten vector operations; the general one a loop of its own.
    """
    if model.ties is None and model.link == "logit" and model.levels is None:
        sign = np.where(answer == 0, np.float32(1.0), np.float32(-1.0))
        margin = gaps * sign
        # log1p would keep the last digits of tiny losses, at four times the price of log.
        value = np.minimum(margin, 0.0) - np.log(1.0 + np.exp(-np.abs(margin)))
        # sigma(-m) = sigma(m) exp(-m): a second exponential costs less than to choose and divide.
        return Response(
            value=value,
            slope=sign * np.exp(value - margin),
            own_slope=np.zeros((0, *gaps.shape)),
        )
    found = model.respond(gaps.T.astype(np.float64), answer, own[None, :, None])
    return Response(
        value=found.value.T, slope=found.slope.T, own_slope=np.moveaxis(found.own_slope, 0, -1)
    )


def _padded(heads: Float[Array, "K D"]) -> Float32[Array, "L D"]:
    """Heads of zero added up to a multiple of four: a product with ten costs more than with 12."""
    padded = np.zeros((-(-len(heads) // 4) * 4, heads.shape[1]), dtype=np.float32)
    padded[: len(heads)] = heads
    return padded


def _scatter(pairs: HeadPairs, slope: Float[Array, "K B"]) -> Float[Array, "K D"]:
    """sum_b slope_kb (f_first - f_second), by way of the texts."""
    num_texts, second = len(pairs.features), pairs.second
    assert second is not None
    pull = np.stack(
        [
            np.bincount(pairs.first, row, num_texts) - np.bincount(second, row, num_texts)
            for row in slope
        ]
    )
    return (pull.astype(np.float32) @ pairs.features).astype(np.float64)
