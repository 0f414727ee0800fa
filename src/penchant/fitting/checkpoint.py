"""Finished steps of a long fit, kept in a folder: an interrupted fit is taken up where it was."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from penchant.errors import DataError
from penchant.numerics.arrays import Array

Kept = Mapping[str, Array]
NAME = "fit-in-progress.json"


@dataclass(eq=False)
class Checkpoint:
    """folder: where steps are kept; None keeps nothing. key: what the fit is of (data, model,
    settings, version): steps of another key are thrown away. taken_up: names of the steps that
    were found, in order; made: of those that were worked out.

    A step that is found is not worked out again, and holds to the last bit what it held then, so
    that the fit goes on exactly as it would have. Steps are written whole or not at all.
    """

    folder: Path | None = None
    key: str = ""
    taken_up: list[str] = field(default_factory=list)
    made: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        said, own = self.folder / NAME, json.dumps({"key": self.key}) + "\n"
        if not said.is_file() or said.read_text(encoding="utf-8") != own:
            self._clear()
            said.write_text(own, encoding="utf-8")

    def once(self, name: str, compute: Callable[[], Kept]) -> Kept:
        """The arrays of a step: those kept under this name, else what `compute` makes of it."""
        path = None if self.folder is None else self.folder / f"{_as_file(name)}.npz"
        if path is not None and path.is_file():
            self.taken_up.append(name)
            return _read(path)
        result = compute()
        if path is not None:
            half = path.with_suffix(".half")
            with half.open("wb") as file:
                np.savez(file, **result)
            half.replace(path)
        self.made.append(name)
        return result

    def finish(self) -> None:
        """The fit is done: nothing needs to be kept any more."""
        if self.folder is not None and self.folder.is_dir():
            self._clear()
            if not any(self.folder.iterdir()):
                self.folder.rmdir()

    def _clear(self) -> None:
        assert self.folder is not None
        for pattern in ("*.npz", "*.half", NAME):
            for path in self.folder.glob(pattern):
                path.unlink()


def _read(path: Path) -> Kept:
    try:
        # From memory: a file that is no archive would be left open.
        with np.load(BytesIO(path.read_bytes()), allow_pickle=False) as found:
            return {name: found[name] for name in found.files}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise DataError(
            f"{path} is no step of a fit ({error}); expected a file that an interrupted fit left. "
            f"Remove the folder {path.parent}: the fit then begins anew."
        ) from error


def _as_file(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower())
