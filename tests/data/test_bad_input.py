"""Bad input: every message names the row, the value, the expectation and the mend."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penchant.data.batch_builder import build_batch
from penchant.data.description import Description
from penchant.data.readers.read import read
from penchant.errors import ConfigError, DataError

WIDE = Description(
    layout="wide", person="who", alternatives=("train", "car"), answer="choice",
    codes={"1": "train", "2": "car"}, available={"car": "car_av"}, context=("purpose",),
    feature_columns={"time": {"train": "train_time", "car": "car_time"},
                     "seats": {"train": "train_seats"}},
)  # fmt: skip
LONG = Description(
    layout="long", person="who", situation=("task",), option="mode", answer="chosen",
    features=("time",), context=("purpose",),
)  # fmt: skip


def wide(**changes):
    columns = {
        "who": ["a", "a", "b", "c"], "purpose": ["x", "y", "x", "y"], "choice": [1, 2, 1, 1],
        "car_av": [1, 1, 0, 1], "train_time": [10.0, 20, 30, 40], "car_time": [5.0, 6, None, 8],
        "train_seats": [0, 1, 0, 1],
    }  # fmt: skip
    return pa.table(columns | changes)


def long(**changes):
    columns = {
        "who": ["a"] * 4 + ["b"] * 2, "task": [1, 1, 2, 2, 1, 1], "mode": ["train", "car"] * 3,
        "chosen": [1, 0, 0, 1, 1, 0], "time": [1.0, 2, 3, 4, 5, 6],
        "purpose": ["x", "x", "y", "y", "x", "x"],
    }  # fmt: skip
    return pa.table(columns | changes)


def refusal(data, description, *parts):
    with pytest.raises(DataError) as caught:
        read(data, description)
    for part in parts:
        assert part in str(caught.value), f"{part!r} is not in {caught.value}"
    return str(caught.value)


def test_the_good_tables_are_good():
    assert len(read(wide(), WIDE).records) == 4
    assert len(read(long(), LONG).records) == 3


def test_a_missing_option_feature():
    refusal(wide(train_time=[10.0, None, None, 4]), WIDE, "row 2: train_time is missing",
            "(2 of 4 lines are like this)", "expected a finite number", "options.allow_missing",
            'on_bad_rows="quarantine"')  # fmt: skip
    refusal(long(time=[1.0, 2, 3, None, 5, 6]), LONG, "row 4: time is missing (1 of 6")


def test_a_feature_missing_where_the_option_was_not_on_offer_is_no_fault():
    assert read(wide(), WIDE).records.menu_sizes.tolist() == [2, 2, 1, 2]


@pytest.mark.parametrize(("value", "shown"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf")])
def test_nan_and_infinities_in_a_feature(value, shown):
    times = pa.array([10.0, value, 3, 4])
    refusal(wide(train_time=times), WIDE, f"row 2: train_time is {shown}", "(1 of 4",
            "expected a finite number")  # fmt: skip


def test_a_missing_feature_may_be_allowed():
    said = Description(**{**WIDE.__dict__, "allow_missing": ("train_time",)})
    records = read(wide(train_time=[10.0, None, 3, 4]), said).records
    assert records.options["time"].null_count == 1


def test_a_chosen_option_that_is_not_on_the_menu():
    refusal(wide(choice=[1, 2, 2, 1]), WIDE, "row 3: the chosen option (choice) is 'car'",
            "(1 of 4", "not on offer", "correct the availability or the choice")  # fmt: skip
    refusal(long(chosen=[1, 0, 0, 0, 1, 0]), LONG,
            "row 3: the observation that begins here: chosen is 'set for no option'",
            "expected exactly one option")  # fmt: skip


def test_two_chosen_options():
    refusal(long(chosen=[1, 1, 0, 1, 1, 0]), LONG, "row 1", "more than one option",
            "rows.situation")  # fmt: skip


def test_an_answer_that_means_nothing():
    refusal(wide(choice=[1, 7, 1, 7]), WIDE, "row 2: choice is 7 (2 of 4 lines",
            "expected one of 1 (train), 2 (car)", "[codes]")  # fmt: skip


def test_an_empty_menu():
    said = Description(**{**WIDE.__dict__, "available": {"car": "car_av", "train": "train_seats"}})
    refusal(wide(choice=[2, 1, None, 1], train_seats=[0, 1, 0, 1]), said,
            "row 3: the number of alternatives on offer is 0 (1 of 4", "expected at least one",
            "[available]")  # fmt: skip


def test_one_option_on_the_menu_is_a_warning():
    (warning,) = read(wide(), WIDE).report.warnings
    assert warning == ("1 of 4 menus have one option only: such a choice says nothing about taste.")


def test_duplicated_rows_are_kept_and_counted():
    table = pa.concat_tables([wide(), wide().slice(1, 2)])
    result = read(table, WIDE)
    assert len(result.records) == 6
    assert result.report.duplicates == 2
    assert "2 of 6 lines repeat an earlier line exactly; they were kept" in " ".join(
        result.report.warnings
    )


def test_ten_thousand_levels_and_a_person_with_one_row():
    count = 10_000
    levels = [f"level {i}" for i in range(count)]
    table = pa.table({
        "who": levels, "purpose": levels, "choice": [1, 2] * (count // 2), "car_av": [1] * count,
        "train_time": np.ones(count), "car_time": np.ones(count), "train_seats": [0] * count,
    })  # fmt: skip
    records = read(table, WIDE).records
    assert records.num_people == count
    assert records.rows["purpose"].to_pylist()[::2500] == levels[::2500]
    features = np.zeros((records.options.num_rows, 0))
    assert build_batch(records, features, (), np.zeros((count, 0))).num_groups == count


def test_a_wrong_encoding_names_the_byte_the_line_and_the_setting(tmp_path):
    path = tmp_path / "trips.csv"
    text = wide().to_pandas().to_csv(index=False).replace("a,y", "José,y")
    path.write_bytes(text.encode("cp1252"))
    message = refusal(path, WIDE, "trips.csv is not in the encoding utf-8", "byte 0xe9", "line 3")
    assert 'encoding = "cp1252"' in message
    said = Description(**{**WIDE.__dict__, "encoding": "cp1252"})
    assert read(path, said).records.rows["person"].to_pylist()[1] == "José"


def test_utf_16_and_unknown_encodings_are_recognised(tmp_path):
    path = tmp_path / "trips.csv"
    path.write_bytes(wide().to_pandas().to_csv(index=False).encode("utf-16"))
    refusal(path, WIDE, "the mark of UTF-16", 'Set `encoding = "utf-16"` under [file]')
    assert len(read(path, Description(**{**WIDE.__dict__, "encoding": "utf-16"})).records) == 4
    path.write_text(wide().to_pandas().to_csv(index=False))
    unknown = Description(**{**WIDE.__dict__, "encoding": "utf-9"})
    refusal(path, unknown, "there is no encoding 'utf-9'")


def test_a_truncated_parquet_file(tmp_path):
    path = tmp_path / "trips.parquet"
    pq.write_table(wide(), path)
    path.write_bytes(path.read_bytes()[:-20])
    refusal(path, WIDE, "trips.parquet is not a complete Parquet file", "cut off",
            "Copy or export it again")  # fmt: skip
    path.write_bytes(b"")
    refusal(path, WIDE, "not a complete Parquet file (0 bytes")


def test_a_description_that_names_an_absent_column_suggests_the_closest():
    said = Description(**{**WIDE.__dict__, "person": "whoo", "context": ("purpos",)})
    refusal(wide(), said, "names column 'whoo' (rows.person), which the table does not have",
            "Did you mean 'who'?", "Correct `rows.person`")  # fmt: skip


def test_a_row_is_numbered_as_in_the_file_and_after_drops(tmp_path):
    said = Description(**{**WIDE.__dict__, "person": None})
    path = tmp_path / "trips.csv"
    frame = wide(choice=[1, 2, 1, 9]).to_pandas()
    frame.to_csv(path, index=False)
    refusal(path, said, "trips.csv, row 4 (line 5 of the file): choice is 9")
    from penchant.data.description import Drop

    dropped = Description(**{**said.__dict__, "drop": (Drop(column="purpose", values=("y",)),)})
    frame.assign(choice=[1, 2, 9, 1]).to_csv(path, index=False)
    refusal(path, dropped, "row 3 (line 4 of the file): choice is 9 (1 of 2 lines")


def test_a_word_among_numbers_is_no_new_category(tmp_path):
    frame = pd.concat([wide().to_pandas()] * 5, ignore_index=True)
    times = frame["train_time"].astype(object)
    times[7] = "4O"
    path = tmp_path / "trips.csv"
    frame.assign(train_time=times).to_csv(path, index=False)
    refusal(path, WIDE, "row 8 (line 9 of the file): train_time is '4O'", "(1 of 20",
            "expected a number, as on the other lines", "file.nulls")  # fmt: skip


def test_a_context_that_changes_within_an_observation():
    refusal(long(purpose=["x", "y", "y", "y", "x", "x"]), LONG, "row 2: purpose is 'y' (1 of 6",
            "describes the observation, not the option", "options.features")  # fmt: skip


def test_bad_weights():
    said = Description(**{**WIDE.__dict__, "weight": "train_seats"})
    refusal(wide(train_seats=[0, 1, -2, 1]), said, "row 3: train_seats is -2",
            "expected a finite weight, 0 or more")  # fmt: skip


def test_quarantine_sets_bad_lines_aside_and_loses_nothing(tmp_path):
    table = wide(train_time=[10.0, None, np.inf, 4], choice=[1, 2, 1, 9])
    path = tmp_path / "bad.parquet"
    result = read(table, WIDE, on_bad_rows="quarantine", quarantine=path)
    assert len(result.records) == 1
    aside = pq.read_table(path)
    assert aside.equals(result.quarantined)
    assert aside["row_number"].to_pylist() == [2, 3, 4]
    assert aside["reason"].to_pylist() == [
        "train_time is missing; expected a finite number",
        "train_time is inf; expected a finite number",
        "choice is 9; expected one of 1 (train), 2 (car)",
    ]
    kept = set(map(str, table.to_pylist()))
    lines = aside.drop_columns(["row_number", "reason"]).to_pylist()
    assert {str(line) for line in lines} < kept
    assert result.report.quarantined == 3
    assert len(result.records) + result.report.quarantined == table.num_rows


def test_quarantine_takes_the_whole_observation_of_a_bad_line():
    result = read(long(time=[1.0, 2, 3, None, 5, 6]), LONG, on_bad_rows="quarantine")
    assert len(result.records) == 2
    assert result.quarantined["row_number"].to_pylist() == [3, 4]
    assert result.quarantined["reason"].to_pylist() == [
        "another line of the same observation is bad",
        "time is missing; expected a finite number",
    ]
    assert result.records.options["time"].to_pylist() == [1, 2, 5, 6]
    assert result.records.rows["person"].to_pylist() == ["a", "b"]


def test_lines_of_a_csv_with_too_few_cells(tmp_path):
    path = tmp_path / "trips.csv"
    lines = wide().to_pandas().to_csv(index=False).splitlines()
    lines.insert(3, "a,x,1")
    path.write_text("\n".join(lines) + "\n")
    refusal(path, WIDE, "trips.csv, line 4 of the file: 'a,x,1' has 3 cells; expected 7",
            "(1 lines are like this)")  # fmt: skip
    result = read(path, WIDE, on_bad_rows="quarantine")
    assert len(result.records) == 4
    assert result.quarantined["unparsed_line"].to_pylist() == ["a,x,1"]
    assert result.quarantined["row_number"].to_pylist() == [3]


def test_when_nothing_is_left_there_is_an_error():
    with pytest.raises(DataError, match="leaves no observation to learn from"):
        read(wide(choice=[9, 9, 9, 9]), WIDE, on_bad_rows="quarantine")


def test_a_file_that_is_not_there_and_one_of_no_known_format(tmp_path):
    refusal(tmp_path / "no.csv", WIDE, "there is no file")
    (tmp_path / "data.xyz").write_text("x")
    refusal(tmp_path / "data.xyz", WIDE, "ending that says nothing", ".parquet")


DOUBLED = {
    "who": ["a"] * 4 + ["b"] * 3,
    "task": [1, 1, 2, 2, 1, 1, 1],
    "alt": ["x", "y", "x", "y", "x", "y", "y"],
    "price": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 6.0],
    "chosen": [1, 0, 0, 1, 1, 0, 0],
}
NAMED = replace(LONG, option="alt", features=("price",), context=())


def test_a_line_that_stands_twice_on_a_menu_is_called_what_it_is():
    with pytest.raises(DataError, match="repeats an earlier line of its observation") as error:
        read(pa.table(DOUBLED), NAMED)
    assert "row 7" in str(error.value)
    assert "drop_duplicates" in str(error.value)
    # Chosen or not: else a whole file given twice would be told that two options were chosen.
    whole = {name: [v for v in values for _ in range(2)] for name, values in DOUBLED.items()}
    with pytest.raises(DataError, match="repeats an earlier line of its observation"):
        read(pa.table(whole), NAMED)
    aside = read(pa.table(DOUBLED), NAMED, on_bad_rows="quarantine")
    single = pa.table({name: values[:-1] for name, values in DOUBLED.items()})
    assert aside.records.fingerprint == read(single, NAMED).records.fingerprint
    assert aside.quarantined["row_number"].to_pylist() == [7]
    # Of a file given twice, each line is left once.
    both = read(pa.table(whole), NAMED, on_bad_rows="quarantine")
    assert both.records.fingerprint == aside.records.fingerprint
    assert both.report.quarantined == len(next(iter(whole.values()))) - single.num_rows


def test_profiles_without_a_name_may_be_alike_unless_chosen():
    unnamed = {name: values for name, values in DOUBLED.items() if name != "alt"}
    plain = replace(NAMED, option=None)
    assert read(pa.table(unnamed), plain).records.menu_sizes.tolist() == [2, 2, 3]
    unnamed["price"] = [1.0, 1.0, *unnamed["price"][2:]]
    assert len(read(pa.table(unnamed), plain).records) == 3
    unnamed["chosen"] = [1, 1, *unnamed["chosen"][2:]]
    with pytest.raises(DataError, match="repeats an earlier line of its observation"):
        read(pa.table(unnamed), plain)


def test_the_same_option_with_other_features_is_no_repetition():
    other = {**DOUBLED, "price": [*DOUBLED["price"][:-1], 7.0]}
    assert read(pa.table(other), NAMED).records.menu_sizes.tolist() == [2, 2, 3]


def test_bad_json_lines_and_doubled_columns(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": 1}\n{"a": \n')
    refusal(path, WIDE, "x.jsonl", "cannot be read as JSON lines")
    csv = tmp_path / "x.csv"
    csv.write_text("a,a\n1,2\n")
    refusal(csv, WIDE, "two columns called 'a'")


def test_without_an_answer_there_is_nothing_to_guess():
    with pytest.raises(DataError, match="no column looks like an answer"):
        read(pa.table({"x": [1, 2], "y": ["a", "b"]}))


def test_an_unknown_way_with_bad_rows_is_refused():
    with pytest.raises(ConfigError, match="on_bad_rows is 'ignore'"):
        read(wide(), WIDE, on_bad_rows="ignore")
