"""A file of votes too large for memory, counted as it is read.

Legend: B lines of a block.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from penchant.data.columns import DICTIONARY
from penchant.data.description import Description
from penchant.data.pair_counts import PairCounts, Parts, sum_counts
from penchant.data.readers.source import Source, prepare
from penchant.data.readers.table import CSV, PARQUET, Loaded
from penchant.data.readers.vote_counts import counts_from_columns
from penchant.data.readers.vote_parts import VoteColumns
from penchant.data.readers.votes import (
    set_aside,
    vote_description,
    votes_from_columns,
    word_columns,
)
from penchant.data.votes import Votes
from penchant.errors import DataError

# Bytes of a CSV, and lines of a Parquet file, read at a time. Arrow reads some blocks ahead.
_BLOCK_BYTES = 1 << 22
_BLOCK_LINES = 1 << 19
# Pairs kept apart before they are added up again; as many as are added up already, if these are
# more, so that all additions together cost no more than a few of the last one.
_MOST_APART = 1_000_000
# Bad lines kept to be shown; more are counted only.
_MOST_ASIDE = 100_000


@dataclass(frozen=True, kw_only=True, eq=False)
class CountsRead:
    """Counts, or of graded votes one for each pair as shown and grade, weighed by how often; how
    many lines were read, how many of them are bad, and those set aside."""

    data: PairCounts | Votes
    num_lines: int
    num_bad: int
    notes: tuple[str, ...]
    quarantined: pa.Table | None


def can_stream(path: str | Path) -> bool:
    """Whether the file's format is read block by block."""
    return str(path).lower().endswith((*CSV, *PARQUET))


def knows_grades(description: Description) -> bool:
    """Whether a block can be read without the others: the scale of grades is not in every one."""
    return description.kind != "graded" or bool(description.levels)


def count_file(
    path: str | Path,
    description: Description,
    *,
    on_bad_rows: str = "error",
    on_block: Callable[[int, float], None] | None = None,
) -> CountsRead:
    """Counts of a CSV or Parquet file of layout "pairs" or "arena", in little memory; votes added
    up by pair and grade where they are graded and `levels` tell the scale.

    Only the columns of items, answer and weight are read. `on_block(lines, part)` is called after
    each block with the lines read so far and the part of the file behind. Raises DataError at the
    first bad line, with its number in the file, unless `on_bad_rows` is "quarantine".
    """
    file = Path(path)
    said = vote_description(
        replace(description, person=None, time=None), _columns_of(file, description)
    )
    said = replace(said, person=None, time=None, situation=(), context=(), person_features=(),
                   source=None, feature_columns={})  # fmt: skip
    total = _Total(_GradeSum() if said.kind == "graded" else _CountSum())
    for table, part in _blocks(file, said):
        header = 0 if file.name.lower().endswith(PARQUET) else 1
        source = prepare(table, said, file.name, on_bad_rows == "error", header)
        source.bad.begin = total.num_lines
        total.sums.add(source)
        aside = set_aside(Loaded(table=table, name=file.name), source)
        total.put_aside(aside)
        total.num_lines += table.num_rows
        total.note(source.notes)
        if on_block is not None:
            on_block(total.num_lines, part)
    return total.result()


class _CountSum:
    """Counts of pairs, block by block."""

    def __init__(self) -> None:
        self.place: dict[str, int] = {}
        self.parts: list[Parts] = []
        self.apart = 0

    def add(self, source: Source) -> None:
        counts = counts_from_columns(source)
        here = [self.place.setdefault(name, len(self.place)) for name in counts.items]
        to = np.asarray(here, dtype=np.int32)
        self.parts.append((to[counts.first], to[counts.second], counts.first_wins,
                           counts.second_wins, counts.ties))  # fmt: skip
        self.apart += counts.num_pairs
        if self.apart > max(_MOST_APART, len(self.parts[0][0])):
            self.merged()

    def merged(self) -> PairCounts:
        counts = sum_counts(tuple(self.place), self.parts)
        self.parts = [(counts.first, counts.second, counts.first_wins, counts.second_wins,
                       counts.ties)]  # fmt: skip
        self.apart = 0
        return counts


class _GradeSum:
    """Graded votes of pairs as shown, block by block."""

    def __init__(self) -> None:
        self.parts: list[Votes] = []
        self.apart = 0

    def add(self, source: Source) -> None:
        votes = votes_from_columns(source, VoteColumns()).added_up()
        self.parts.append(votes)
        self.apart += len(votes)
        if self.apart > max(_MOST_APART, len(self.parts[0])):
            self.merged()

    def merged(self) -> Votes:
        whole = self.parts[0]
        for part in self.parts[1:]:
            whole = whole.merged(part)
        self.parts, self.apart = [whole.added_up()], 0
        return self.parts[0]


class _Total:
    """What has been read so far; `sums` adds the votes up."""

    def __init__(self, sums: _CountSum | _GradeSum) -> None:
        self.sums = sums
        self.num_lines = 0
        self.num_bad = 0
        self.aside: list[pa.Table] = []
        self.notes: dict[str, None] = {}

    def put_aside(self, table: pa.Table | None) -> None:
        if table is None:
            return
        self.num_bad += table.num_rows
        if sum(part.num_rows for part in self.aside) < _MOST_ASIDE:
            self.aside.append(table)

    def note(self, notes: Sequence[str]) -> None:
        self.notes |= dict.fromkeys(notes) if len(self.notes) < 100 else {}

    def result(self) -> CountsRead:
        if not self.sums.parts:
            raise DataError("the file has no lines; expected votes below its header.")
        aside = pa.concat_tables(self.aside, promote_options="permissive") if self.aside else None
        return CountsRead(
            data=self.sums.merged(), num_lines=self.num_lines, num_bad=self.num_bad,
            notes=_summed(self.notes), quarantined=aside,
        )  # fmt: skip


def _summed(notes: dict[str, None]) -> tuple[str, ...]:
    """Notes of blocks that differ in their numbers only are one note too many to be shown."""
    texts = list(notes)
    return tuple(texts) if len(texts) <= 5 else (*texts[:5], f"and {len(texts) - 5} more notes")


def _columns_of(file: Path, description: Description) -> list[str]:
    if file.name.lower().endswith(PARQUET):
        import pyarrow.parquet as pq

        return list(pq.ParquetFile(file).schema_arrow.names)
    return list(_open_csv(file, description, None).schema.names)


def head_of(path: str | Path, description: Description | None = None) -> pa.Table:
    """The first block of a file, to guess from."""
    file = Path(path)
    said = description or Description(layout="pairs")
    if file.name.lower().endswith(PARQUET):
        import pyarrow.parquet as pq

        return pa.Table.from_batches([next(pq.ParquetFile(file).iter_batches(_BLOCK_LINES // 8))])
    return pa.Table.from_batches([_open_csv(file, said, None).read_next_batch()])


def _blocks(file: Path, said: Description) -> Iterator[tuple[pa.Table, float]]:
    wanted = list(said.named_columns())
    if file.name.lower().endswith(PARQUET):
        import pyarrow.parquet as pq

        parquet = pq.ParquetFile(file, read_dictionary=list(said.option_columns))
        total, done = max(parquet.metadata.num_rows, 1), 0
        for batch in parquet.iter_batches(_BLOCK_LINES, columns=wanted):
            done += batch.num_rows
            yield pa.Table.from_batches([batch]), done / total
        return
    expected, done = _expected_lines(file), 0
    try:
        for batch in _open_csv(file, said, wanted):
            done += batch.num_rows
            yield pa.Table.from_batches([batch]), min(done / expected, 1.0)
    except pa.ArrowInvalid as error:
        raise DataError(
            f"{file.name} cannot be read on as CSV ({str(error).strip().splitlines()[0]}). "
            "Expected every line to have as many cells as the header, of one type in a column. "
            "Correct the line, or name the separator as `file.delimiter` in the description."
        ) from None


def _expected_lines(file: Path) -> float:
    """How many lines there will be if all are as long as the first ones.

    The reader runs ahead of what it hands out, so that its place in the file says little.
    """
    with file.open("rb") as raw:
        start = raw.read(_BLOCK_BYTES)
    if file.suffix == ".gz":
        # A guess: votes are some 50 bytes long and pack to a fifth.
        return max(file.stat().st_size / 10.0, 1.0)
    return max(file.stat().st_size * start.count(b"\n") / max(len(start), 1) - 1.0, 1.0)


def _open_csv(file: Path, said: Description, wanted: list[str] | None) -> Any:
    from pyarrow import csv

    raw = pa.OSFile(str(file))
    stream = pa.CompressedInputStream(raw, "gzip") if file.suffix == ".gz" else raw
    delimiter = "\t" if ".tsv" in file.name.lower() else said.delimiter
    names = word_columns(said, VoteColumns())
    return csv.open_csv(
        stream,
        read_options=csv.ReadOptions(
            encoding=said.encoding, block_size=_BLOCK_BYTES, use_threads=False
        ),
        parse_options=csv.ParseOptions(delimiter=delimiter),
        convert_options=csv.ConvertOptions(
            include_columns=wanted or [], null_values=list(said.nulls), strings_can_be_null=True,
            column_types=dict.fromkeys(names, DICTIONARY) if wanted else {},
        ),
    )  # fmt: skip
