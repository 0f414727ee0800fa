"""What form does to judgements: how long the texts of a trial are, and what wins by it.

Legend: R judged pairs, T distinct texts, B observations.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from penchant.data.records import Records
from penchant.encoders.embedding import distinct_texts
from penchant.encoders.text_attributes import text_attributes
from penchant.encoders.text_embedding import plain_texts, with_plain_texts
from penchant.evaluation.report import Estimate
from penchant.evaluation.reward_trial import RewardTrial
from penchant.metrics.calibration import clustered_share
from penchant.models.reward_model import RewardModel
from penchant.numerics.arrays import Array

_LENGTH_BINS = 6


@dataclass(frozen=True, kw_only=True, eq=False)
class ShownTexts:
    """Of every observation: its two texts, how many words each has, and its prompt's words."""

    words: tuple[str, ...]
    of_option: Array
    offsets: Array
    size: Array
    prompt: Array

    @classmethod
    def of(cls, records: Records, model: RewardModel) -> "ShownTexts":
        embedding = model.embedding
        column = getattr(embedding, "text", "text")
        words, of_option = distinct_texts(with_plain_texts(records, column), column)
        size = np.expm1(text_attributes(words, ("length",))[:, 0])
        prompt = np.zeros(len(records))
        name = getattr(embedding, "prompt", None)
        if name is not None and name in records.rows.column_names:
            told = plain_texts(records.rows[name], name).to_pylist()
            prompt = np.array([len((text or "").split()) for text in told], dtype=np.float64)
        return cls(
            words=words, of_option=of_option, offsets=records.offsets, size=size, prompt=prompt
        )

    def pair(self, row: Array) -> tuple[Array, Array]:
        """The two texts of each of these observations."""
        return self.of_option[self.offsets[row]], self.of_option[self.offsets[row] + 1]


@dataclass(frozen=True, kw_only=True)
class Bias:
    """name: length or position. seen, said: the share of decided pairs in which the longer (the
    first shown) text won, and was foretold to; low, high: of the share seen."""

    name: str
    seen: float
    low: float
    high: float
    said: float
    pairs: int


def biases(trial: RewardTrial, texts: ShownTexts, model: RewardModel) -> tuple[Bias, ...]:
    first, second = texts.pair(trial.row)
    longer = np.sign(texts.size[first] - texts.size[second])
    made = [_bias("the longer text", trial, longer)]
    encoder = model.belief_.encoder
    if "shown_first" in getattr(encoder, "feature_names", ()):
        made.append(_bias("the text shown first", trial, np.ones(len(trial))))
    return tuple(bias for bias in made if bias is not None)


def _bias(name: str, trial: RewardTrial, side: Float[Array, " R"]) -> Bias | None:
    """side: 1 where the first is the favoured one, -1 where the second is, 0 neither."""
    mine = trial.decided & (side != 0)
    if not mine.any():
        return None
    won = np.where(side > 0, trial.outcome == 0, trial.outcome == 1)[mine]
    said = np.where(side > 0, trial.first_wins, 1 - trial.first_wins)[mine]
    seen = clustered_share(won.astype(np.float64), trial.person[mine])
    return Bias(name=name, seen=seen.estimate, low=seen.low, high=seen.high,
                said=float(said.mean()), pairs=int(mine.sum()))  # fmt: skip


def by_length(trial: RewardTrial, texts: ShownTexts) -> tuple[Estimate, ...]:
    """Accuracy by how many words there were to read: the prompt and both texts."""
    first, second = texts.pair(trial.row)
    total = texts.prompt[trial.row] + texts.size[first] + texts.size[second]
    cuts = np.unique(np.quantile(total, np.linspace(0, 1, _LENGTH_BINS + 1)))
    if len(cuts) < 3:
        return ()
    made = []
    for low, high in pairwise(cuts):
        mine = (total >= low) & ((total < high) | (high == cuts[-1]))
        found = trial.accuracy(mine)
        if np.isfinite(found.estimate):
            made.append(
                Estimate(label=f"{low:.0f} to {high:.0f} words", value=100 * found.estimate,
                         low=100 * found.low, high=100 * found.high)
            )  # fmt: skip
    return tuple(made)
