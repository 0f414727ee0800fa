"""The outside option: read, fitted, asked and written as an option with a name and no features."""

import numpy as np
import pytest

from penchant.data.columns import ints_with_nulls
from penchant.data.description import Description, parse, with_overrides
from penchant.data.outside import with_outside_option, without_outside_option
from penchant.data.readers import native
from penchant.data.readers.read import read
from penchant.data.readers.write import write
from penchant.data.records import Records, concat
from penchant.encoders.items import ItemEncoder
from penchant.encoders.table import TableEncoder
from penchant.encoders.text import TextEncoder
from penchant.errors import ConfigError, DataError
from penchant.models.conditional_logit import ConditionalLogit
from penchant.models.willingness import willingness_to_pay
from penchant.policies.oneshot.elasticities import elasticities
from penchant.policies.oneshot.what_if import Change, apply_changes, what_if

WIDE = """who,bus_cost,car_cost,choice
ann,2,5,bus
ann,3,4,
bob,1,6,none
bob,2,2,car
"""
WIDE_SAID = parse(
    """
layout = "wide"
[rows]
person = "who"
[options]
alternatives = ["bus", "car"]
outside_option = "none"
[answer]
column = "choice"
[features.cost]
bus = "bus_cost"
car = "car_cost"
"""
)
LONG = """who,trip,mode,cost,took
ann,1,bus,2,1
ann,1,car,5,0
ann,2,bus,3,0
ann,2,car,4,0
bob,1,bus,1,0
bob,1,car,6,0
"""
LONG_SAID = Description(
    layout="long", person="who", situation=("trip",), option="mode", features=("cost",),
    answer="took", outside_option="none",
)  # fmt: skip


def names(records):
    return records.options["option"].to_pylist()


def chosen(records):
    return records.rows["chosen"].to_pylist()


@pytest.mark.parametrize(
    ("text", "said", "took"), [(WIDE, WIDE_SAID, [0, 2, 2, 1]), (LONG, LONG_SAID, [0, 2, 2])]
)
def test_who_chose_nothing_took_the_outside_option(tmp_path, text, said, took):
    path = tmp_path / "trips.csv"
    path.write_text(text)
    result = read(path, said)
    records = result.records
    assert names(records) == ["bus", "car", "none"] * len(took)
    assert chosen(records) == took
    assert records.options["cost"].to_pylist()[2] is None
    assert any("2 of" in note and "'none'" in note for note in result.report.notes) or (
        said is WIDE_SAID and any("'none'" in note for note in result.report.notes)
    )
    # Written and read again they are the same; the file knows nothing of the option.
    write(records, tmp_path / "again.csv", said)
    assert "none" not in (tmp_path / "again.csv").read_text()
    again = read(tmp_path / "again.csv", said).records
    assert (names(again), chosen(again)) == (names(records), chosen(records))
    native.save(records, tmp_path / "kept.parquet")
    kept = read(tmp_path / "kept.parquet").records
    assert kept.outside_option == "none"
    assert kept.fingerprint == records.fingerprint


def test_without_being_told_such_lines_are_unanswered_or_refused(tmp_path):
    (tmp_path / "wide.csv").write_text(WIDE.replace("none", ""))
    said = with_overrides(WIDE_SAID, {"options.outside_option": ""})
    assert said.outside_option == ""
    plain = parse(WIDE_SAID.to_toml().replace('outside_option = "none"\n', ""))
    assert chosen(read(tmp_path / "wide.csv", plain).records) == [0, None, None, 1]
    (tmp_path / "long.csv").write_text(LONG)
    plain = Description(**{**vars(LONG_SAID), "outside_option": None})
    with pytest.raises(DataError, match="set for no option"):
        read(tmp_path / "long.csv", plain)


def test_a_misspelt_answer_is_not_taken_for_none_of_these(tmp_path):
    path = tmp_path / "trips.csv"
    path.write_text(WIDE.replace("bob,2,2,car", "bob,2,2,caar"))
    with pytest.raises(DataError, match="one of bus, car, none"):
        read(path, WIDE_SAID)
    named = LONG.replace("2,1\n", "2,bus\n").replace("5,0\n", "5,bus\n")
    path.write_text(named.replace(",0\n", ",none\n"))
    assert chosen(read(path, LONG_SAID).records) == [0, 2, 2]
    path.write_text(named.replace(",0\n", ",buss\n"))
    with pytest.raises(DataError, match="an option's name, or 'none'"):
        read(path, LONG_SAID)


def test_the_description_keeps_it_and_codes_may_mean_it(tmp_path):
    assert parse(WIDE_SAID.to_toml()) == WIDE_SAID
    path = tmp_path / "trips.csv"
    path.write_text(WIDE.replace("none", "9"))
    coded = parse(WIDE_SAID.to_toml() + '\n[codes]\n9 = "none"\nbus = "bus"\ncar = "car"\n')
    assert chosen(read(path, coded).records) == [0, 2, 2, 1]


def answered(records, places):
    """The records with these answers, -1 for none."""
    return records.with_columns(rows={"chosen": ints_with_nulls(np.asarray(places))})


def market(seed=0, num_people=150, num_tasks=8):
    """Bus and car against staying at home, which is worth 0."""
    rng = np.random.default_rng(seed)
    num_rows = num_people * num_tasks
    cost = rng.uniform(0.5, 4.0, (num_rows, 2))
    worth = np.concatenate([np.array([1.0, 2.0]) - 0.8 * cost, np.zeros((num_rows, 1))], axis=1)
    taken = (worth + rng.gumbel(size=worth.shape)).argmax(axis=1)
    records = Records.from_arrays(
        options={"option": np.array(["bus", "car"]), "cost": cost},
        rows={
            "person": np.repeat([f"p{p}" for p in range(num_people)], num_tasks),
            "chosen": taken % 2,
        },
    )
    return with_outside_option(answered(records, np.where(taken == 2, -1, taken))), taken


def test_its_worth_is_the_zero_from_which_constants_count():
    records, taken = market()
    assert chosen(records) == taken.tolist()
    logit = ConditionalLogit(formula="option + cost").fit(records)
    truth = {"option[bus]": 1.0, "option[car]": 2.0, "cost": -0.8}
    for line in logit.summary().coefficients:
        assert abs(line.estimate - truth[line.name]) < 3.5 * line.se
    assert "'none' is the outside option" in logit.summary().text()
    # A constant of its own, and one for the car, say the same.
    own = ConditionalLogit(formula="option[none] + option[car] + cost").fit(records)
    assert own.belief_.theta[0] == pytest.approx(-logit.belief_.theta[0], abs=1e-6)
    np.testing.assert_allclose(own.predict_proba(records), logit.predict_proba(records), atol=1e-6)


def test_a_formula_without_a_constant_is_remarked_on():
    records, _ = market(num_people=20)
    notes = TableEncoder("cost").fit(records).encode(records).notes
    assert any("option[none]" in note for note in notes)
    notes = TableEncoder("option + cost").fit(records).encode(records).notes
    assert not any("no constant" in note for note in notes)


def test_it_has_no_features_whatever_the_formula():
    records, _ = market(num_people=3)
    formula = "option + cost + log(cost) + scale(cost) + I(cost - menu_min(cost)) + menu_rank(cost)"
    batch = TableEncoder(formula).fit(records).encode(records)
    block = batch.blocks[0]
    at_home = block.option == batch.option_names.index("none")
    assert at_home.sum() == len(records)
    assert not block.features[at_home].any()
    cost = records.options["cost"].to_numpy().reshape(-1, 3)[:, :2]
    np.testing.assert_allclose(
        block.features[..., 5].reshape(-1, 3)[:, :2], cost - cost.min(axis=1, keepdims=True)
    )
    gap = records.options["cost"].to_numpy().copy()
    gap[0] = np.nan
    encoder = TableEncoder("cost").fit(records)
    with pytest.raises(DataError, match="observation 0, option 'bus'"):
        encoder.encode(records.with_columns(options={"cost": gap}))


def test_words_are_zero_for_it_too_and_texts():
    records = with_outside_option(
        Records.from_arrays(
            options={"option": ["a", "b", "a", "b"], "brand": ["x", "y", "y", "x"],
                     "text": ["one", "two", "one", "two"]},
            rows={"chosen": [0, 1]}, menu_sizes=np.array([2, 2]),
        )
    )  # fmt: skip
    batch = TableEncoder("brand + option[none]").fit(records).encode(records)
    features = dict(zip(batch.feature_names, batch.blocks[0].features[0].T))
    assert features["brand[y]"].tolist() == [0, 1, 0]
    assert features["option[none]"].tolist() == [0, 0, 1]
    made = TextEncoder(model="length").encode_features(
        records, lambda texts: np.array([[len(text) + 1.0] for text in texts])
    )
    assert made[:, 0].tolist() == [4, 4, 0, 4, 4, 0]


def test_items_count_from_it():
    records, _ = market(num_people=3)
    assert ItemEncoder().fit(records).items == ("none", "bus", "car")


def test_what_if_and_elasticities_name_it_and_move_only_the_others():
    records, _ = market()
    belief = ConditionalLogit(formula="option + cost").fit(records).belief_
    rng = np.random.default_rng(0)
    result = what_if(belief, records, [Change(feature="cost", add=1.0)], rng=rng, price="cost")
    shares = {share.option: share for share in result.shares}
    assert shares["none"].change_low > 0 > shares["car"].change_high
    # A franc more on everything that costs: each trip's share of the loss is a franc.
    inside = 1.0 - (shares["none"].before + shares["none"].after) / 2
    assert result.welfare[0].mean == pytest.approx(-inside, rel=0.02)
    found = elasticities(belief, records, "cost")
    assert {e.changed for e in found} == {"bus", "car"}
    assert {e.of for e in found} == {"bus", "car", "none"}
    assert all(e.value > 0 for e in found if e.of == "none")
    with pytest.raises(ConfigError, match="outside option and has no 'cost'"):
        apply_changes(records, [Change(feature="cost", option="none", add=1.0)])


def test_it_comes_and_goes_without_a_trace():
    records, _ = market(num_people=4)
    back = without_outside_option(records)
    assert names(back) == ["bus", "car"] * len(back)
    assert [c for c in chosen(back) if c is not None] == [c for c in chosen(records) if c != 2]
    again = with_outside_option(back)
    assert again.fingerprint == records.fingerprint
    assert concat([records, records]).outside_option == "none"
    with pytest.raises(DataError, match="different outside options"):
        concat([records, back])
    with pytest.raises(DataError, match="already"):
        with_outside_option(records, "other")


def test_it_stands_last_where_positions_are_told():
    shown = Records.from_arrays(
        options={"option": ["bus", "car", "bus"], "position": [1, 0, 0], "cost": [1.0, 2, 3]},
        rows={"chosen": [0, 0]}, menu_sizes=np.array([2, 1]),
    )  # fmt: skip
    records = with_outside_option(answered(shown, [0, -1]))
    assert names(records) == ["bus", "car", "none", "bus", "none"]
    assert records.options["position"].to_pylist() == [1, 0, 2, 0, 1]
    assert chosen(records) == [0, 1]


def test_an_option_that_the_data_list_themselves_becomes_it():
    listed = Records.from_arrays(
        options={"option": ["bus", "home", "home", "car"], "cost": [1.0, 0, 0, 2]},
        rows={"chosen": [0, 0]}, menu_sizes=np.array([2, 2]),
    )  # fmt: skip
    records = with_outside_option(answered(listed, [0, -1]), "home")
    assert records.options.num_rows == 4
    assert chosen(records) == [0, 0]
    lacking = Records.from_arrays(
        options={"option": ["bus", "home", "car"], "cost": [1.0, 0, 2]},
        rows={"chosen": [0, 0]}, menu_sizes=np.array([2, 1]),
    )  # fmt: skip
    with pytest.raises(DataError, match="observation 1 chose nothing"):
        with_outside_option(answered(lacking, [0, -1]), "home")


def test_options_behind_it_move_up_when_it_goes():
    listed = Records.from_arrays(
        options={"option": ["home", "bus", "car"] * 2, "cost": [0.0, 1, 2] * 2},
        rows={"chosen": [2, 0]}, menu_sizes=np.array([3, 3]),
    )  # fmt: skip
    back = without_outside_option(with_outside_option(listed, "home"))
    assert names(back) == ["bus", "car"] * 2
    assert chosen(back) == [1, None]


def test_nobody_having_answered_is_not_an_answer(tmp_path):
    path = tmp_path / "trips.csv"
    path.write_text(WIDE)
    unasked = parse(WIDE_SAID.to_toml().replace('column = "choice"\n', 'kind = "choice"\n'))
    records = read(path, unasked).records
    assert chosen(records) == [None] * 4
    assert names(records) == ["bus", "car", "none"] * 4


def test_other_feedback_has_no_outside_option():
    pair = Records.from_arrays(
        options={"option": ["a", "b"]}, rows={"outcome": [0]}, menu_sizes=np.array([2]),
        kind="pair",
    )  # fmt: skip
    with pytest.raises(DataError, match="'pair'"):
        with_outside_option(pair)


def test_money_is_counted_over_what_costs_it():
    records, _ = market()
    belief = ConditionalLogit(formula="option + cost + cost:option[car]").fit(records).belief_
    worths = willingness_to_pay(belief, records, "cost", "cost", rng=np.random.default_rng(0))
    assert worths[0].value == pytest.approx(-1.0) or worths[0].value == pytest.approx(1.0)
