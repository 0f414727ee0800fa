"""Tables in four forms say the same, whatever stands in their cells."""

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.errors import ConfigError
from penchant.models.table import FORMATS, Table

cells = st.text(st.sampled_from("abc<>&|_%#${}^~ \\0.5-"), min_size=1, max_size=8).map(
    lambda text: text.strip() or "x"
)


@st.composite
def tables(draw):
    num = draw(st.integers(1, 4))
    return Table(
        title="t",
        headings=tuple(draw(st.lists(cells, min_size=num, max_size=num))),
        rows=tuple(
            tuple(draw(st.lists(cells, min_size=num + 1, max_size=num + 1)))
            for _ in range(draw(st.integers(1, 4)))
        ),
        notes=tuple(draw(st.lists(cells, max_size=2))),
    )


@given(tables())
def test_html_gives_back_every_cell(table):
    drawn = table.html()
    found = [html.unescape(x) for x in re.findall(r"<td>(.*?)</td>", drawn)]
    assert found == [cell for row in table.rows for cell in row[1:]]


@given(tables())
def test_markdown_has_as_many_columns_in_every_line(table):
    lines = [line for line in table.markdown().splitlines() if line.startswith("|")]
    bars = {len(re.findall(r"(?<!\\)\|", line)) for line in lines}
    assert bars == {len(table.headings) + 2}


@given(tables())
def test_latex_has_as_many_columns_in_every_line_and_closes_its_braces(table):
    drawn = table.latex()
    lines = drawn.split("\\toprule\n")[1].splitlines()
    rows = [lines[0], *lines[2 : 2 + len(table.rows)]]
    for line in rows:
        assert len(re.findall(r"(?<!\\)&", line)) == len(table.headings)
    bare = drawn.replace(r"\{", "").replace(r"\}", "")
    assert bare.count("{") == bare.count("}")


def test_columns_of_text_are_aligned():
    table = Table(title="t", headings=("n",), rows=(("a", "1"), ("long name", "1,000")))
    _, rule, head, _, *rows, _ = table.text().splitlines()
    assert {len(line) for line in (rule, head, *rows)} == {len("long name  1,000")}


def test_an_unknown_form_is_refused_with_those_there_are():
    table = Table(title="t", headings=("n",), rows=(("a", "1"),))
    for form in FORMATS:
        assert "a" in table.rendered(form)
    with pytest.raises(ConfigError, match="latex"):
        table.rendered("pdf")
