"""Records as lines: pairs with both rewards and a margin, every other menu text by text."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest

from penchant.data.records import Records
from penchant.encoders.embedding import EmbeddingColumn
from penchant.errors import DataError
from penchant.models.reward_scorer import Margins, RewardScorer, Scores
from penchant.serving import described
from penchant.serving.described import score_records
from penchant.serving.lines import Names


@dataclass(frozen=True)
class Encoder:
    embedding: EmbeddingColumn


class Length(RewardScorer):
    """A scorer whose reward is the length of the text."""

    encoder = Encoder(EmbeddingColumn(text="words", column="none"))

    def __init__(self):
        pass

    def score(self, asked):
        reward = np.array([float(len(text)) for text in asked.texts])
        no = np.zeros(len(reward), dtype=bool)
        return Scores(reward=reward, low=reward, high=reward, ignorance=reward, is_unfamiliar=no,
                      knows_person=np.array([who == "ann" for who in asked.people]))  # fmt: skip

    def compare(self, first, second):
        margin = self.score(first).reward - self.score(second).reward
        no = np.zeros(len(margin), dtype=bool)
        return Margins(margin=margin, low=margin, high=margin, soft_label=margin, ignorance=margin,
                       own_variance=0.0 * margin,
                       is_unfamiliar=no, knows_person=no)  # fmt: skip


def judged():
    return Records.from_arrays(
        options={"words": ["a", "bbb", "cc", "dddd", "e", "ff", "g"]},
        menu_sizes=np.array([2, 3, 2]),
        rows={
            "chosen": pa.array([1, 0, None]),
            "person": ["ann", "bob", "ann"],
            "asked": ["p", "q", "r"],
        },
    )


@pytest.mark.parametrize("at_once", [1, 2, 256])
def test_pairs_are_lines_and_other_menus_lines_of_texts_however_many_are_read_at_once(
    at_once, monkeypatch
):
    monkeypatch.setattr(described, "_AT_ONCE", at_once)
    said = list(score_records(Length(), judged(), Names(prompt="asked")))
    assert [line["observation"] for line in said] == [1, 2, 2, 2, 3]
    pair, *three, last = said
    assert (pair["first"], pair["second"], pair["answer"]) == ("a", "bbb", "second")
    assert (pair["reward_first"], pair["reward_second"], pair["margin"]) == (1.0, 3.0, -2.0)
    assert (pair["person"], pair["asked"]) == ("ann", "p")
    assert [(line["place"], line["text"], line["reward"]) for line in three] == [
        (1, "cc", 2.0), (2, "dddd", 4.0), (3, "e", 1.0)
    ]  # fmt: skip
    assert last["answer"] is None
    assert last["margin"] == 1.0


def test_records_without_the_texts_are_refused_with_what_they_have():
    with pytest.raises(DataError, match=r"no column 'answer' of texts; they have .*words"):
        list(score_records(Length(), judged(), Names(text="answer")))
