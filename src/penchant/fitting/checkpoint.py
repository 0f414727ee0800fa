"""Finished steps of a long fit, kept in a folder: an interrupted fit is taken up where it was.

A training by mini-batches has no finished steps, only a state: `sgd_checkpoint.py`.

Legend: M parameters.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Float

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
    that the fit goes on exactly as it would have. Steps are written whole or not at all. A list in
    the folder names the files that are ours; no other file there is read, replaced or removed, and
    one that stands in the way of ours is a `DataError`.
    """

    folder: Path | None = None
    key: str = ""
    taken_up: list[str] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    _files: list[str] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        key, self._files = _read_list(self.folder / NAME)
        if key != self.key:
            self._clear()
            self._write_list()

    def once(self, name: str, compute: Callable[[], Kept]) -> Kept:
        """The arrays of a step: those kept under this name, else what `compute` makes of it."""
        found = self.find(name)
        if found is None:
            found = compute()
            self.keep(name, found)
        return found

    def find(self, name: str) -> Kept | None:
        """The arrays kept under this name, if any are."""
        path = self._path(name)
        if path is None or not self._is_kept(path):
            return None
        self.taken_up.append(name)
        return _read(path)

    def keep(self, name: str, result: Kept) -> None:
        """Keep the arrays of a step that was worked out."""
        path = self._path(name)
        if path is not None:
            half = path.with_suffix(".half")
            # Listed first: whatever happens next, what lies there is known as ours.
            if path.name not in self._files:
                self._files.append(path.name)
                self._write_list()
            with half.open("wb") as file:
                np.savez(file, **result)
            half.replace(path)
        self.made.append(name)

    def finish(self) -> None:
        """The fit is done: nothing needs to be kept any more."""
        if self.folder is not None and self.folder.is_dir():
            self._clear()
            if not any(self.folder.iterdir()):
                self.folder.rmdir()

    def _path(self, name: str) -> Path | None:
        return None if self.folder is None else self.folder / f"{_as_file(name)}.npz"

    def _is_kept(self, path: Path) -> bool:
        if path.name in self._files:
            return path.is_file()
        for mine in (path, path.with_suffix(".half")):
            if mine.exists():
                raise DataError(
                    f"{mine} is in the way: a step of the fit would be kept under this name, and "
                    "this file was not written by the fit (expected no such file). Move it "
                    "elsewhere, or name another folder for the fit."
                )
        return False

    def _write_list(self) -> None:
        assert self.folder is not None
        said = self.folder / NAME
        half = said.with_suffix(".half")
        half.write_text(
            json.dumps({"key": self.key, "files": self._files}) + "\n", encoding="utf-8"
        )
        half.replace(said)

    def _clear(self) -> None:
        assert self.folder is not None
        for name in (*self._files, NAME):
            path = self.folder / name
            path.with_suffix(".half").unlink(missing_ok=True)
            path.unlink(missing_ok=True)
        self._files = []


@dataclass(eq=False)
class Ascent:
    """A climb whose points are kept one after the other: interrupted, it goes on from the last.

    Only for climbs that need nothing but the point to go on exactly as they would have. start:
    where to begin, the last point kept if there is one. steps: taken up to there.
    """

    checkpoint: Checkpoint
    name: str
    start: Float[Array, " M"]
    steps: int = 0
    _points: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        while (found := self.checkpoint.find(self._next())) is not None:
            self.start, self.steps = found["theta"], int(found["steps"])
            self._points += 1

    def reached(self, steps: int, theta: Float[Array, " M"]) -> None:
        """Keep the point that so many steps from `start` have led to."""
        self.checkpoint.keep(
            self._next(), {"theta": theta, "steps": np.asarray(self.steps + steps)}
        )
        self._points += 1

    def _next(self) -> str:
        return f"{self.name}, point {self._points + 1}"


def _read_list(path: Path) -> tuple[str | None, list[str]]:
    """The key and the files that a fit listed here as its own; no key where there is no list."""
    if not path.is_file():
        return None, []
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        key, files = str(said["key"]), [str(name) for name in said.get("files", [])]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path} is no list of a fit's steps ({error!r}); expected what an interrupted fit "
            "left. Move it elsewhere, or name another folder for the fit."
        ) from error
    # A step is a plain name in this folder: a list that was changed by hand leads nowhere else.
    return key, [name for name in files if re.fullmatch(r"[a-z0-9-]+\.npz", name)]


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
