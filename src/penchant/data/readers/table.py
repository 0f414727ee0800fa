"""Files and frames as Arrow tables: Parquet, CSV, JSONL, pandas, Hugging Face datasets."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from penchant.data.columns import DICTIONARY, line_hashes, one_chunk
from penchant.data.description import Description
from penchant.errors import ConfigError, DataError

PARQUET = (".parquet", ".pq")
CSV = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz")
JSON_LINES = (".jsonl", ".ndjson", ".json", ".jsonl.gz")
ARROW = (".arrow", ".feather")


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A table, what to call it, how many lines its header takes, and lines that did not parse."""

    table: pa.Table
    name: str
    header: int = 0
    unparsed: tuple[tuple[int, str, str], ...] = ()


def load_table(
    data: Any,
    description: Description | None = None,
    raises: bool = True,
    words: Collection[str] = (),
) -> Loaded:
    """The table in a file, a pandas DataFrame, an Arrow table, a Hugging Face dataset, or columns
    as lists by name.

    Lines of a CSV with too few or too many cells raise DataError, or are listed in `unparsed`.
    Columns of a CSV named in `words` are read as they are written: 007 is not 7.
    """
    if isinstance(data, str | Path):
        return _load_file(Path(data), description or Description(layout="long"), raises, words)
    if isinstance(data, pa.Table):
        return Loaded(table=data, name="the table")
    if isinstance(data, Mapping):
        return Loaded(table=_of_lists(data), name="the table")
    if hasattr(data, "to_parquet") and hasattr(data, "iloc"):
        # An index with a name is a column too; a mere row number is not.
        named = any(name is not None for name in data.index.names)
        return Loaded(table=pa.Table.from_pandas(data, preserve_index=named), name="the DataFrame")
    if hasattr(data, "with_format") and hasattr(data, "features"):
        # A Hugging Face dataset: its Arrow table, with selections and shuffles applied.
        return Loaded(table=data.with_format("arrow")[:], name="the dataset")
    if hasattr(data, "__arrow_c_stream__"):
        return Loaded(table=pa.table(data), name="the table")  # polars, DuckDB and others
    raise DataError(
        f"data of type {type(data).__name__} cannot be read; expected a path, a pandas DataFrame, "
        "an Arrow table, a Hugging Face dataset, or a dict of columns. Turn it into one of these "
        "first."
    )


def _of_lists(columns: Mapping[str, Any]) -> pa.Table:
    """Columns as lists or arrays by name."""
    try:
        return pa.table({str(name): _of_list(values) for name, values in columns.items()})
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError, ValueError) as error:
        found = ", ".join(
            f"{name} ({len(values) if hasattr(values, '__len__') else type(values).__name__})"
            for name, values in list(columns.items())[:8]
        )
        raise DataError(
            f"these columns make no table ({_first_sentence(error)}): {found}; expected lists of "
            "equal length, each of one type. Fill the gaps with None."
        ) from None


def _of_list(values: Any) -> Any:
    if isinstance(values, list) and isinstance(next(iter(values), None), str):
        try:
            # Looked up as they are read: half the time of writing all words out before.
            return pa.array(values, type=DICTIONARY)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            pass  # words and something else, of which Arrow says more
    return pa.array(values)


def _load_file(
    path: Path, description: Description, raises: bool, words: Collection[str]
) -> Loaded:
    if not path.is_file():
        raise DataError(
            f"there is no file {path}; expected a Parquet, CSV, JSONL or Arrow file. Check the "
            "path and the current folder."
        )
    name = path.name.lower()
    if name.endswith(PARQUET):
        return Loaded(table=_read_parquet(path), name=path.name)
    if name.endswith(CSV):
        return _read_csv(path, description, raises, words)
    if name.endswith(JSON_LINES):
        return Loaded(table=_read_json_lines(path), name=path.name)
    if name.endswith(ARROW):
        import pyarrow.feather

        return Loaded(table=pyarrow.feather.read_table(path), name=path.name)
    raise DataError(
        f"{path.name} has an ending that says nothing of its format; expected one of "
        f"{', '.join((*PARQUET, *CSV, *JSON_LINES, *ARROW))}. Rename the file."
    )


def _read_parquet(path: Path) -> pa.Table:
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        schema = file.schema_arrow
        words = [
            field.name
            for field in schema
            if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
        ]
        # Parquet already keeps words as a dictionary: asking for it saves encoding them again.
        return pq.read_table(path, read_dictionary=words)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(
            f"{path.name} is not a complete Parquet file ({path.stat().st_size} bytes; "
            f"{_first_sentence(error)}). Expected a file that begins and ends with the mark PAR1: "
            "it was probably cut off while being written or copied. Copy or export it again."
        ) from None


def _read_csv(path: Path, description: Description, raises: bool, words: Collection[str]) -> Loaded:
    from pyarrow import csv

    delimiter = "\t" if ".tsv" in path.name.lower() else description.delimiter
    _refuse_utf16(path, description.encoding)
    unparsed: list[tuple[int, str, str]] = []

    def parse(threads: bool) -> pa.Table:
        def handle(row: Any) -> str:
            number = row.number - 1 if row.number is not None else 0
            cells = f"{row.actual_columns} cells; expected {row.expected_columns}"
            unparsed.append((number, row.text, cells))
            return "skip"

        return csv.read_csv(
            path,
            read_options=csv.ReadOptions(
                encoding=description.encoding, use_threads=threads, block_size=1 << 22
            ),
            parse_options=csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=not threads, invalid_row_handler=handle
            ),
            convert_options=csv.ConvertOptions(
                null_values=list(description.nulls),
                strings_can_be_null=True,
                auto_dict_encode=True,
                auto_dict_max_cardinality=1000,
                column_types=dict.fromkeys(words, DICTIONARY),
            ),
        )

    try:
        table = parse(True)
        if unparsed:
            # Line numbers are only known when the file is read in one thread.
            unparsed.clear()
            table = parse(False)
    except (UnicodeError, LookupError) as error:
        raise _encoding_error(path, description.encoding, error) from None
    except pa.ArrowInvalid as error:
        if "UTF8" in str(error) or "UTF-8" in str(error):
            raise _encoding_error(path, description.encoding, error) from None
        raise DataError(
            f"{path.name} cannot be read as CSV ({_first_sentence(error)}). Expected a header line "
            f"and then cells separated by {delimiter!r}. Set `file.delimiter` in the description "
            "if it is another sign."
        ) from None
    # What is not UTF-8 comes back as bytes instead of words.
    if any(_is_bytes(field.type) for field in table.schema):
        raise _encoding_error(path, description.encoding, UnicodeError("invalid bytes"))
    if unparsed and raises:
        number, text, cells = unparsed[0]
        raise DataError(
            f"{path.name}, line {number + 1} of the file: {text[:80]!r} has {cells} as in the "
            f"header ({len(unparsed)} lines are like this). Put cells with {delimiter!r} in them "
            'into quotes, or read with on_bad_rows="quarantine".'
        )
    if len(table.column_names) != len(set(table.column_names)):
        twice = next(n for n in table.column_names if table.column_names.count(n) > 1)
        raise DataError(
            f"{path.name} has two columns called {twice!r}; expected every name once. Rename one."
        )
    return Loaded(table=table, name=path.name, header=1, unparsed=tuple(unparsed))


def _is_bytes(kind: Any) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _read_json_lines(path: Path) -> pa.Table:
    from pyarrow import json

    try:
        return json.read_json(path)
    except pa.ArrowInvalid as error:
        message = str(error)
        if "UTF8" in message or "UTF-8" in message:
            raise _encoding_error(path, "utf-8", error) from None
        row = re.search(r"in row (\d+)", message)
        at = f", line {int(row.group(1)) + 1}" if row else ""
        raise DataError(
            f"{path.name}{at} cannot be read as JSON lines ({_first_sentence(error)}). Expected "
            "one object per line, every key with values of one type. Correct the line."
        ) from None


_ENDINGS = (".parquet", ".pq", ".csv", ".tsv", ".jsonl", ".ndjson")


def check_writable(path: str | Path, has_lists: bool = False) -> None:
    """Whether `write_table` can write there, asked before the work that makes the table.

    Raises `ConfigError` for an ending that it does not know, a folder that is not there, and for
    lists or structures (`has_lists`) in CSV, which has no way to write them.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in _ENDINGS:
        raise ConfigError(
            f"{path} has the ending {ending!r}; expected .parquet, .csv, .tsv or .jsonl. Choose "
            "one of these."
        )
    if not path.parent.is_dir():
        raise ConfigError(f"{path} would lie in {path.parent}, which is no folder. Make it first.")
    if has_lists and ending in (".csv", ".tsv"):
        raise ConfigError(
            f"the rows hold lists or structures (messages, embeddings), which {ending} has no way "
            f"to write ({path}). Write .parquet or .jsonl instead."
        )


def write_table(table: pa.Table, path: str | Path) -> None:
    """The table as Parquet, CSV or JSONL, by the ending of the path."""
    ending = Path(path).suffix.lower()
    if ending in (".parquet", ".pq"):
        import pyarrow.parquet as pq

        pq.write_table(table, path, compression="zstd")
    elif ending in (".csv", ".tsv"):
        from pyarrow import csv

        lists = [field.name for field in table.schema if pa.types.is_nested(field.type)]
        if lists:
            raise DataError(
                f"column {lists[0]!r} holds lists or structures, which CSV has no way to write; "
                "expected plain values. Write .parquet or .jsonl instead."
            )
        options = csv.WriteOptions(delimiter="\t" if ending == ".tsv" else ",")
        csv.write_csv(_without_dictionaries(table), path, write_options=options)
    elif ending in (".jsonl", ".ndjson"):
        _write_json_lines(table, Path(path))
    else:
        raise ConfigError(
            f"{path} has the ending {ending!r}; expected .parquet, .csv, .tsv or .jsonl. Choose "
            "one of these."
        )


def write_aside(table: pa.Table, path: str | Path) -> Path:
    """Lines that were set aside, and where: CSV has no way to write lists, which nobody who named
    the file could know of them; then it is JSONL beside it."""
    path = Path(path)
    has_lists = any(pa.types.is_nested(field.type) for field in table.schema)
    if has_lists and path.suffix.lower() in (".csv", ".tsv"):
        path = path.with_suffix(".jsonl")
    write_table(table, path)
    return path


def _without_dictionaries(table: pa.Table) -> pa.Table:
    for i, name in enumerate(table.column_names):
        if pa.types.is_dictionary(table[name].type):
            table = table.set_column(i, name, one_chunk(table[name]).dictionary_decode())
    return table


def _write_json_lines(table: pa.Table, path: Path) -> None:
    import json

    with path.open("w", encoding="utf-8") as file:
        for batch in table.to_batches(max_chunksize=10_000):
            for line in batch.to_pylist():
                file.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")


def _refuse_utf16(path: Path, encoding: str) -> None:
    with path.open("rb") as file:
        start = file.read(2)
    if start in (b"\xff\xfe", b"\xfe\xff") and not encoding.lower().startswith("utf-16"):
        raise DataError(
            f"{path.name} begins with the bytes {start.hex(' ')}, the mark of UTF-16, but is read "
            f'as {encoding}. Set `encoding = "utf-16"` under [file] in the description.'
        )


def _encoding_error(path: Path, encoding: str, error: Exception) -> DataError:
    """Names the first byte that the encoding does not allow, and where it stands."""
    content = path.read_bytes()
    try:
        content.decode(encoding)
        place = _first_sentence(error)
    except UnicodeDecodeError as found:
        line = content.count(b"\n", 0, found.start) + 1
        place = f"byte 0x{content[found.start]:02x} at position {found.start}, line {line}"
    except LookupError:
        return DataError(
            f"there is no encoding {encoding!r}; expected a name such as utf-8, latin-1, cp1252 "
            "or utf-16. Set `encoding` under [file] in the description."
        )
    return DataError(
        f"{path.name} is not in the encoding {encoding}: {place} cannot be decoded. Expected "
        f"{encoding} throughout. Set the right one in the description, under [file]: often "
        'encoding = "cp1252" or "latin-1" for files from older Windows programs.'
    )


def _first_sentence(error: Exception) -> str:
    return str(error).strip().split("\n")[0].split(". ")[0].rstrip(".")


def count_duplicates(table: pa.Table) -> int:
    """How many lines equal an earlier one in every column, by a 64-bit hash of the line."""
    if not table.num_columns:
        return 0
    hashes = np.sort(line_hashes(table))
    return int((hashes[1:] == hashes[:-1]).sum())


def repeated_sentences(repeated: int, num_lines: int) -> tuple[str, ...]:
    """What to say of lines that equal an earlier one; nothing of none."""
    if not repeated:
        return ()
    return (
        f"{repeated} of {num_lines} lines repeat an earlier line exactly; they were kept. If the "
        "export doubled them, remove them.",
    )
