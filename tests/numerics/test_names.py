"""Long names in tables and sentences."""

from hypothesis import given
from hypothesis import strategies as st

from penchant.models.table import Table
from penchant.numerics.names import excerpt, width


@given(st.text(max_size=120), st.integers(8, 60))
def test_an_excerpt_fits_and_short_names_are_left_alone(name, room):
    shown = excerpt(name, room)
    assert len(shown) <= room
    assert shown.isprintable() or not name.isprintable()
    assert "\n" not in shown
    if len(name) <= room and name.isprintable():
        assert shown == name


def test_names_that_begin_alike_are_told_apart_by_their_ends():
    names = [f"The most important rule for chatbots at all times is to {end}" for end in
             ("ask first", "keep silent", "forget it all")]  # fmt: skip
    assert len({excerpt(name, 48) for name in names}) == 3


def test_columns_stand_below_each_other_in_every_script():
    rows = (("模型", "1"), ("Ärger", "22"), ("e\u0301te\u0301", "3"), ("plain", "4"))
    lines = Table(title="t", headings=("rank",), rows=rows).text().splitlines()
    assert len({width(line) for line in lines[4:8]}) == 1
