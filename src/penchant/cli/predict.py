"""`penchant predict`: how likely each option shown is to be chosen."""

from pathlib import Path
from typing import Annotated, Any

import typer

from penchant.cli import options, shell


@shell.guarded
def predict(
    file: options.File,
    belief: options.BeliefFolder,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Parquet, CSV or JSONL file to write.", show_default=False
        ),
    ] = None,
    history: options.HistoryFile = None,
    description: options.DescriptionFile = None,
    on_bad_rows: options.OnBadRows = "error",
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Give each option of each menu in FILE its probability of being chosen.

    One line per option shown: row (from 0, of the menus that were read, in the file's order),
    person, situation, option, probability.
    """
    from penchant.beliefs.belief import Belief
    from penchant.cli.reading import read_file

    learnt = Belief.load(belief)
    data = read_file(file, description, on_bad_rows=on_bad_rows, belief=belief, quiet=json)
    known = None
    if history is not None:
        known = learnt.encode(
            read_file(history, description, on_bad_rows=on_bad_rows, belief=belief,
                      quiet=json).records
        )  # fmt: skip
    with shell.waiting(f"Predicting {len(data.records):,} menus", json):
        batch = learnt.encode(data.records)
        probability = batch.flat(learnt.predict_proba(batch, known))
    table = _table(data.records, probability)
    if out is not None:
        from penchant.data.readers.table import write_table

        write_table(table, out)
        shell.note(f"{table.num_rows:,} probabilities written to {out}.", json)
    if json:
        shell.print_json(table.to_pylist())
    elif out is None:
        _print(table)


def _table(records: Any, probability: Any) -> Any:
    import pyarrow as pa

    row = records.row_of_option
    columns = {"row": pa.array(row)}
    for name in ("person", "situation"):
        if name in records.rows.column_names:
            columns[name] = records.rows[name].take(pa.array(row))
    if "option" in records.options.column_names:
        columns["option"] = records.options["option"]
    return pa.table({**columns, "probability": pa.array(probability)})


def _print(table: Any, most: int = 30) -> None:
    console = shell.output()
    names = table.column_names
    lines = [[_cell(value) for value in line.values()] for line in table.slice(0, most).to_pylist()]
    widths = [max(map(len, column)) for column in zip(names, *lines)]
    for line in [names, *lines]:
        console.print("  ".join(c.rjust(w) for c, w in zip(line, widths)), markup=False)
    if table.num_rows > most:
        shell.note(f"The first {most} of {table.num_rows:,} lines; --out writes all of them.")


def _cell(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
