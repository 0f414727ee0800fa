"""pandas DataFrames and Hugging Face datasets, in and out, every column kept."""

from pathlib import Path
from typing import Any

from penchant.data.description import Description
from penchant.data.readers.read import ReadResult, read
from penchant.data.readers.write import to_table
from penchant.data.records import Records
from penchant.errors import MissingExtraError


def from_pandas(
    frame: Any, description: Description | str | Path | None = None, on_bad_rows: str = "error"
) -> ReadResult:
    """Records from a pandas DataFrame; columns without a role are kept as extras."""
    return read(frame, description, on_bad_rows=on_bad_rows)


def to_pandas(records: Records, description: Description | None = None) -> Any:
    """A DataFrame in the layout of the description; without one, a line per option shown."""
    if description is None:
        return records.to_long_pandas()
    return to_table(records, description).to_pandas()


def from_dataset(
    dataset: Any, description: Description | str | Path | None = None, on_bad_rows: str = "error"
) -> ReadResult:
    """Records from a Hugging Face dataset; columns without a role are kept as extras."""
    return read(dataset, description, on_bad_rows=on_bad_rows)


def to_dataset(records: Records, description: Description | None = None) -> Any:
    """A Hugging Face dataset in the layout of the description, as trainers of TRL expect it."""
    try:
        from datasets import Dataset
    except ImportError:
        raise MissingExtraError(
            "Hugging Face's `datasets` is not installed, so records cannot become a dataset; "
            "expected it to be there. Install it with `pip install datasets`."
        ) from None
    table = records.to_long_table() if description is None else to_table(records, description)
    return Dataset(table.unify_dictionaries())
