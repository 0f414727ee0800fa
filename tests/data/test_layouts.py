"""Small hand-worked files of every layout, and slow plain twins of the fast readers."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.data.description import Description
from penchant.data.readers.read import read
from penchant.errors import ConfigError, DataError


def rows_of(records, name):
    return records.rows[name].to_pylist()


def options_of(records, name):
    return records.options[name].to_pylist()


def said(**fields):
    return Description(**fields)


# Wide


@st.composite
def wide_tables(draw):
    count = draw(st.integers(1, 8))
    names = ("train", "bus", "car")
    columns = {"who": draw(st.lists(st.sampled_from("ab"), min_size=count, max_size=count))}
    offered = [
        draw(st.lists(st.booleans(), min_size=3, max_size=3).filter(any)) for _ in range(count)
    ]
    for k, name in enumerate(names):
        columns[f"{name}_av"] = [int(line[k]) for line in offered]
        columns[f"{name}_time"] = [
            draw(st.integers(0, 99)) + 0.5 if line[k] else None for line in offered
        ]
    columns["choice"] = [
        draw(st.sampled_from([n for n, on in zip(names, line, strict=True) if on]))
        for line in offered
    ]
    columns["note"] = [f"note {i}" for i in range(count)]
    return columns


WIDE = Description(
    layout="wide", person="who", alternatives=("train", "bus", "car"), answer="choice",
    available={n: f"{n}_av" for n in ("train", "bus", "car")},
    feature_columns={"time": {n: f"{n}_time" for n in ("train", "bus", "car")}},
)  # fmt: skip


@given(wide_tables())
@settings(max_examples=60)
def test_a_wide_table_reads_as_its_slow_twin(columns):
    records = read(pa.table(columns), WIDE).records
    names, option, time, chosen, sizes = WIDE.alternatives, [], [], [], []
    for i, choice in enumerate(columns["choice"]):
        menu = [n for n in names if columns[f"{n}_av"][i]]
        option += menu
        time += [columns[f"{n}_time"][i] for n in menu]
        chosen.append(menu.index(choice))
        sizes.append(len(menu))
    assert options_of(records, "option") == option
    assert options_of(records, "time") == time
    assert rows_of(records, "chosen") == chosen
    assert records.menu_sizes.tolist() == sizes
    assert rows_of(records, "person") == columns["who"]
    assert rows_of(records, "note") == columns["note"]
    assert records.roles["note"] == "extra"


def test_an_alternative_without_a_column_has_nought():
    told = said(layout="wide", alternatives=("train", "car"), answer="choice",
                feature_columns={"headway": {"train": "he"}, "fuel": {"car": "fuel"}})  # fmt: skip
    table = pa.table({"he": [30, 60], "fuel": ["gas", "wood"], "choice": ["car", "train"]})
    records = read(table, told).records
    assert options_of(records, "headway") == [30, 0, 60, 0]
    assert options_of(records, "fuel") == [None, "gas", None, "wood"]


def test_values_of_what_was_not_on_offer_are_kept_as_extras():
    told = said(
        layout="wide",
        alternatives=("train", "car"),
        answer="choice",
        available={"car": "car_av"},
        feature_columns={"cost": {"train": "t", "car": "c"}},
    )
    table = pa.table({"t": [1.0, 2], "c": [7.0, 8], "car_av": [1, 0], "choice": ["car", "train"]})
    records = read(table, told).records
    assert options_of(records, "cost") == [1, 7, 2]
    assert rows_of(records, "c") == [7, 8]
    assert "t" not in records.rows.column_names


def test_a_missing_answer_is_an_observation_nobody_answered():
    table = pa.table({"x1": [1.0, 2], "x2": [1.0, 2], "choice": ["a", None]})
    told = said(layout="wide", alternatives=("a", "b"), answer="choice",
                feature_columns={"x": {"a": "x1", "b": "x2"}})  # fmt: skip
    assert rows_of(read(table, told).records, "chosen") == [0, None]
    blind = said(**{**told.__dict__, "answer": None})
    result = read(table.drop_columns(["choice"]), blind)
    assert rows_of(result.records, "chosen") == [None, None]
    assert "nobody has answered yet" in result.report.notes[0]


def test_a_wide_table_of_ratings_and_ranks():
    table = pa.table({"r1": [1, 2], "r2": [2, 0], "v1": [0.5, None], "v2": [1.5, 2.5]})
    told = said(layout="wide", kind="ranking", alternatives=("a", "b"),
                feature_columns={"rank": {"a": "r1", "b": "r2"}})  # fmt: skip
    assert options_of(read(table, told).records, "rank") == [1, 2, 2, 0]
    worths = said(layout="wide", kind="outcome", alternatives=("a", "b"),
                  feature_columns={"value": {"a": "v1", "b": "v2"}})  # fmt: skip
    assert options_of(read(table, worths).records, "value") == [0.5, 1.5, None, 2.5]
    with pytest.raises(ConfigError, match=r"\[features.rank\]"):
        read(table, said(**{**told.__dict__, "feature_columns": {}}))


def test_a_name_with_a_fixed_meaning_gets_a_mark_and_a_note():
    table = pa.table({"t1": [1.0], "t2": [2.0], "choice": ["a"], "time": ["noon"], "kind": ["k"]})
    told = said(layout="wide", alternatives=("a", "b"), answer="choice", context=("time",),
                feature_columns={"value": {"a": "t1", "b": "t2"}})  # fmt: skip
    result = read(table, told)
    assert rows_of(result.records, "time_") == ["noon"]
    assert rows_of(result.records, "kind_") == ["k"]
    assert "column 'time' is called 'time_': the name has another meaning" in result.report.notes


# Long


@st.composite
def long_tables(draw):
    menus = draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
    lines = []
    for task, size in enumerate(menus):
        winner = draw(st.integers(0, size - 1))
        for k in range(size):
            lines.append({
                "who": "ab"[task % 2], "task": task // 2, "mode": f"m{k}",
                "chosen": int(k == winner), "time": draw(st.integers(0, 9)) + 0.25,
                "place": f"p{task}", "remark": f"{task}-{k}",
            })  # fmt: skip
    return draw(st.permutations(lines))


LONG = Description(
    layout="long", person="who", situation=("task",), option="mode", answer="chosen",
    features=("time",), context=("place",),
)  # fmt: skip


@given(long_tables())
@settings(max_examples=60)
def test_a_long_table_reads_as_its_slow_twin_in_any_order_of_lines(lines):
    records = read(pa.Table.from_pylist(list(lines)), LONG).records
    menus = {}
    for line in lines:
        menus.setdefault((line["who"], line["task"]), []).append(line)
    flat = [line for menu in menus.values() for line in menu]
    assert options_of(records, "option") == [line["mode"] for line in flat]
    assert options_of(records, "time") == [line["time"] for line in flat]
    assert rows_of(records, "place") == [menu[0]["place"] for menu in menus.values()]
    assert rows_of(records, "chosen") == [
        [line["chosen"] for line in menu].index(1) for menu in menus.values()
    ]
    assert rows_of(records, "person") == [who for who, _ in menus]
    if max(map(len, menus.values())) > 1:
        assert options_of(records, "remark") == [line["remark"] for line in flat]


def test_long_choices_may_be_named_instead_of_marked():
    table = pa.table({"task": [1, 1, 2, 2], "mode": ["a", "b"] * 2, "x": [1.0, 2, 3, 4],
                      "chosen": ["b", "b", "a", "a"]})  # fmt: skip
    told = said(layout="long", situation=("task",), option="mode", answer="chosen",
                features=("x",))  # fmt: skip
    assert rows_of(read(table, told).records, "chosen") == [1, 0]


def test_long_lines_that_were_not_on_offer_leave_the_menu():
    table = pa.table({"task": [1, 1, 2, 2], "mode": ["a", "b"] * 2, "x": [1.0, None, 3, 4],
                      "chosen": [1, 0, 0, 1], "avail": [1, 0, 1, 1]})  # fmt: skip
    told = said(layout="long", situation=("task",), option="mode", answer="chosen",
                features=("x",), offered="avail")  # fmt: skip
    result = read(table, told)
    assert options_of(result.records, "option") == ["a", "a", "b"]
    assert "1 of 4 lines were not on offer" in result.report.notes
    broken = table.set_column(3, "chosen", pa.array([0, 1, 0, 1]))
    with pytest.raises(DataError, match="row 2: the chosen option"):
        read(broken, told)
    aside = read(broken, told, on_bad_rows="quarantine")
    assert aside.quarantined["row_number"].to_pylist() == [1, 2]


def test_long_rankings_best_worst_and_the_columns_that_tell_observations_apart():
    table = pa.table({"who": ["a"] * 3, "mode": ["x", "y", "z"], "rank": [2, 1, None],
                      "best": [0, 1, 0], "worst": [1, 0, 0]})  # fmt: skip
    ranking = said(layout="long", kind="ranking", person="who", option="mode", answer="rank")
    assert options_of(read(table, ranking).records, "rank") == [2, 1, None]
    extremes = said(layout="long", kind="best_worst", person="who", option="mode", answer="best",
                    worst="worst")  # fmt: skip
    records = read(table, extremes).records
    assert (rows_of(records, "best"), rows_of(records, "worst")) == ([1], [0])
    with pytest.raises(ConfigError, match="does not say which lines belong together"):
        read(table, said(layout="long", kind="ranking", option="mode", answer="rank"))
    with pytest.raises(DataError, match="row 2: rank is -1"):
        read(table.set_column(2, "rank", pa.array([2, -1, 1])), ranking)


def test_several_situation_columns_name_an_observation_together():
    table = pa.table({"day": [1, 1, 1, 1], "slot": ["x", "x", "y", "y"], "m": ["a", "b"] * 2,
                      "chosen": [1, 0, 0, 1]})  # fmt: skip
    told = said(layout="long", situation=("day", "slot"), option="m", answer="chosen")
    records = read(table, told).records
    assert rows_of(records, "situation") == ["1/x", "1/y"]
    assert rows_of(records, "slot") == ["x", "y"]


# Pairs and arena votes


def test_pairs_know_common_words_names_and_codes():
    table = pa.table(
        {
            "l": ["p", "q", "p", "q"],
            "r": ["q", "p", "q", "p"],
            "won": ["first", "p", "tie", "right"],
            "who": ["a", "b", "a", None],
        }
    )
    told = said(layout="pairs", option_columns=("l", "r"), answer="won", person="who")
    records = read(table, told).records
    assert rows_of(records, "outcome") == [0, 1, 2, 1]
    assert options_of(records, "option") == ["p", "q", "q", "p", "p", "q", "q", "p"]
    numbers = table.set_column(2, "won", pa.array([1, 2, 0, 2]))
    coded = said(**{**told.__dict__, "codes": {"1": "first", "2": "second", "0": "tie"}})
    assert rows_of(read(numbers, coded).records, "outcome") == [0, 1, 2, 1]
    with pytest.raises(DataError, match="row 2: won is 'perhaps'"):
        read(table.set_column(2, "won", pa.array(["tie", "perhaps", "tie", "tie"])), told)


def test_arena_votes_keep_both_kinds_of_tie_and_every_other_column():
    table = pa.table({
        "model_a": ["m", "n", "m", "n"], "model_b": ["n", "o", "o", "m"],
        "winner": ["model_a", "model_b", "tie", "tie (bothbad)"],
        "judge": ["j1", "j2", "j1", "j1"], "turn": [1, 2, 1, 1], "tstamp": [1.5, 2.5, 3.5, 4.5],
        "conversation_a": [[{"role": "user", "content": "hi"}]] * 4,
    })  # fmt: skip
    records = read(table, said(layout="arena")).records
    assert rows_of(records, "outcome") == [0, 1, 2, 2]
    assert rows_of(records, "both_bad") == [False, False, False, True]
    assert rows_of(records, "person") == ["j1", "j2", "j1", "j1"]
    assert rows_of(records, "time") == [1.5, 2.5, 3.5, 4.5]
    assert rows_of(records, "turn") == [1, 2, 1, 1]
    assert rows_of(records, "conversation_a")[0] == [{"role": "user", "content": "hi"}]
    without = table.append_column("votes", table["turn"]).drop_columns(["winner"])
    with pytest.raises(DataError, match="names column 'winner'"):
        read(without, said(layout="arena"))


def test_a_probability_of_winning_is_a_win_a_loss_or_a_tie():
    table = pa.table({"l": ["p"] * 4, "r": ["q"] * 4, "share": [1.0, 0.2, 0.5, None]})
    told = said(layout="pairs", option_columns=("l", "r"), answer="share")
    records = read(table, told).records
    assert rows_of(records, "outcome") == [0, 1, 2, None]
    assert rows_of(records, "share") == [1.0, 0.2, 0.5, None]
    with pytest.raises(DataError, match=r"row 1: share is 1.5"):
        read(table.set_column(2, "share", pa.array([1.5, 0, 0, 0])), told)


def test_graded_pairs_have_levels():
    table = pa.table({"l": ["p", "p"], "r": ["q", "q"], "how": ["much worse", "better"]})
    told = said(layout="pairs", kind="graded", option_columns=("l", "r"), answer="how",
                levels=("much worse", "worse", "better", "much better"))  # fmt: skip
    assert rows_of(read(table, told).records, "grade") == [0, 2]


# Menus in columns


def test_best_worst_answers_may_be_letters_numbers_columns_or_names():
    base = {"a": ["x", "y"], "b": ["y", "z"], "c": ["z", None]}
    for best, worst in ((["A", "b"], ["C", "a"]), ([1, 2], [3, 1]), (["x", "z"], ["z", "y"]),
                        (["a", "b"], ["c", "a"])):  # fmt: skip
        told = said(layout="best_worst", option_columns=("a", "b", "c"), answer="top",
                    worst="flop")  # fmt: skip
        records = read(pa.table(base | {"top": best, "flop": worst}), told).records
        assert rows_of(records, "best") == [0, 1]
        assert rows_of(records, "worst") == [2, 0]
        assert options_of(records, "option") == ["x", "y", "z", "y", "z"]
    with pytest.raises(DataError, match="row 2: top is 'C'"):
        read(pa.table(base | {"top": ["A", "C"], "flop": ["B", "A"]}), told)
    with pytest.raises(DataError, match=r"row 1: flop is 'A'.*another option than the best"):
        read(pa.table(base | {"top": ["A", "A"], "flop": ["A", "B"]}), told)


def test_rankings_across_columns_leave_the_rest_unranked():
    table = pa.table({"first": ["x", "z"], "second": ["y", None], "who": ["a", "b"]})
    told = said(layout="rankings", person="who", answer_columns=("first", "second"))
    result = read(table, told)
    assert options_of(result.records, "option") == ["x", "y", "z"] * 2
    assert options_of(result.records, "rank") == [1, 2, None, None, None, 1]
    assert "every menu is taken to hold all 3 options that occur" in result.report.notes
    with pytest.raises(DataError, match=r"row 1: second is 'x'.*no rank yet"):
        read(table.set_column(1, "second", pa.array(["x", None])), told)


def test_menus_that_differ_hold_what_their_lines_name():
    table = pa.table({"order": ["x > y", "z = y > x", "z > y"], "who": ["a", "b", "c"]})
    plain = read(table, said(layout="rankings", person="who", answer_columns=("order",)))
    assert options_of(plain.records, "option") == ["x", "y", "z"] * 3
    assert any("2 of 3 rankings leave options out" in note for note in plain.report.notes)
    differ = said(layout="rankings", person="who", answer_columns=("order",), menus_differ=True)
    found = read(table, differ)
    assert options_of(found.records, "option") == ["x", "y", "x", "y", "z", "y", "z"]
    assert options_of(found.records, "rank") == [1, 2, 2, 1, 1, 2, 1]
    assert not any("menu" in note for note in found.report.notes)
    places = pa.table({"first": ["x", "z"], "second": ["y", "y"], "who": ["a", "b"]})
    told = said(layout="rankings", person="who", answer_columns=("first", "second"),
                menus_differ=True)  # fmt: skip
    assert options_of(read(places, told).records, "option") == ["x", "y", "y", "z"]
    whole = pa.table({"order": ["x > y > z"], "who": ["a"]})
    notes = read(whole, said(layout="rankings", person="who", answer_columns=("order",)))
    assert not any("leave options out" in note for note in notes.report.notes)
    with pytest.raises(ConfigError, match="menus_differ is True"):
        said(layout="pairs", option_columns=("a", "b"), answer="w", menus_differ=True)


# Ratings and decisions


def test_ratings_are_levels_of_a_scale():
    table = pa.table({"who": ["a", "a", "b"], "film": ["f", "g", "f"], "stars": [5, None, 3],
                      "mood": ["sad", None, "gay"]})  # fmt: skip
    told = said(layout="ratings", person="who", option="film", answer="stars", context=("mood",))
    result = read(table, told)
    assert options_of(result.records, "level") == [2, None, 0]
    assert "the scale of stars is taken to be 3, 4, 5, lowest first" in result.report.notes
    full = said(**{**told.__dict__, "levels": (1, 2, 3, 4, 5)})
    assert options_of(read(table, full).records, "level") == [4, None, 2]
    assert rows_of(read(table, full).records, "stars") == [5, None, 3]
    with pytest.raises(DataError, match=r"row 1: stars is 5 \(1 of 3.*one of 1, 2, 3, 4"):
        read(table, said(**{**told.__dict__, "levels": (1, 2, 3, 4)}))
    with pytest.raises(DataError, match="row 2: film is missing"):
        read(table.set_column(1, "film", pa.array(["f", None, "f"])), told)


@pytest.mark.parametrize(("kind", "column", "values"), [
    ("approval", "approved", [True, False, None]), ("binary", "success", [1, 0, None]),
    ("outcome", "value", [1.0, 0.0, None]),
])  # fmt: skip
def test_thumbs_successes_and_rewards(kind, column, values):
    table = pa.table({"item": ["x", "y", "z"], "answer": [1, 0, None]})
    told = said(layout="ratings", kind=kind, option="item", answer="answer")
    assert options_of(read(table, told).records, column) == values


def test_decisions_keep_their_propensities():
    table = pa.table({"item": [3, 7], "p": [0.25, 0.5], "slot": [1, 2], "click": [0, 1]})
    told = said(layout="decisions", option="item", propensity="p", position="slot", answer="click")
    records = read(table, told).records
    assert options_of(records, "option") == ["3", "7"]
    assert options_of(records, "propensity") == [0.25, 0.5]
    assert options_of(records, "success") == [0, 1]
    assert records.kinds.tolist() == ["binary"]
    for wrong in (0.0, 1.5, None):
        broken = table.set_column(1, "p", pa.array([0.25, wrong], pa.float64()))
        with pytest.raises(DataError, match=r"row 2: p is .*above 0 and at most 1"):
            read(broken, told)


@pytest.mark.parametrize("taken", [["y", "x"], [1, 0]])
def test_decisions_with_whole_menus_have_a_value_where_they_acted(taken):
    table = pa.table({"menu": [["x", "y"], ["x", "y", "z"]], "p": [[0.5, 0.5], [0.2, 0.3, 0.5]],
                      "taken": taken, "reward": [2.5, -1.0]})  # fmt: skip
    told = said(layout="decisions", option="menu", propensity="p", action="taken", answer="reward")
    records = read(table, told).records
    assert options_of(records, "value") == [None, 2.5, -1.0, None, None]
    assert options_of(records, "propensity") == [0.5, 0.5, 0.2, 0.3, 0.5]
    assert records.menu_sizes.tolist() == [2, 3]
    short = table.set_column(1, "p", pa.array([[0.5, 0.5], [1.0]]))
    with pytest.raises(DataError, match=r"row 2: p is .*a list as long as menu"):
        read(short, told)
    kept = read(short, told, on_bad_rows="quarantine")
    assert options_of(kept.records, "value") == [None, 2.5]
    assert kept.quarantined["row_number"].to_pylist() == [2]


def test_one_bad_action_changes_how_no_other_is_read():
    table = pa.table({"menu": [["2", "1", "0"]] * 3, "taken": [1, 2, 7], "reward": [1.0, 2.0, 3.0]})
    told = said(layout="decisions", option="menu", action="taken", answer="reward")
    with pytest.raises(DataError, match=r"row 3: taken is 7 .*an option of the list in menu"):
        read(table, told)
    kept = read(table, told, on_bad_rows="quarantine")
    assert kept.quarantined["row_number"].to_pylist() == [3]
    assert options_of(kept.records, "value") == [None, 1.0, None, 2.0, None, None]
    places = pa.table(
        {"menu": [["x", "y"]] * 4, "taken": [1, 2, None, 0.5], "reward": [1.0, 2.0, 3.0, 4.0]}
    )
    kept = read(places, told, on_bad_rows="quarantine")
    assert kept.quarantined["row_number"].to_pylist() == [2, 3, 4]
    assert options_of(kept.records, "value") == [None, 1.0]


def test_drops_replacements_and_labels_are_applied_and_told():
    from penchant.data.description import Drop, Replace

    table = pa.table({"a": [1.0, 2, 3], "b": [4.0, 5, 6], "choice": ["a", "b", "?"],
                      "pass": [0, 1, 0], "trip": [1, 2, 9]})  # fmt: skip
    told = said(
        layout="wide", alternatives=("a", "b"), answer="choice", context=("trip",),
        feature_columns={"cost": {"a": "a", "b": "b"}}, labels={"trip": {"2": "fun", "1": "work"}},
        drop=(Drop(column="choice", values=("?",), reason="unknown"),),
        replace=(Replace(columns=("a",), where="pass", equals=(1,), value=0, reason="paid"),),
    )  # fmt: skip
    result = read(table, told)
    assert options_of(result.records, "cost") == [1, 4, 0, 5]
    assert rows_of(result.records, "trip") == ["work", "fun"]
    assert result.records.rows["trip"].chunk(0).dictionary.to_pylist()[:2] == ["fun", "work"]
    assert result.report.notes == (
        "1 of 3 lines dropped (choice in ['?']: unknown)",
        "a set to 0 on 1 of 2 lines (pass in [1]: paid)",
    )
    assert np.asarray(table["a"]).tolist() == [1, 2, 3]
