"""Tables become features: against a slow twin, and by the laws of coding categories."""

import dataclasses
import json
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.data.records import Records
from penchant.encoders.table import (
    Levels,
    Scale,
    TableEncoder,
    TableState,
    dependent_columns,
)
from penchant.errors import ConfigError, DataError, NotFittedError


def make_records(num=60, seed=0, kind="choice"):
    generator = np.random.default_rng(seed)
    offered = generator.random((num, 4)) < 0.8
    offered[:, :2] = True
    answer = {"chosen": generator.integers(0, 2, num)} if kind == "choice" else {}
    options = {
        "option": np.array(["train", "bus", "car", "walk"]),
        "time": generator.gamma(2, 30, (num, 4)),
        "cost": generator.gamma(2, 3, (num, 4)),
        "colour": generator.choice(["red", "green", "blue"], (num, 4)),
    }
    if kind == "rating":
        options["level"] = generator.integers(0, 3, (num, 4))
    return Records.from_arrays(
        options=options,
        rows={
            "person": np.repeat([f"p{i}" for i in range(num // 3)], 3),
            "purpose": generator.choice(["work", "leisure", "shop"], num),
            "pays": generator.choice(["self", "employer"], num),
            "age": generator.integers(1, 5, num),
            "income": generator.gamma(2, 20, num),
            "luggage": generator.integers(0, 2, num).astype(bool),
            **answer,
        },
        offered=offered,
        kind=kind,
        person_features=("age", "income"),
    )


RECORDS = make_records()


def features(formula, records=RECORDS, **options):
    encoder = TableEncoder(formula, **options).fit(records)
    return encoder.encode_features(records), encoder.feature_names


def lines(records=RECORDS):
    """Every option shown, with its observation's columns and its menu beside it."""
    rows, options = records.rows.to_pylist(), records.options.to_pylist()
    for row in range(len(records)):
        menu = options[records.offsets[row] : records.offsets[row + 1]]
        for option in menu:
            yield {**rows[row], **option, "menu": menu}


ALL_COST = [line["cost"] for line in lines()]
MEAN_COST = sum(ALL_COST) / len(ALL_COST)
SD_COST = math.sqrt(sum((c - MEAN_COST) ** 2 for c in ALL_COST) / len(ALL_COST))


@pytest.mark.parametrize(
    ("formula", "slowly"),
    [
        ("time/100", lambda o: o["time"] / 100),
        ("log(cost + 1)", lambda o: math.log(o["cost"] + 1)),
        ("sqrt(time):age", lambda o: math.sqrt(o["time"]) * o["age"]),
        ("I(time^2 - 3*time)", lambda o: o["time"] ** 2 - 3 * o["time"]),
        ("scale(cost)", lambda o: (o["cost"] - MEAN_COST) / SD_COST),
        ("cost/income", lambda o: o["cost"] / o["income"]),
        ("option[train]", lambda o: float(o["option"] == "train")),
        ("time:luggage", lambda o: o["time"] * o["luggage"]),
        ("cost:when(purpose in [work, shop])", lambda o: o["cost"] * (o["purpose"] != "leisure")),
        ("cost:when(age >= 3)", lambda o: o["cost"] * (o["age"] >= 3)),
        ("menu_rank(cost)", lambda o: 1 + sum(m["cost"] < o["cost"] for m in o["menu"])),
        ("I(cost - menu_min(cost))", lambda o: o["cost"] - min(m["cost"] for m in o["menu"])),
        ("I(time/menu_max(time))", lambda o: o["time"] / max(m["time"] for m in o["menu"])),
        (
            "I(abs(time - menu_mean(time)))",
            lambda o: abs(o["time"] - sum(m["time"] for m in o["menu"]) / len(o["menu"])),
        ),
        ("time:menu_size()", lambda o: o["time"] * len(o["menu"])),
        (
            "option[car]:others(option[walk])",
            lambda o: (o["option"] == "car") * any(m["option"] == "walk" for m in o["menu"]),
        ),
    ],
)
def test_a_feature_is_what_a_loop_over_the_options_says(formula, slowly):
    found, names = features(formula)
    assert len(names) == 1
    np.testing.assert_allclose(found[:, 0], [slowly(line) for line in lines()], atol=1e-12)


def indicator(name, line):
    column, level = name.rstrip("]").split("[")
    return str(line[column]) == level


@pytest.mark.parametrize(
    ("formula", "names"),
    [
        ("option", ["option[car]", "option[train]", "option[walk]"]),
        ("C(option, reference=train)", ["option[bus]", "option[car]", "option[walk]"]),
        (
            "option:pays",
            # pays alone changes no choice, so every option but one differs by it, in full.
            [
                f"option[{o}]:pays[{p}]"
                for o in ("car", "train", "walk")
                for p in ("employer", "self")
            ],
        ),
        (
            "option + option:pays",
            ["option[car]", "option[train]", "option[walk]"]
            + [f"option[{o}]:pays[self]" for o in ("car", "train", "walk")],
        ),
        ("time:purpose", [f"time:purpose[{p}]" for p in ("leisure", "shop", "work")]),
        ("time:purpose + time", ["time:purpose[shop]", "time:purpose[work]", "time"]),
        ("time/60 + time:pays", ["time/60", "time:pays[self]"]),
        ("option:age", ["option[car]:age", "option[train]:age", "option[walk]:age"]),
        ("cost:option", [f"cost:option[{o}]" for o in ("bus", "car", "train", "walk")]),
        ("cost + cost:option", ["cost", *(f"cost:option[{o}]" for o in ("car", "train", "walk"))]),
        ("cost:C(age)", [f"cost:age[{a}]" for a in (1, 2, 3, 4)]),
    ],
)
def test_categories_are_coded_as_the_rest_of_the_formula_needs(formula, names):
    found, found_names = features(formula)
    assert list(found_names) == names
    for d, name in enumerate(names):
        expected = [
            math.prod(
                indicator(part, line)
                if "[" in part
                else line[part.split("/")[0]] / float([*part.split("/"), "1"][1])
                for part in name.split(":")
            )
            for line in lines()
        ]
        np.testing.assert_allclose(found[:, d], expected)


OPTION_PARTS = ["time", "cost", "option", "colour"]
CONTEXT_PARTS = ["age", "purpose", "pays"]
some_terms = st.lists(
    st.tuples(
        st.lists(st.sampled_from(OPTION_PARTS), min_size=1, max_size=2, unique=True),
        st.lists(st.sampled_from(CONTEXT_PARTS), max_size=2, unique=True),
    ).map(lambda pair: pair[0] + pair[1]),
    min_size=1,
    max_size=3,
)
LARGE = make_records(900, seed=5)


def within(columns, records):
    sizes = records.menu_sizes
    means = np.add.reduceat(columns, records.offsets[:-1], axis=0) / sizes[:, None]
    return columns - np.repeat(means, sizes, axis=0)


def spelt_out(term):
    """Every category in full: spans what the term means, with columns to spare."""
    columns = [np.ones((LARGE.options.num_rows, 1))]
    for name in term:
        of_rows = name in LARGE.rows.column_names
        values = (LARGE.rows if of_rows else LARGE.options)[name].to_numpy()
        values = values[LARGE.row_of_option] if of_rows else values
        if values.dtype == object:
            columns.append((values[:, None] == np.unique(values)).astype(float))
        else:
            columns.append(values[:, None].astype(float) / values.std())
    block = columns[0]
    for each in columns[1:]:
        block = (block[:, :, None] * each[:, None, :]).reshape(len(block), -1)
    return block


@settings(max_examples=60, deadline=None)
@given(some_terms)
def test_the_coding_spans_every_term_and_wastes_no_column(formula_terms):
    formula = " + ".join(":".join(term) for term in formula_terms)
    found, _ = features(formula, LARGE)
    ours = within(found / np.maximum(found.std(axis=0), 1e-12), LARGE)
    everything = within(np.hstack([spelt_out(term) for term in formula_terms]), LARGE)
    rank = np.linalg.matrix_rank(ours, tol=1e-6 * np.linalg.norm(ours, 2))
    full = np.linalg.matrix_rank(everything, tol=1e-6 * np.linalg.norm(everything, 2))
    assert rank == ours.shape[1] == full


@settings(max_examples=30, deadline=None)
@given(some_terms)
def test_every_name_is_a_formula_for_its_own_column(formula_terms):
    found, names = features(" + ".join(":".join(term) for term in formula_terms))
    for d, name in enumerate(names):
        alone, alone_names = features(name)
        assert alone_names == (name,)
        np.testing.assert_array_equal(alone[:, 0], found[:, d])


EVERYTHING = (
    "scale(time) + log(cost):purpose + option + option:C(age) + colour:option + menu_rank(time)"
)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 59), min_size=1, max_size=20))
def test_an_observation_is_encoded_the_same_in_any_company(rows):
    encoder = TableEncoder(EVERYTHING).fit(RECORDS)
    whole = encoder.encode_features(RECORDS)
    part = encoder.encode_features(RECORDS.take(np.array(rows)))
    expected = [whole[RECORDS.offsets[r] : RECORDS.offsets[r + 1]] for r in rows]
    np.testing.assert_array_equal(part, np.concatenate(expected))


def test_scales_and_levels_are_those_of_the_fit():
    half = RECORDS.take(np.arange(30))
    encoder = TableEncoder("scale(time)").fit(half)
    fresh = encoder.encode_features(RECORDS)
    assert abs(encoder.encode_features(half).mean()) < 1e-12
    time = np.array([line["time"] for line in lines()])
    learned = np.array([line["time"] for line in lines(half)])
    np.testing.assert_allclose(fresh[:, 0], (time - learned.mean()) / learned.std())


def test_the_batch_has_the_features_in_their_places():
    encoder = TableEncoder(EVERYTHING, "income + luggage + purpose").fit(RECORDS)
    batch = encoder.encode(RECORDS)
    flat = encoder.encode_features(RECORDS)
    for block in batch.blocks:
        for b, row in enumerate(block.row):
            mine = flat[RECORDS.offsets[row] : RECORDS.offsets[row + 1]]
            np.testing.assert_array_equal(block.features[b][block.offered[b]], mine)
    assert batch.feature_names == encoder.feature_names
    assert batch.group_feature_names == ("income", "luggage", "purpose[shop]", "purpose[work]")
    people = RECORDS.rows.to_pylist()
    for g, name in enumerate(batch.group_names):
        mine = [row for row in people if row["person"] == name]
        expected = [
            np.mean([row["income"] for row in mine]),
            np.mean([row["luggage"] for row in mine]),
            np.mean([row["purpose"] == "shop" for row in mine]),
            np.mean([row["purpose"] == "work" for row in mine]),
        ]
        np.testing.assert_allclose(batch.group_features[g], expected)


def test_groups_may_be_situations_or_rows():
    encoder = TableEncoder("time", "income", group_by="row").fit(RECORDS)
    batch = encoder.encode(RECORDS)
    assert batch.num_groups == len(RECORDS)
    np.testing.assert_array_equal(batch.group_features[:, 0], RECORDS.rows["income"].to_numpy())


def test_the_encoder_survives_json():
    encoder = TableEncoder(EVERYTHING, "C(age)").fit(RECORDS)
    plain = json.loads(json.dumps(dataclasses.asdict(encoder)))
    state = plain.pop("state")
    levels = tuple(Levels(each["of"], tuple(each["names"])) for each in state.pop("levels"))
    scales = tuple(Scale(**each) for each in state.pop("scales"))
    rest = {k: tuple(v) if isinstance(v, list) else v for k, v in state.items()}
    again = TableEncoder(**plain, state=TableState(levels=levels, scales=scales, **rest))
    assert again == encoder
    np.testing.assert_array_equal(again.encode_features(RECORDS), encoder.encode_features(RECORDS))


# Bad input.


def says(error, *parts):
    message = str(error.value)
    for part in parts:
        assert part in message, message


def test_an_encoder_that_saw_no_data_says_so():
    with pytest.raises(NotFittedError) as error:
        TableEncoder("time").encode(RECORDS)
    says(error, "encoder.fit(records)")


def test_an_unknown_column_is_pointed_at_with_the_nearest_name():
    with pytest.raises(DataError) as error:
        TableEncoder("time + csot:purpose").fit(RECORDS)
    says(error, "'csot'", "Did you mean 'cost'?", "\n  time + csot:purpose\n         ^")


@pytest.mark.parametrize("formula", ["age", "purpose", "time + age:purpose", "menu_mean(time)"])
def test_context_alone_is_refused_because_it_changes_no_choice(formula):
    with pytest.raises(ConfigError) as error:
        TableEncoder(formula).fit(RECORDS)
    says(error, "changes no choice", "option:", "^")


def test_context_alone_is_welcome_where_options_are_rated_one_by_one():
    records = make_records(kind="rating")
    encoder = TableEncoder("age + purpose + time").fit(records)
    assert encoder.feature_names == ("age", "purpose[shop]", "purpose[work]", "time")
    assert encoder.state.notes == ()


def test_the_answer_cannot_explain_itself():
    with pytest.raises(ConfigError) as error:
        TableEncoder("time + time:chosen").fit(RECORDS)
    says(error, "'chosen'", "cannot explain it", "^")


def test_ten_thousand_levels_are_refused_with_a_mend():
    records = RECORDS.with_columns(
        options={"sku": [f"s{i}" for i in range(RECORDS.options.num_rows)]}
    )
    TableEncoder("sku").fit(records)
    many = records.take(np.repeat(np.arange(60), 200)).with_columns(
        options={"sku": [f"s{i}" for i in range(200 * RECORDS.options.num_rows)]}
    )
    with pytest.raises(DataError) as error:
        TableEncoder("sku").fit(many)
    says(error, "'sku'", "at most 1000", "Merge rare levels")


def with_gap(name, place, value=None):
    options = RECORDS.options[name].to_pylist()
    options[place] = value
    return RECORDS.with_columns(options={name: pa.array(options)})


def test_a_missing_number_is_named_with_its_row_option_and_column():
    place = int(RECORDS.offsets[7]) + 1
    with pytest.raises(DataError) as error:
        TableEncoder("time + log(cost):age").fit(with_gap("cost", place)).encode(
            with_gap("cost", place)
        )
    says(error, "observation 7", "'bus'", "cost = None", "fill(cost, 0)", "(1 of ")


def test_a_logarithm_of_nothing_is_named_with_its_value():
    place = int(RECORDS.offsets[3])
    with pytest.raises(DataError) as error:
        TableEncoder("log(cost)").fit(with_gap("cost", place, 0.0))
    says(error, "observation 3", "'train'", "cost = 0.0", "not finite")


def test_a_missing_word_is_named():
    place = int(RECORDS.offsets[5])
    with pytest.raises(DataError) as error:
        TableEncoder("time:colour").fit(with_gap("colour", place))
    says(error, "observation 5", "colour = None")


def test_what_an_option_lacks_may_be_missing_where_it_does_not_count():
    gaps = [
        None if name == "walk" else cost
        for name, cost in zip(
            RECORDS.options["option"].to_pylist(), RECORDS.options["cost"].to_pylist(), strict=True
        )
    ]
    records = RECORDS.with_columns(options={"cost": pa.array(gaps)})
    names = ", ".join(["train", "bus", "car"])
    limited, _ = features(f"cost:when(option in [{names}])", records)
    filled, _ = features("fill(cost, 0)", records)
    by_option, _ = features("option[train]:cost + option[bus]:cost + option[car]:cost", records)
    np.testing.assert_array_equal(limited, filled)
    np.testing.assert_array_equal(by_option.sum(axis=1), filled[:, 0])
    with pytest.raises(DataError):
        features("cost", records)


def test_a_scale_is_that_of_the_values_that_are_there():
    places = np.flatnonzero(np.array(RECORDS.options["option"].to_pylist()) == "walk")
    costs = RECORDS.options["cost"].to_pylist()
    for place in places:
        costs[place] = None
    records = RECORDS.with_columns(options={"cost": pa.array(costs)})
    found, _ = features("option[car]:scale(cost)", records)
    known = np.array([cost for cost in costs if cost is not None])
    cars = np.array(RECORDS.options["option"].to_pylist()) == "car"
    expected = (np.array(ALL_COST)[cars] - known.mean()) / known.std()
    np.testing.assert_allclose(found[cars, 0], expected)


def unseen_records():
    purpose = RECORDS.rows["purpose"].to_pylist()
    purpose[4] = purpose[9] = "wokr"
    return RECORDS.with_columns(rows={"purpose": purpose})


def test_a_level_not_seen_is_an_error_that_names_it():
    encoder = TableEncoder("time:purpose").fit(RECORDS)
    with pytest.raises(DataError) as error:
        encoder.encode(unseen_records())
    says(error, "'wokr'", "observation 4", "2 of 60", "Did you mean 'work'?", "unseen='reference'")


@pytest.mark.parametrize("formula", ["time:purpose", "time + time:purpose"])
def test_or_it_counts_as_the_reference_and_the_notes_say_so(formula):
    encoder = TableEncoder(formula, unseen="reference").fit(RECORDS)
    batch = encoder.encode(unseen_records())
    assert any("'purpose': 2 lines" in note for note in batch.notes)
    purpose = unseen_records().rows["purpose"].to_pylist()
    known = ["leisure" if word == "wokr" else word for word in purpose]
    expected = encoder.encode_features(RECORDS.with_columns(rows={"purpose": known}))
    np.testing.assert_array_equal(encoder.encode_features(unseen_records()), expected)
    assert not any("lines" in note for note in encoder.encode(RECORDS).notes)


def test_a_level_misspelt_in_the_formula_is_refused():
    with pytest.raises(ConfigError) as error:
        TableEncoder("time:when(purpose in [work, leisrue])").fit(RECORDS)
    says(error, "'leisrue'", "Did you mean 'leisure'?", "^")
    with pytest.raises(ConfigError) as error:
        TableEncoder("C(option, reference=plane)").fit(RECORDS)
    says(error, "'plane'", "^")


def test_a_typo_in_unseen_is_refused():
    with pytest.raises(ConfigError, match="'error' or 'reference'"):
        TableEncoder("time", unseen="ignore")


def test_words_have_no_arithmetic():
    with pytest.raises(DataError) as error:
        TableEncoder("log(colour)").fit(RECORDS)
    says(error, "holds words", "colour[level]")


def test_a_column_of_lists_is_refused():
    records = RECORDS.with_columns(
        options={"tokens": pa.array([[1, 2]] * RECORDS.options.num_rows)}
    )
    with pytest.raises(DataError, match="holds list"):
        TableEncoder("tokens").fit(records)


def test_the_group_formula_takes_columns_of_the_rows_only():
    with pytest.raises(ConfigError) as error:
        TableEncoder("time", "cost").fit(RECORDS)
    says(error, "cost", "differs between the options")


def test_a_column_that_moved_to_the_other_table_is_noticed():
    encoder = TableEncoder("time:colour").fit(RECORDS)
    moved = dataclasses.replace(
        RECORDS,
        options=RECORDS.options.drop_columns(["time"]),
        rows=RECORDS.rows.append_column("time", pa.array(np.ones(len(RECORDS)))),
    )
    with pytest.raises(DataError, match="other columns than when it was fitted"):
        encoder.encode(moved)


# Doubts.


def test_a_column_that_never_differs_on_a_menu_is_noted():
    constant = RECORDS.with_columns(options={"fee": np.full(RECORDS.options.num_rows, 3.0)})
    notes = TableEncoder("time + fee").fit(constant).encode(constant).notes
    assert len(notes) == 1
    assert "'fee' does not vary within a menu" in notes[0]


def test_many_columns_that_cannot_be_told_apart_make_one_sentence():
    size = RECORDS.options.num_rows
    time = RECORDS.options["time"].to_numpy()
    doubles = {f"twice{i}": (2.0 + i) * time for i in range(10)}
    flat = {f"fee{i}": np.full(size, 3.0 + i) for i in range(3)}
    records = RECORDS.with_columns(options={**doubles, **flat})
    formula = " + ".join(("time", *doubles, *flat))
    notes = TableEncoder(formula).fit(records).encode(records).notes
    assert len(notes) == 2
    assert notes[0].startswith("3 features do not vary within a menu")
    assert notes[0].endswith("'fee0', 'fee1', 'fee2'")
    assert notes[1].startswith("10 features are combinations of features before them")
    assert notes[1].endswith("'twice7' and 2 more")


def test_a_column_that_others_add_up_to_is_noted():
    total = RECORDS.with_columns(
        options={
            "total": 2 * RECORDS.options["time"].to_numpy() + RECORDS.options["cost"].to_numpy()
        }
    )
    notes = TableEncoder("time + cost + colour + total").fit(total).state.notes
    assert len(notes) == 1
    assert "'total' is a combination" in notes[0]


def test_what_only_a_sample_finds_guilty_is_acquitted():
    # A rare option that the sample of every second menu happens to miss.
    sizes = np.full(5000, 2)
    shown = np.zeros(10000)
    shown[3] = 1.0
    rng = np.random.default_rng(0)
    records = Records.from_arrays(
        options={"rare": shown, "time": rng.normal(size=10000)},
        rows={"chosen": np.zeros(5000, dtype=int)},
        menu_sizes=sizes,
    )
    assert TableEncoder("time + rare").fit(records).state.notes == ()


@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_dependent_columns_are_those_that_raise_no_rank(num, seed):
    generator = np.random.default_rng(seed)
    basis = generator.normal(size=(30, 3)) * [1.0, 10.0, 0.1]
    columns = basis @ generator.integers(-1, 2, (3, num))
    found = set(dependent_columns(columns).tolist())
    scaled = columns / np.maximum(np.linalg.norm(columns, axis=0), 1e-300)
    expected = {
        d
        for d in range(num)
        if np.linalg.norm(columns[:, d]) == 0
        or np.linalg.norm(
            scaled[:, d]
            - scaled[:, :d] @ np.linalg.lstsq(scaled[:, :d], scaled[:, d], rcond=1e-10)[0]
        )
        < 1e-6
    }
    assert found == expected
