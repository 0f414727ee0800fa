"""Descriptions: the TOML schema both ways, flags over it, and the first guess of one."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.data.description import Description, Drop, Replace, load, parse, with_overrides
from penchant.data.guess import describe, guess
from penchant.data.readers.read import read
from penchant.errors import ConfigError, DataError

word = st.text(max_size=8)
words = st.lists(word, max_size=3).map(tuple)
level = st.one_of(st.integers(-9, 9), word, st.booleans())


@given(st.builds(
    Description, layout=st.sampled_from(["wide", "long", "pairs"]), person=st.none() | word,
    situation=words, features=words, person_features=words, kind=st.none() | word,
    levels=st.lists(level, max_size=3).map(tuple), codes=st.dictionaries(word, word, max_size=2),
    feature_columns=st.dictionaries(
        word, st.dictionaries(word, word, min_size=1, max_size=2), max_size=2
    ),
    labels=st.dictionaries(word, st.dictionaries(word, word, min_size=1, max_size=2), max_size=2),
    drop=st.lists(
        st.builds(Drop, column=word, values=st.lists(level, max_size=2).map(tuple), reason=word),
        max_size=2,
    ).map(tuple),
    replace=st.lists(
        st.builds(Replace, columns=words, where=word, equals=words, value=level), max_size=1
    ).map(tuple),
))  # fmt: skip
def test_a_description_written_and_read_is_the_same(description):
    assert parse(description.to_toml()) == description


def test_the_documented_schema_is_what_is_parsed():
    import penchant.data.description as schema

    lines = (schema.__doc__ or "").split("\n")
    start = next(i for i, line in enumerate(lines) if "layout =" in line)
    example = "\n".join(line[4:] for line in lines[start:] if line.startswith("    ") or not line)
    told = parse(example)
    assert told.person == "id"
    assert told.codes == {"1": "train", "2": "car"}
    assert told.feature_columns["time"] == {"train": "train_time", "car": "car_time"}
    assert told.replace[0].equals == (1,)
    assert told.action == "taken"
    assert told.offered == "avail"


@pytest.mark.parametrize(("text", "message"), [
    ('person = "x"', "key 'person' that means nothing.* Did you mean 'rows.person'"),
    ('layout = "wide"\n[rows]\npersn = "x"', "key 'rows.persn'.*Did you mean 'rows.person'"),
    ('layout = "wid"', "no layout 'wid'.*Did you mean 'wide'"),
    ("[rows]", "has no `layout`; expected one of"),
    ('layout = "wide"\n[[drop]]\ncolum = "x"', r"\[\[drop\]\] with keys \['colum'\]"),
    ('layout = "wide"\n[[drop]]\ncolumn = "x"', r"incomplete rule \[\[drop\]\]"),
])  # fmt: skip
def test_a_key_that_means_nothing_is_refused_with_the_closest(text, message):
    with pytest.raises(ConfigError, match=f"(?s){message}"):
        parse(text)


@pytest.mark.parametrize(("text", "expected"), [
    ('[features]\ntime = "time"', r"car = \"car_time\""), ("[features.time]\ncar = 3", "features"),
    ('features = "time"', "a list under \\[options\\]"), ('codes = "car"', "1 = \"car\""),
    ('[labels]\npurpose = "work"', "labels.purpose"), ("[available]\ncar = 1", "has_car"),
    ("[rows]\nperson = 3", "rows.person = 3; expected a word"),
    ("[options]\nfeatures = 3", "options.features = 3; expected a list of words"),
    ("[answer]\nlevels = 3", "answer.levels = 3; expected a list of words or numbers"),
    ('[answer]\nkind = ["rating"]', "answer.kind"), ("drop = 3", r"\[\[drop\]\]"),
])  # fmt: skip
def test_a_place_that_holds_what_it_cannot_is_refused_with_what_to_write(text, expected):
    with pytest.raises(ConfigError, match=expected):
        parse(f'layout = "wide"\n{text}\n')


def test_what_is_no_toml_or_not_there_is_refused(tmp_path):
    with pytest.raises(DataError, match="is not valid TOML"):
        parse("layout = wide")
    with pytest.raises(DataError, match="penchant describe FILE"):
        load(tmp_path / "no.toml")


def test_flags_override_a_description():
    told = Description(layout="wide", person="p", features=("a",))
    changed = with_overrides(
        told, {"rows.person": "q", "features": "x, y", "answer": None, "answer.kind": "choice"}
    )
    assert (changed.person, changed.features, changed.kind) == ("q", ("x", "y"), "choice")
    assert told.person == "p"
    with pytest.raises(ConfigError, match=r"what was typed has a key 'rows\.persom'"):
        with_overrides(told, {"rows.persom": "q"})


def wide_frame(rows=60):
    generator = np.random.default_rng(0)
    available = generator.random(rows) < 0.7
    choice = generator.integers(1, 4, rows)
    choice = np.where((choice == 3) & ~available, 1, choice)
    choice[0] = 0
    return pd.DataFrame({
        "respondent_id": [f"p{i // 6}" for i in range(rows)],
        "task": np.arange(rows) % 6, "income": np.repeat(np.arange(rows // 6), 6) % 4,
        "purpose": generator.choice(["work", "fun"], rows),
        "car_tt": generator.random(rows), "bus_tt": generator.random(rows),
        "foot_tt": generator.random(rows), "car_co": generator.random(rows),
        "bus_co": generator.random(rows), "bus_av": available.astype(int), "car_av": 1,
        "choice": choice,
    })  # fmt: skip


def test_the_guess_of_a_wide_file_reads_it():
    frame = pd.concat([wide_frame()] * 3, ignore_index=True)
    found = guess(frame).description
    assert found.layout == "wide"
    assert found.person == "respondent_id"
    assert found.situation == ("task",)
    assert found.person_features == ("income",)
    assert found.context == ("purpose",)
    assert set(found.alternatives) == {"car", "bus", "foot"}
    assert found.available == {"bus": "bus_av", "car": "car_av"}
    # Only with bus as number 3 does nobody choose a bus that was not on offer.
    assert found.codes["3"] == "bus"
    assert found.feature_columns["co"] == {"car": "car_co", "bus": "bus_co"}
    assert found.drop == (Drop(column="choice", values=(0,),
                               reason="no alternative has this code: CHECK"),)  # fmt: skip
    assert len(read(frame, found).records) == 177


def test_the_guess_of_a_long_file_reads_it():
    frame = pd.DataFrame({
        "id": np.repeat(["a", "b", "c"], 4), "obs": np.tile([1, 1, 2, 2], 3),
        "alt": np.tile(["x", "y"], 6), "price": np.arange(12.0), "age": np.repeat([1, 2, 3], 4),
        "chosen": np.tile([1, 0, 0, 1], 3), "row": np.arange(12) * 2,
    })  # fmt: skip
    found = guess(frame).description
    assert (found.layout, found.person, found.situation) == ("long", "id", ("obs",))
    assert (found.option, found.answer) == ("alt", "chosen")
    assert "price" in found.features
    assert found.person_features == ("age",)
    assert len(read(frame).records) == 6


@pytest.mark.parametrize(("columns", "layout"), [
    ({"model_a": ["x"], "model_b": ["y"], "winner": ["tie"]}, "arena"),
    ({"prompt": ["x"], "chosen": ["y"], "rejected": ["z"]}, "trl"),
    ({"prompt": ["x"], "completion": ["y"], "label": [True]}, "trl"),
    ({"user_id": ["x"], "item_id": ["y"], "rating": [4]}, "ratings"),
    ({"item_1": ["x", "y"], "item_2": ["y", "x"], "answer": ["first", "tie"]}, "pairs"),
    ({"option_a": ["x"], "option_b": ["y"], "option_c": ["z"], "best": ["A"], "worst": ["C"]},
     "best_worst"),
    ({"action": ["x"], "propensity": [0.5], "reward": [1.0]}, "decisions"),
    ({"respondent": ["a", "a"], "item": ["x", "y"], "rank": [1, 2]}, "long"),
])  # fmt: skip
def test_the_guess_knows_the_layouts_people_have(columns, layout):
    table = pa.table(columns)
    found = guess(table)
    assert found.description.layout == layout
    assert parse(found.to_toml()) == found.description
    assert len(read(table).records) >= 1


def test_a_first_guess_says_what_it_saw_and_what_it_left(tmp_path):
    path = tmp_path / "trips.csv"
    wide_frame().assign(remark=[f"word {i}" * 3 for i in range(60)]).to_csv(
        path, index=False, sep=";", encoding="cp1252"
    )
    path.write_bytes(path.read_bytes().replace(b"word 1word", b"w\xf6rd 1word"))
    text = describe(path)
    assert parse(text).delimiter == ";"
    assert parse(text).encoding == "cp1252"
    assert 'person = "respondent_id"  # words, 10 different: p0, p1, p2' in text
    assert "# A first guess: read it and correct it." in text
    assert "is not UTF-8; cp1252" in text
    with pytest.raises(DataError, match="there is no file"):
        describe(tmp_path / "none.csv")


def test_flags_replace_every_place_that_a_file_has():
    said = Description(
        layout="wide", person="id", context=("purpose",), answer="choice",
        alternatives=("train", "car"), codes={"1": "train", "2": "car"},
        available={"car": "car_av"}, feature_columns={"time": {"train": "t", "car": "c"}},
        labels={"purpose": {"1": "commuter"}},
    )  # fmt: skip
    flags = {
        "layout": "long", "rows.person": "respondent", "rows.situation": "task, wave",
        "answer.column": "picked", "codes.3": "bus", "available.bus": "bus_av",
        "features.time.bus": "bus_time", "labels.purpose.9": "other",
    }  # fmt: skip
    changed = with_overrides(said, flags)
    assert (changed.layout, changed.person, changed.answer) == ("long", "respondent", "picked")
    assert changed.situation == ("task", "wave")
    assert changed.codes == {**said.codes, "3": "bus"}
    assert changed.available == {**said.available, "bus": "bus_av"}
    assert changed.feature_columns["time"] == {**said.feature_columns["time"], "bus": "bus_time"}
    assert changed.labels["purpose"]["9"] == "other"
    assert with_overrides(said, {"rows.person": None}) == said
    graded = Description(layout="ratings", kind="rating", option="film", answer="stars")
    assert with_overrides(graded, {"answer.low_is_good": "true"}).low_is_good is True


def test_a_column_with_a_new_role_leaves_its_old_one():
    said = Description(
        layout="long", person="id", situation=("task",), answer="chosen",
        features=("cost", "picked", "task"), context=("age",), weight="w",
    )  # fmt: skip
    changed = with_overrides(said, {"answer.column": "picked", "rows.person_features": "age"})
    assert (changed.answer, changed.features) == ("picked", ("cost", "task"))
    assert (changed.person_features, changed.context) == (("age",), ())
    # What tells menus apart may be known of them as well.
    assert with_overrides(said, {"rows.context": "task"}).situation == ("task",)
    assert with_overrides(said, {"rows.person": "w"}).weight is None


@pytest.mark.parametrize("key", ["features.time", "codes", "feature_columns", "rows.persn"])
def test_a_flag_that_names_no_place_is_refused(key):
    with pytest.raises(ConfigError, match="what was typed"):
        with_overrides(Description(layout="wide"), {key: "x"})
