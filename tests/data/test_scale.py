"""What the levels of a scale are called goes with the records, into the names of thresholds."""

from dataclasses import replace

import numpy as np
import pytest

from penchant.beliefs.belief import Belief
from penchant.data.description import Description
from penchant.data.readers.native import save
from penchant.data.readers.read import read
from penchant.data.records import concat
from penchant.errors import ConfigError
from penchant.feedback.channel_option import Rating
from penchant.models.conditional_logit import ConditionalLogit
from penchant.models.ordinal_ratings import OrdinalRatings

WORDS = ("poor", "fair", "good")
NAMES = ("threshold poor|fair", "log threshold step fair|good")
SAID = Description(
    layout="ratings", person="who", option="what", kind="rating", answer="said", levels=WORDS
)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    rng = np.random.default_rng(0)
    lines = ["who,what,said"]
    for i in range(120):
        item = rng.integers(3)
        word = WORDS[int(np.digitize(0.8 * item + rng.logistic(), [0.0, 1.5]))]
        lines.append(f"p{i % 20},item{item},{word}")
    path = tmp_path_factory.mktemp("scale") / "said.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def records(file):
    return read(file, SAID).records


def test_thresholds_are_called_by_the_words_of_the_scale(records, tmp_path):
    for model in (ConditionalLogit("option"), OrdinalRatings(levels=3)):
        model.fit(records)
        assert model.belief_.parameter_names[-2:] == NAMES
    model.save(tmp_path / "belief")
    assert Belief.load(tmp_path / "belief").parameter_names[-2:] == NAMES


def test_the_scale_stays_with_records_that_are_kept_cut_or_put_together(records, tmp_path):
    save(records, tmp_path / "kept.parquet")
    for kept in (
        read(tmp_path / "kept.parquet").records,
        records.take(np.arange(10)),
        concat([records.take(np.arange(10)), records.take(np.arange(10, 20))]),
    ):
        assert kept.scale == WORDS


def test_other_words_for_levels_are_not_taken_for_the_same(records):
    other = replace(records, scale=("bad", "fine", "great"))
    assert concat([records, other]).scale == ()


def test_levels_without_words_are_numbered(records):
    unknown = replace(records, scale=())
    names = ConditionalLogit("option").fit(unknown).belief_.parameter_names
    assert names[-2:] == ("threshold 0|1", "log threshold step 1|2")


def test_a_scale_guessed_from_numbers_names_the_numbers(tmp_path):
    rng = np.random.default_rng(1)
    lines = ["user,item,rating"]
    lines += [f"u{i % 30},i{i % 7},{rng.integers(1, 6)}" for i in range(300)]
    path = tmp_path / "stars.csv"
    path.write_text("\n".join(lines) + "\n")
    names = ConditionalLogit("option").fit(read(path).records).belief_.parameter_names
    assert names[-4:] == (
        "threshold 1|2", "log threshold step 2|3", "log threshold step 3|4",
        "log threshold step 4|5",
    )  # fmt: skip


def test_as_many_labels_as_levels_are_expected():
    with pytest.raises(ConfigError, match="for 4 levels"):
        Rating(levels=4, labels=WORDS)
