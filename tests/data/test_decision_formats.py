"""Vowpal Wabbit's text and decision-service JSON: read, written, and refused with the line."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.data.description import Description
from penchant.data.guess import guess
from penchant.data.readers.read import read
from penchant.data.readers.write import write
from penchant.data.records import Records
from penchant.errors import DataError

VW, DSJSON = Description(layout="vw"), Description(layout="dsjson")

PLAIN = """1:2:0.4 | a c
3:0.5:0.2 | b d:2.5
4:1.2:0.5 |Where a b
2:1:0.3 |Where:2 b:1.5
| a d
"""

ADF = """shared |User old:1 region_north
|Article sport
0:-1:0.75 |Article politics length:3
|Article music

shared |User region_south
0:0:0.5 |Article sport
|Article music length:2

|Article sport
|Article politics
"""

DECISION = {
    "_label_cost": -1.0,
    "_label_probability": 0.8,
    "_label_Action": 2,
    "_labelIndex": 1,
    "Timestamp": "2018-04-24T00:00:00.2190000Z",
    "EventId": "e1",
    "a": [2, 1, 3],
    "c": {
        "FromUrl": [{"age": 31, "premium": True}],
        "os": "linux",
        "_multi": [
            {"_tag": "sport", "i": {"length": 3, "topic": "sport"}, "j": [0.5, 1]},
            {"_tag": "music", "i": {"topic": "music"}},
            {"i": {"length": 1}},
        ],
    },
    "p": [0.8, 0.15, 0.05],
    "Version": "1",
    "VWState": {"m": "abc/2"},
    "pdrop": 0.5,
}


def put(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def floats(records, name, side="options"):
    return np.array(getattr(records, side)[name].to_pylist(), dtype=float)


def test_labels_are_actions_costs_and_probabilities(tmp_path):
    records = read(put(tmp_path / "log.vw", PLAIN)).records
    assert len(records) == 5
    assert records.menu_sizes.tolist() == [4] * 5
    assert records.options["option"].to_pylist()[:4] == ["1", "2", "3", "4"]
    value = floats(records, "value").reshape(5, 4)
    expected = np.full((5, 4), np.nan)
    expected[0, 0], expected[1, 2], expected[2, 3], expected[3, 1] = -2, -0.5, -1.2, -1
    np.testing.assert_array_equal(value, expected)
    propensity = floats(records, "propensity").reshape(5, 4)
    np.testing.assert_array_equal(np.isnan(propensity), np.isnan(value))
    assert propensity[3, 1] == 0.3
    assert floats(records, "d", "rows").tolist() == [0, 2.5, 0, 0, 1]
    assert floats(records, "Where.b", "rows").tolist() == [0, 0, 1, 3, 0]


def test_actions_with_features_are_told_by_them(tmp_path):
    records = read(put(tmp_path / "log.vw", ADF)).records
    assert records.menu_sizes.tolist() == [3, 2, 2]
    assert set(records.kinds) == {"binary"}
    success = floats(records, "success")
    assert success[1] == 1
    assert success[3] == 0
    assert np.isnan(np.delete(success, [1, 3])).all()
    assert floats(records, "propensity")[[1, 3]].tolist() == [0.75, 0.5]
    assert floats(records, "Article.length").tolist() == [0, 3, 0, 0, 2, 0, 0]
    assert floats(records, "User.old", "rows").tolist() == [1, 0, 0]
    assert records.roles["Article.length"] == "feature"
    assert records.roles["User.old"] == "context"
    names = records.options["option"].to_pylist()
    assert names[0] == names[3] == "|Article sport"


def test_a_decision_of_a_hosted_personaliser_keeps_everything(tmp_path):
    records = read(put(tmp_path / "log.dsjson", json.dumps(DECISION) + "\n")).records
    options, rows = records.options, records.rows
    assert options["option"].to_pylist()[:2] == ["sport", "music"]
    assert floats(records, "success")[1] == 1
    assert floats(records, "propensity").tolist() == [0.15, 0.8, 0.05]
    assert floats(records, "position").tolist() == [1, 0, 2]
    assert floats(records, "i.length").tolist() == [3, 0, 1]
    assert floats(records, "j[0]").tolist() == [0.5, 0, 0]
    assert options["i.topic"].to_pylist() == ["sport", "music", None]
    assert floats(records, "FromUrl.age", "rows").tolist() == [31]
    assert rows["os"].to_pylist() == ["linux"]
    assert rows["situation"].to_pylist() == ["e1"]
    assert rows["time"].to_pylist() == ["2018-04-24T00:00:00.2190000Z"]
    assert rows["weight"].to_pylist() == [2.0]
    assert rows["VWState"].to_pylist() == ['{"m": "abc/2"}']
    back = write(records, tmp_path / "back.dsjson", DSJSON)
    assert json.loads(back.read_text()) == DECISION


@pytest.mark.parametrize("text", [PLAIN, ADF])
def test_text_that_was_read_is_written_as_it_stood(text, tmp_path):
    records = read(put(tmp_path / "log.vw", text)).records
    back = write(records, tmp_path / "back.vw", VW)
    assert back.read_text().strip() == text.strip()


words = st.text("abxyz_", min_size=1, max_size=3)
numbers = st.floats(-99, 99).map(lambda x: round(x, 3) + 0.0)
probabilities = st.floats(0.001, 1.0).map(lambda x: round(x, 3))
vw_features = st.lists(
    st.tuples(words, st.none() | numbers).map(lambda p: p[0] if p[1] is None else f"{p[0]}:{p[1]}"),
    max_size=3,
).flatmap(
    lambda inner: st.sampled_from(["", "n", "m:2"]).map(
        lambda n: f"|{n} {' '.join(inner)}".rstrip()
    )
)


@st.composite
def adf_logs(draw):
    events = []
    for _ in range(draw(st.integers(1, 4))):
        size = draw(st.integers(1, 4))
        taken = draw(st.integers(-1, size - 1))
        lines = [f"shared {draw(vw_features)}"] if draw(st.booleans()) else []
        for k in range(size):
            label = f"0:{draw(numbers)}:{draw(probabilities)} " if k == taken else ""
            tag = "'t1 " if draw(st.booleans()) else ""
            lines.append(f"{label}{tag}{draw(vw_features)}")
        events.append("\n".join(lines))
    return "\n\n".join(events) + "\n\n"


json_values = st.recursive(
    numbers | st.booleans() | words | st.integers(-5, 5),
    lambda inner: st.dictionaries(words, inner, max_size=3) | st.lists(numbers, max_size=2),
    max_leaves=6,
)
json_objects = st.dictionaries(words, json_values, max_size=3)


@st.composite
def decisions(draw):
    size = draw(st.integers(1, 4))
    said = {"EventId": draw(words), "Timestamp": "2020-01-01T00:00:00Z"}
    order = draw(st.permutations(range(1, size + 1)))
    weights = [draw(probabilities) for _ in range(size)]
    said["a"] = list(order)
    said["c"] = {**draw(json_objects), "_multi": [draw(json_objects) for _ in range(size)]}
    said["p"] = [w / sum(weights) for w in weights]
    if draw(st.booleans()):
        taken = draw(st.integers(0, size - 1))
        probability = said["p"][order.index(taken + 1)]
        said |= {"_label_cost": draw(numbers), "_label_probability": probability,
                 "_label_Action": taken + 1, "_labelIndex": taken}  # fmt: skip
    return said


@settings(max_examples=60)
@given(adf_logs())
def test_a_log_in_text_survives_writing_and_reading(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("vw")
    # A log of one event without `shared` and blank lines is the other form.
    text = text + "\n| a\n0:1:0.5 | b\n\n"
    first = read(put(folder / "log.vw", text)).records
    second = read(write(first, folder / "back.vw", VW)).records
    assert second.fingerprint == first.fingerprint
    assert second.roles == first.roles


@settings(max_examples=60)
@given(st.lists(decisions(), min_size=1, max_size=4))
def test_a_log_in_json_survives_writing_and_reading(tmp_path_factory, log):
    folder = tmp_path_factory.mktemp("json")
    text = "".join(json.dumps(said) + "\n" for said in log)
    first = read(put(folder / "log.dsjson", text)).records
    back = write(first, folder / "back.dsjson", DSJSON)
    assert [json.loads(line) for line in back.read_text().splitlines()] == log
    assert read(back).records.fingerprint == first.fingerprint


def made_decisions(rng, num=20):
    value = np.full((num, 3), np.nan)
    taken = rng.integers(0, 3, num)
    value[np.arange(num), taken] = rng.normal(size=num).round(3)
    return Records.from_arrays(
        options={
            "option": np.tile(["red box", "green", "blue"], (num, 1)),
            "price": rng.uniform(1, 9, (num, 3)).round(2),
            "propensity": np.full((num, 3), 1 / 3),
            "value": value,
        },
        rows={"region": rng.choice(["north", "south"], num)},
        kind="outcome",
    )


@pytest.mark.parametrize(("ending", "said"), [("vw", VW), ("dsjson", DSJSON)])
def test_decisions_from_elsewhere_can_be_exported(tmp_path, ending, said):
    records = made_decisions(np.random.default_rng(0))
    back = read(write(records, tmp_path / f"log.{ending}", said)).records
    np.testing.assert_allclose(floats(back, "value"), floats(records, "value"))
    np.testing.assert_allclose(floats(back, "price"), floats(records, "price"))
    known = ~np.isnan(floats(records, "value"))
    np.testing.assert_allclose(floats(back, "propensity")[known], 1 / 3)


def test_choices_are_no_decisions(tmp_path):
    records = Records.from_arrays(options={"x": np.ones((2, 2))}, rows={"chosen": np.array([0, 1])})
    with pytest.raises(DataError, match="propensities"):
        write(records, tmp_path / "log.vw", VW)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("1:2 | a", "three numbers"),
        ("1:2:0 | a", "above 0"),
        ("1:2:1.5 | a", "at most 1"),
        ("1:nan:0.5 | a", "three numbers"),
        ("0:2:0.5 | a", "counted from 1"),
        ("1:2:0.5 2:1:0.5 | a", "one action with a cost"),
        ("1:2:0.5 a", "a bar"),
        ("1:2:0.5 | a:b", "`name:number`"),
    ],
)
def test_a_bad_line_of_text_is_named_or_set_aside(tmp_path, line, expected):
    path = put(tmp_path / "log.vw", f"1:2:0.4 | a\n{line}\n2:1:0.5 | b\n")
    with pytest.raises(DataError) as caught:
        read(path)
    assert "log.vw, row 2" in str(caught.value)
    assert expected in str(caught.value)
    result = read(path, on_bad_rows="quarantine", quarantine=tmp_path / "bad.csv")
    assert len(result.records) == 2
    assert result.quarantined["row_number"].to_pylist() == [2]
    assert result.quarantined["line"].to_pylist() == [line]
    assert "row_number" in (tmp_path / "bad.csv").read_text()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"c": {"_multi": []}}, "`_multi` of actions"),
        ({"c": None}, "`_multi` of actions"),
        ({"_label_cost": "much"}, "a number"),
        ({"_label_probability": 0.0}, "above 0"),
        ({"_label_probability": 0.3}, "what `p` says"),
        ({"_labelIndex": 3}, "one of the 3 actions"),
        ({"a": [1, 1, 3]}, "each once"),
        ({"p": [0.5, 0.5]}, "3 probabilities"),
        ({"p": [0.5, 0.5, 2]}, "3 probabilities"),
    ],
)
def test_a_bad_decision_is_named_or_set_aside(tmp_path, change, expected):
    bad = json.dumps(DECISION | change)
    path = put(tmp_path / "log.dsjson", f"{json.dumps(DECISION)}\n{bad}\n\n{{not json\n")
    with pytest.raises(DataError) as caught:
        read(path)
    assert "log.dsjson, row" in str(caught.value)
    result = read(path, on_bad_rows="quarantine")
    assert len(result.records) == 1
    assert result.quarantined["row_number"].to_pylist() == [2, 4]
    assert result.quarantined["line"].to_pylist() == [bad, "{not json"]
    assert expected in result.quarantined["reason"].to_pylist()[0]


def test_a_second_label_in_an_event_points_at_a_missing_blank_line(tmp_path):
    path = put(tmp_path / "log.vw", "shared | a\n0:1:0.5 | b\n0:1:0.5 | c\n\n| a\n0:0:1 | b\n")
    with pytest.raises(DataError, match="blank line between events"):
        read(path)
    assert len(read(path, on_bad_rows="quarantine").records) == 1


def test_logs_are_known_by_their_ending_or_their_first_line(tmp_path):
    assert guess(put(tmp_path / "a.vw", PLAIN)).description.layout == "vw"
    for name in ("a.dsjson", "a.json", "a.jsonl"):
        path = put(tmp_path / name, json.dumps(DECISION) + "\n")
        assert guess(path).description.layout == "dsjson"
    other = put(tmp_path / "b.jsonl", '{"c": 1, "x": 2}\n')
    assert guess(other).description.layout != "dsjson"


def test_thousands_of_sparse_features_stay_text(tmp_path):
    lines = "".join(f"1:0:1 | f{i}\n" for i in range(600))
    result = read(put(tmp_path / "log.vw", lines))
    assert result.records.columns("context") == ()
    assert any("600 features" in note for note in result.report.notes)
    assert result.records.rows["shared"].to_pylist()[599] == "| f599"
    assert math.isnan(
        floats(read(put(tmp_path / "b.vw", "| a\n2:0:1 | b\n")).records, "success")[0]
    )
