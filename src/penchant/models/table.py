"""A table of results as text, Markdown, LaTeX or HTML: one place for how results are set."""

from dataclasses import dataclass
from html import escape

from penchant.errors import ConfigError
from penchant.numerics.names import width

FORMATS = ("text", "markdown", "latex", "html")


@dataclass(frozen=True, kw_only=True)
class Table:
    """headings: of all columns but the first; rows: a name and a cell for each heading;
    corner: what stands above the names where a table needs a word there; facts: name and value,
    below the table; notes: sentences that a reader must not miss."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    facts: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    corner: str = "parameter"

    def rendered(self, form: str) -> str:
        """In one of `FORMATS`. Raises `ConfigError` for any other."""
        if form not in FORMATS:
            raise ConfigError(
                f"there is no form of table {form!r}; expected one of {', '.join(FORMATS)}."
            )
        drawn: str = getattr(self, form)()
        return drawn

    def text(self) -> str:
        """Aligned columns for a terminal."""
        lines = [("", *self.headings), *self.rows]
        widths = [max(width(line[i]) for line in lines) for i in range(len(self.headings) + 1)]
        table = [
            "  ".join(
                [line[0] + _blank(line[0], widths[0]),
                 *(_blank(cell, room) + cell for cell, room in zip(line[1:], widths[1:]))]
            ).rstrip()
            for line in lines
        ]  # fmt: skip
        rule = "-" * max(map(width, table))
        below = [f"{name:<24}{value}" for name, value in self.facts]
        below += [f"Note: {note}" for note in self.notes]
        return "\n".join([self.title, rule, table[0], rule, *table[1:], rule, *below])

    def markdown(self) -> str:
        """A GitHub table and a list of facts."""
        head = f"| {' | '.join(_piped([self.corner, *self.headings]))} |"
        rows = [head, "|:--|" + "--:|" * len(self.headings)]
        rows += [f"| {' | '.join(_piped(row))} |" for row in self.rows]
        below = [f"- {name}: {value}" for name, value in self.facts]
        below += [f"- Note: {note}" for note in self.notes]
        return "\n".join([f"### {self.title}", "", *rows, *([""] if below else []), *below])

    def latex(self) -> str:
        """A tabular for a paper, its title in a comment; needs the booktabs package."""
        rows = [" & ".join(map(_latex, row)) + r" \\" for row in self.rows]
        span = len(self.headings) + 1
        facts = [rf"\multicolumn{{{span}}}{{l}}{{{_latex(f'{n}: {v}')}}} \\" for n, v in self.facts]
        notes = [
            rf"\multicolumn{{{span}}}{{p{{\linewidth}}}}{{Note: {_latex(note)}}} \\"
            for note in self.notes
        ]
        below = [r"\midrule", *facts, *notes] if facts or notes else []
        heads = " & ".join(["", *map(_latex, self.headings)]) + r" \\"
        return "\n".join(
            [f"% {self.title}",
             rf"\begin{{tabular}}{{l{'r' * len(self.headings)}}}", r"\toprule", heads, r"\midrule",
             *rows, *below, r"\bottomrule", r"\end{tabular}"]
        )  # fmt: skip

    def html(self) -> str:
        """A plain table, class `penchant-summary`."""
        heads = "".join(f"<th>{escape(head)}</th>" for head in ("", *self.headings))
        rows = "".join(
            f"<tr><th>{escape(row[0])}</th>"
            f"{''.join(f'<td>{escape(cell)}</td>' for cell in row[1:])}</tr>"
            for row in self.rows
        )
        facts = "".join(f"<li>{escape(f'{name}: {value}')}</li>" for name, value in self.facts)
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        below = f"<ul>{facts}{notes}</ul>" if facts or notes else ""
        return (
            f'<table class="penchant-summary"><caption>{escape(self.title)}</caption>'
            f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>{below}"
        )


def _blank(cell: str, room: int) -> str:
    return " " * (room - width(cell))


def p_cell(p: float) -> str:
    """A p-value to three decimals, "<0.001" below; "nan" where there is none."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _piped(cells: list[str] | tuple[str, ...]) -> list[str]:
    """A bar inside a cell would end it."""
    return [cell.replace("|", r"\|") for cell in cells]


# One pass over the characters: what is written for one mark must not be escaped again.
_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}", "_": r"\_", "%": r"\%", "&": r"\&", "#": r"\#", "$": r"\$",
        "^": r"\^{}", "~": r"\textasciitilde{}", "{": r"\{", "}": r"\}", "<": "$<$", ">": "$>$",
    }
)  # fmt: skip


def _latex(text: str) -> str:
    return text.translate(_LATEX)
