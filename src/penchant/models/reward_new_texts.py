"""What a head's word is worth of texts that it has not met, and how ignorant it is of them.

Heads that have seen other pairs of the same texts know more than they will of texts to come:
whoever leaves pairs out leaves too little out. Here whole texts are.

Legend: B observations, T distinct texts, N judged pairs.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Float16, Int

from penchant.beliefs.belief import Belief
from penchant.data.batch import Batch
from penchant.encoders.known_texts import nearness, text_keys
from penchant.encoders.reward import SHOWN_FIRST, RewardEncoder
from penchant.encoders.reward_pairs import Pairs
from penchant.models.reward_head import Lessons, RewardHead
from penchant.numerics.arrays import Array, log_sigmoid

_PARTS = 5
# So many groups of connected texts are shared out whole; fewer (debates, a list of items) would
# leave a part too much like no other, and their texts are shared out one by one.
_MANY_GROUPS = 50
# A text is as good as unknown, whatever else is, where the data left this share of the variance.
_UNKNOWN = 0.95
# Known texts that new ones are held against: more would cost more than they tell.
_MOST_ANCHORS = 1024
# Nats that a variance of one logit costs before any data: it says that there is none where the
# pairs cannot tell it from a smaller share.
_PRIOR = 0.1
# Twice the loss of nats beyond which a share of zero is refuted (chi-square, one degree, 95 %).
_REFUTED = 3.84
# Logits squared: beyond five logits of its own a text is a coin that always falls alike.
_MOST_VARIANCE = 25.0


@dataclass(frozen=True, kw_only=True, eq=False)
class LeftOut:
    """A head, the texts that it has not met, and the rows of pairs that show one of them."""

    head: RewardHead
    rows: Int[Array, " _"]
    texts: Int[Array, " _"]


@dataclass(frozen=True, kw_only=True, eq=False)
class NewTexts:
    """What a new text's content counts for; of what it is worth beyond that the variance (logits
    squared), and what being like no known text adds to it. is_sure: whether a share of zero is
    refuted."""

    share: float
    variance: float
    strange: float
    is_sure: bool


def left_out_texts(
    lessons: Lessons, heard: Lessons, told: Bool[Array, " B"], prior_scale: float, seed: int
) -> tuple[LeftOut, ...]:
    """Heads that have not met a part of the texts: groups of texts that comparisons connect where
    there are many, else single texts. Empty where a part would leave nothing to learn from.

    told: which of `lessons` were answered; heard: the pairs that the heads are judged on, those of
    the lessons or what they imply.
    """
    part = _parts(lessons, told, seed)
    answered = told if heard is lessons else np.ones(len(heard.weight), dtype=bool)
    made = []
    for k in range(int(part.max(initial=-1)) + 1):
        judged = answered & heard.is_pair & heard.touches(part == k)
        kept = told & ~lessons.touches(part == k)
        if judged.any() and kept.any():
            made.append(
                LeftOut(
                    head=lessons.fit(kept, prior_scale),
                    rows=np.flatnonzero(judged),
                    texts=np.flatnonzero(part == k),
                )
            )
    return tuple(made)


def with_new_texts(
    encoder: RewardEncoder,
    lessons: Lessons,
    parts: tuple[LeftOut, ...],
    seen: Batch,
    fit: Callable[[Batch], Belief],
    has_own_worth: bool = True,
) -> tuple[RewardEncoder, tuple[str, ...]]:
    """The encoder with what it needs to know of texts that it has not met, and what to say of it.

    A text is worth what its embedding says, of which a head that never met it knows a share, and
    something of its own (a random intercept of the text), which only its own comparisons tell; what
    they leave open of known texts is in the weight w already. So gap = w (share f_new' b - f_known'
    b) + rest, its variance v per new text, so that p(first) = sigmoid(gap / sqrt(1 + pi v / 8))
    (MacKay 1992). share, v and what strangeness adds to v maximise that over pairs that show one
    left-out text or two; w and rest are those of the second stage on pairs not `seen`, by `fit`.
    has_own_worth: where False, v is zero and no text is called far from those that were met.
    usual_ignorance: what 99 in 100 left-out pairs of two left-out texts (or texts) had at most.
    """
    pairs, texts = _usual(lessons, parts)
    encoder = replace(encoder, usual_ignorance=pairs, usual_text_ignorance=texts)
    if not parts or not seen.blocks:
        return encoder, ()
    rows = np.concatenate([part.rows for part in parts])
    if len(np.unique(lessons.menus()[rows])) < 2:
        return encoder, ()
    weight = fit(seen).theta
    if weight[0] <= 0.0:
        return encoder, ()
    anchors = _anchors(lessons, encoder.mean, np.concatenate([part.texts for part in parts]))
    told = [_told(part, lessons, anchors, weight, encoder.feature_names) for part in parts]
    gaps = _Gaps.joined(told)
    found = _of_new(gaps, _MOST_VARIANCE if has_own_worth else 0.0)
    encoder = replace(
        encoder,
        new_text_share=found.share, new_text_variance=found.variance,
        strange_text_variance=found.strange,
        known_texts=text_keys(lessons.embedded.texts, lessons.embedded.prompts),
        anchors=anchors.vectors if has_own_worth else None,
        usual_nearness=_usual_nearness(told) if has_own_worth else -np.inf,
        are_anchors_centred=True,
    )  # fmt: skip
    if found.share > 0.9 and found.variance + found.strange < 0.1:
        return encoder, ()
    near = found.variance + found.strange * (1.0 - float(np.median(gaps.near)))
    return encoder, (_remark(found, near**0.5),)


def _remark(found: NewTexts, spread: float) -> str:
    """spread: the standard deviation of what new texts are worth of their own."""
    said = []
    if found.share < 0.995:
        said.append(
            f"what the head reads in them counts for {found.share:.2f} of what it counts for of "
            "those that it has, and their rewards are drawn in by as much"
        )
    if spread >= 0.1:
        said.append(
            f"each is worth something of its own (standard deviation {spread:.1f} logits) that "
            "only its own comparisons would tell, which draws probabilities in and widens intervals"
        )
    told = "Of texts that it has not met, " + "; ".join(said or ["it knows as much"]) + "."
    return told + ("" if found.is_sure else " Nothing is known to have been learnt of new texts.")


@dataclass(frozen=True, kw_only=True, eq=False)
class _Anchors:
    """text: which texts; vectors: beside the mean, of length one."""

    text: Int[Array, " A"]
    vectors: Float16[Array, "A E"]


def _anchors(lessons: Lessons, mean: Float[Array, " E"], met: Int[Array, " _"]) -> _Anchors:
    met = np.unique(met)
    kept = np.random.default_rng(0).permutation(met)[:_MOST_ANCHORS]
    vectors = lessons.even(lessons.embedded.vectors[kept].astype(np.float64) - mean)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.where(length > 0, length, 1.0)
    return _Anchors(text=kept, vectors=unit.astype(np.float16))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Gaps:
    """Of each decided pair that a head of left-out texts is judged on, in logits: what the content
    of known and of new texts and the rest say of the gap. num_new: how many of the two are new;
    strange: 1 - cosine to the nearest known text, summed over these; side: 1 where the first won,
    else -1. near: the cosine of each left-out text."""

    known: Float[Array, " N"]
    new: Float[Array, " N"]
    rest: Float[Array, " N"]
    num_new: Float[Array, " N"]
    strange: Float[Array, " N"]
    side: Float[Array, " N"]
    weight: Float[Array, " N"]
    near: Float[Array, " T"]

    @classmethod
    def joined(cls, parts: "list[_Gaps]") -> "_Gaps":
        names = cls.__dataclass_fields__
        return cls(**{n: np.concatenate([getattr(each, n) for each in parts]) for n in names})

    def loss(self, share: float, variance: float, strange: float) -> float:
        """Nats of all pairs, drawn in by what new texts are worth of their own, and the prior."""
        gap = self.known + share * self.new + self.rest
        own = variance * self.num_new + strange * self.strange
        told = log_sigmoid(self.side * gap / np.sqrt(1.0 + np.pi / 8.0 * own))
        # The share is N(1, 1) before any data, as the weight of the reward is.
        return 0.5 * (share - 1.0) ** 2 + _PRIOR * (variance + strange) - float(self.weight @ told)


def _told(
    part: LeftOut, lessons: Lessons, anchors: _Anchors, theta: Array, names: tuple[str, ...]
) -> _Gaps:
    """theta: the weight of each feature of these names; of tastes the average judge has none."""
    pairs: Pairs = lessons.pairs(part.rows)
    embedded, head = lessons.embedded, part.head.encoder
    is_new = np.zeros(len(embedded.texts), dtype=bool)
    is_new[part.texts] = True
    kept = ~is_new[anchors.text]
    near = np.zeros(len(is_new))
    if kept.any():
        left_out = lessons.even(embedded.vectors[part.texts] - head.mean)
        near[part.texts] = nearness(left_out, anchors.vectors[kept])
    content = theta[0] * ((embedded.vectors - head.mean) @ head.weights)
    form = head.form(embedded)
    # Of attributes their part in the reward and, in the second stage, their own.
    rest = form @ (theta[0] * head.coefficients + theta[1 : 1 + form.shape[1]])
    favour = float(theta[names.index(SHOWN_FIRST)]) if SHOWN_FIRST in names else 0.0
    decided = np.flatnonzero((pairs.outcome >= 0) & (pairs.outcome < 2))
    first, second = pairs.first[decided], pairs.second[decided]
    known, new = np.where(is_new, 0.0, content), np.where(is_new, content, 0.0)
    strange = np.where(is_new, 1.0 - near, 0.0)
    return _Gaps(
        known=known[first] - known[second], new=new[first] - new[second],
        rest=rest[first] - rest[second] + favour,
        num_new=is_new[first].astype(float) + is_new[second],
        strange=strange[first] + strange[second],
        side=np.where(pairs.outcome[decided] == 0, 1.0, -1.0), weight=pairs.weight[decided],
        near=near[part.texts],
    )  # fmt: skip


def _of_new(gaps: _Gaps, most_variance: float) -> NewTexts:
    from scipy.optimize import minimize

    def best(most: float) -> tuple[float, Array]:
        found = minimize(
            lambda theta: gaps.loss(*theta), [0.7 * most, *np.minimum([0.3, 0.3], most_variance)],
            method="L-BFGS-B",
            bounds=[(0.0, most), (0.0, most_variance), (0.0, most_variance)],
        )  # fmt: skip
        return float(found.fun), found.x

    loss, (share, variance, strange) = best(1.0)
    return NewTexts(
        share=float(share), variance=float(variance), strange=float(strange),
        is_sure=2.0 * (best(0.0)[0] - loss) > _REFUTED,
    )  # fmt: skip


def _usual_nearness(parts: "list[_Gaps]") -> float:
    return float(np.quantile(np.concatenate([part.near for part in parts]), 0.01))


def _usual(lessons: Lessons, parts: tuple[LeftOut, ...]) -> tuple[float, float]:
    """Of pairs, and of texts beside the mean text."""
    of_pairs, of_texts = [np.zeros(0)], [np.zeros(0)]
    for part in parts:
        encoder = part.head.encoder
        now, before = (v[part.texts] for v in encoder.text_variances(lessons.embedded))
        of_texts.append(now[before > 0] / before[before > 0])
        pairs = lessons.pairs(part.rows)
        now, before = encoder.gap_variances(pairs)
        both = np.isin(pairs.first, part.texts) & np.isin(pairs.second, part.texts) & (before > 0)
        of_pairs.append(now[both] / before[both])
    texts = _most(np.concatenate(of_texts), _UNKNOWN)
    return _most(np.concatenate(of_pairs), texts), texts


def _most(ignorance: Array, otherwise: float) -> float:
    if not len(ignorance):
        return otherwise
    return min(float(np.quantile(ignorance, 0.99)), _UNKNOWN)


def _parts(lessons: Lessons, told: Bool[Array, " B"], seed: int) -> Int[Array, " T"]:
    """A part for each text; -1 for texts that nobody answered about."""
    group = lessons.connected(told)
    met = np.unique(group[group >= 0])
    if len(met) < _MANY_GROUPS:
        group = np.where(group >= 0, np.arange(len(group)), -1)
        met = np.flatnonzero(group >= 0)
    part = np.full(len(group), -1)
    shuffled = np.random.default_rng(seed).permutation(len(met)) % min(_PARTS, max(len(met), 1))
    part[group >= 0] = shuffled[np.searchsorted(met, group[group >= 0])]
    return part
