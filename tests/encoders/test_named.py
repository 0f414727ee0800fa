"""Menus told by name become the numbers they stand for, whichever way they are coded."""

import tracemalloc

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from penchant.encoders.named import Menu, NamedColumns

NUMBERS = st.floats(-5, 5)
NAMED = st.dictionaries(st.sampled_from("pqrs"), NUMBERS | st.sampled_from(["x", "y", "1"]))


@st.composite
def menus(draw):
    features = draw(st.lists(NAMED, min_size=1, max_size=5))
    return Menu(draw(NAMED), tuple(f"o{k}" for k in range(len(features))), tuple(features))


def slow(menu):
    """Each option as the products of all pairs of what is true of it and of the situation."""

    def plain(named):
        return {f"{n}={v}" if isinstance(v, str) else n: 1.0 if isinstance(v, str) else v
                for n, v in named.items()}  # fmt: skip

    context = {"": 1.0, **plain(menu.context)}
    return [
        {(f, c): u * v for f, u in {"": 1.0, **plain(named or {"id": name})}.items()
         for c, v in context.items()}
        for name, named in zip(menu.ids, menu.features)
    ]  # fmt: skip


@given(menus(), menus())
def test_entries_are_the_products_of_all_pairs_of_features(known, menu):
    columns = NamedColumns()
    columns.extend(known, 10_000)
    coded = columns.code(menu)
    for k, entries in enumerate(slow(menu)):
        found = {columns.columns[d]: v for d, v in zip(coded.columns, coded.values[k]) if v}
        expected = {c: v for c, v in entries.items() if c in columns.columns and v}
        assert found.keys() == expected.keys()
        assert np.allclose([found[c] for c in expected], list(expected.values()))
        unseen = sum(v**2 for c, v in entries.items() if c not in columns.columns)
        assert np.isclose(coded.unknown[k], unseen, atol=1e-8)


@given(menus())
def test_nothing_is_unknown_of_a_menu_that_has_its_columns(menu):
    columns = NamedColumns()
    assert columns.extend(menu, 10_000) == 0
    assert not columns.code(menu).unknown.any()
    assert columns.extend(menu, 10_000) == 0
    assert NamedColumns(columns.columns).columns == columns.columns


def test_pairs_beyond_the_most_are_counted_and_stay_unknown():
    columns, menu = NamedColumns(), Menu({"c": 1.0}, ("a",), ({"p": 2.0, "q": 3.0},))
    assert columns.extend(menu, 4) == 2
    assert len(columns) == 4
    assert np.isclose(columns.code(menu).unknown[0], 2 * 3.0**2)


def test_a_word_that_looks_like_a_number_is_a_word():
    columns, menu = NamedColumns(), Menu({}, ("a", "b"), ({"p": "1"}, {"p": "2"}))
    columns.extend(menu, 99)
    assert ("p=1", "") in columns.columns
    mixed = Menu({}, ("a", "b"), ({"p": 1.0}, {"p": "2"}))
    columns.extend(mixed, 99)
    assert ("p", "") in columns.columns


def test_names_that_each_option_has_for_itself_take_no_memory():
    columns = NamedColumns()
    columns.extend(Menu({}, ("a",), ({"p": 1.0},)), 99)
    features = [{"p": 2.0} | {f"{k}-{j}": 3.0 for j in range(40)} for k in range(300)]
    menu = Menu({"user": "417"}, tuple(map(str, range(300))), tuple(features))
    tracemalloc.start()
    coded = columns.code(menu)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # All 12,000 names beside all options would be 29 MB.
    assert peak < 1_000_000
    assert coded.values.tolist() == [[1.0, 2.0]] * 300
    assert np.allclose(coded.unknown, 2 * (1 + 2**2 + 40 * 3**2) - (1 + 2**2))
    # What menus have in common is what is known of their names.
    assert coded.key == columns.code(Menu({"user": "418"}, menu.ids, menu.features)).key
