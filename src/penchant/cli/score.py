"""`penchant score`: a reward model's word on texts, file in, lines out."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penchant.cli import options, shell
from penchant.serving.plain_json import finite, parsed

if TYPE_CHECKING:
    from penchant.models.reward_scorer import RewardScorer
    from penchant.serving.lines import Names

ModelFolder = Annotated[
    Path,
    typer.Option(
        "--belief",
        "-b",
        help="Folder that `penchant fit --model reward --out` wrote.",
        show_default=False,
    ),
]


@shell.guarded
def score(
    file: Annotated[
        Path,
        typer.Argument(
            help="JSONL, Parquet or CSV file of texts, or of chosen and rejected ones; - reads "
            "JSONL from standard input.",
            show_default=False,
        ),
    ],
    belief: ModelFolder,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="JSONL, Parquet or CSV file to write; without it JSONL goes to standard output, "
            "line by line.",
            show_default=False,
        ),
    ] = None,
    history: options.HistoryFile = None,
    description: options.DescriptionFile = None,
    text: Annotated[str, typer.Option(help="Column of the texts.")] = "text",
    prompt: Annotated[str, typer.Option(help="Column of the prompts.")] = "prompt",
    person: Annotated[str, typer.Option(help="Column that says who is asking.")] = "person",
    debug: options.Debug = False,
) -> None:
    """Give each text of FILE its reward, with interval, ignorance and what is not known.

    Every line comes back with reward, low, high, ignorance, unfamiliar and knows_person. A line
    with `chosen` and `rejected` (TRL's format) comes back with margin, low, high, soft_label and
    weight: a preference data set that a trainer can use. Another file that `penchant fit` takes is
    read by its description and gives a line for each pair (first, second, their rewards, the margin
    of the first) and for each text of other menus.
    """
    from penchant.cli.fit_reward import cache_folder
    from penchant.data.readers.table import check_writable
    from penchant.serving.lines import Names, score_lines

    if out is not None:
        check_writable(out)
    scorer = load_scorer(belief, history, description, cache_folder())
    names = Names(text=text, prompt=prompt, person=person)
    if is_described(file, names):
        from penchant.cli.reading import read_file
        from penchant.serving.described import score_records

        records = read_file(file, description, belief=belief).records
        _write(score_records(scorer, records, names), out)
        return
    rows = _lines(file)
    kept: list[dict[str, Any]] = []

    def taken() -> Iterator[dict[str, Any]]:
        for row in rows:
            if out is not None:
                check_writable(out, any(isinstance(each, list | dict) for each in row.values()))
            kept.append(row)
            yield row

    said = score_lines(scorer, taken(), names)
    _write(({**kept.pop(0), **each} for each in said), out)


def is_described(file: Path, names: "Names") -> bool:
    """Whether a description has to say where FILE's texts are: penchant kept the file, or its lines
    have no text under the name in `names` or under one of TRL's. Bare embeddings need no text, but
    beside a description they have one."""
    if str(file) == "-" or not file.is_file():
        return False
    from penchant.data.readers.native import is_nested

    if is_nested(file):
        return True
    first = next(_lines(file), {})
    texts = {names.text, "completion"}
    if not file.with_suffix(".toml").is_file():
        texts.add(names.embedding)
    return bool(first) and not (texts & set(first) or {"chosen", "rejected"} <= set(first))


def _write(whole: Iterator[dict[str, Any]], out: Path | None) -> None:
    if out is None or out.suffix.lower() == ".jsonl":
        count = _stream(whole, out)
    else:
        count = _table(whole, out)
    if out is not None:
        shell.note(f"{count:,} lines written to {out}.")


def load_scorer(
    belief: Path, history: Path | None, description: Path | None, cache: Path | None
) -> "RewardScorer":
    """The model of a folder, with whom `history` makes known; `cache` keeps embeddings."""
    from penchant.cli.reading import read_file
    from penchant.models.reward_scorer import RewardScorer

    known = None
    if history is not None:
        known = read_file(history, description, belief=belief).records
    return RewardScorer.load(belief, known, cache)


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file, one after the other; of JSONL none is read before it is needed."""
    from penchant.errors import DataError

    if str(file) == "-":
        yield from _parsed(sys.stdin, "standard input")
    elif not file.is_file():
        raise DataError(
            f"there is no file {file}; expected a JSONL, Parquet or CSV file. Check the path."
        )
    elif file.suffix.lower() in (".jsonl", ".ndjson"):
        with file.open(encoding="utf-8") as lines:
            yield from _parsed(lines, file.name)
    else:
        from penchant.data.readers.table import load_table

        for batch in load_table(file).table.to_batches(max_chunksize=1024):
            yield from batch.to_pylist()


def _parsed(lines: Any, name: str) -> Iterator[dict[str, Any]]:
    from penchant.errors import DataError

    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        row = parsed(line, f"line {number} of {name}")
        if not isinstance(row, dict):
            raise DataError(
                f"line {number} of {name} is a {type(row).__name__}; expected one object a line."
            )
        yield row


def _stream(rows: Iterator[dict[str, Any]], out: Path | None) -> int:
    import contextlib

    count = 0
    with contextlib.ExitStack() as stack:
        target = sys.stdout if out is None else stack.enter_context(out.open("w", encoding="utf-8"))
        for row in rows:
            target.write(_line(finite(row)) + "\n")
            count += 1
        target.flush()
    return count


def _line(row: Any) -> str:
    """JSON for eyes; escaped where a column holds half a pair of surrogates, which no file does."""
    import json

    line = json.dumps(row, ensure_ascii=False, default=str)
    try:
        line.encode()
    except UnicodeEncodeError:
        return json.dumps(row, default=str)
    return line


def _table(rows: Iterator[dict[str, Any]], out: Path) -> int:
    import pyarrow as pa

    from penchant.data.readers.table import write_table

    table = pa.Table.from_pylist(list(rows))
    write_table(table, out)
    return table.num_rows
