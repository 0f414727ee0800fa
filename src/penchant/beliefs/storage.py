"""A belief on disk: belief.json says what, belief.safetensors holds the numbers."""

import hashlib
import json
import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypeVar

import numpy as np

from penchant.beliefs.belief import Belief
from penchant.beliefs.codec import from_plain, to_plain
from penchant.errors import BeliefError

# Raised whenever a stored field changes its meaning; beliefs of another format are refused.
FORMAT = 1
Kind = TypeVar("Kind")
JSON_NAME, ARRAYS_NAME = "belief.json", "belief.safetensors"


def save_belief(belief: Belief, folder: Path) -> None:
    """Write both files; each appears whole or not at all, the JSON last."""
    save_value(belief, folder)


def load_belief(folder: Path) -> Belief:
    """Read a belief. Raises `BeliefError` where the folder is damaged or of another format."""
    belief = load_value(folder)
    if not isinstance(belief, Belief):
        raise BeliefError(
            f"{folder / JSON_NAME} describes a {type(belief).__name__}; expected a Belief."
        )
    return belief


def save_value(belief: object, folder: Path) -> None:
    """Any frozen dataclass of penchant, as `save_belief` writes a belief."""
    from safetensors.numpy import save

    arrays: dict[str, np.ndarray] = {}
    plain = to_plain(belief, arrays)
    tensors = save(arrays)
    document = {
        "format": FORMAT,
        "version": _version(),
        "arrays_sha256": hashlib.sha256(tensors).hexdigest(),
        "belief_sha256": _digest(plain),
        "belief": plain,
    }
    folder.mkdir(parents=True, exist_ok=True)
    _write_whole(folder / ARRAYS_NAME, tensors)
    _write_whole(folder / JSON_NAME, json.dumps(document, indent=1).encode())


def load_value(folder: Path) -> object:
    """What `save_value` wrote. Raises `BeliefError` where it is damaged or of another format."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        text = (folder / JSON_NAME).read_bytes()
        tensors = (folder / ARRAYS_NAME).read_bytes()
    except OSError as error:
        raise BeliefError(
            f"{folder} is not a belief: {error.strerror} ({Path(error.filename).name}); expected a "
            f"folder with {JSON_NAME} and {ARRAYS_NAME}, as `belief.save` or `penchant fit --out` "
            "writes."
        ) from error
    try:
        document = json.loads(text)
        form = document["format"]
        expected_sum, plain = document["arrays_sha256"], document["belief"]
    except (ValueError, KeyError, TypeError) as error:
        raise BeliefError(
            f"{folder / JSON_NAME} is damaged ({error}); expected the JSON that `belief.save` "
            "writes. Restore the file or fit again."
        ) from error
    if form != FORMAT:
        raise BeliefError(
            f"{folder} holds a belief of format {form!r} (penchant {document.get('version')}); "
            f"this penchant {_version()} reads format {FORMAT}. Install the version that wrote "
            "it, or fit again."
        )
    found_sum = hashlib.sha256(tensors).hexdigest()
    if found_sum != expected_sum:
        raise BeliefError(
            f"{folder / ARRAYS_NAME} has checksum {found_sum[:12]}..., but {JSON_NAME} expects "
            f"{str(expected_sum)[:12]}...: it was cut short, changed, or belongs to another "
            "belief. Restore the file or fit again."
        )
    try:
        arrays = load(tensors)
    except SafetensorError as error:
        raise BeliefError(f"{folder / ARRAYS_NAME} cannot be read ({error}). Fit again.") from error
    if _digest(plain) != document.get("belief_sha256"):
        raise BeliefError(
            f"{folder / JSON_NAME} was changed after it was written (its checksum differs). "
            "Restore the file or fit again."
        )
    found: object = from_plain(plain, arrays)
    return found


def load_as(kind: type[Kind], folder: str | Path) -> Kind:
    """What `save_value` wrote of a class. Raises `BeliefError` where the folder is damaged, of
    another format, or holds anything else."""
    found = load_value(Path(folder))
    if not isinstance(found, kind):
        raise BeliefError(
            f"{folder} holds a {type(found).__name__}; expected a {kind.__name__}. Name the folder "
            "that it was saved to."
        )
    return found


def _digest(plain: object) -> str:
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _write_whole(path: Path, content: bytes) -> None:
    partial = path.with_name(path.name + ".part")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _version() -> str:
    try:
        return version("penchant")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "unknown"
