"""Where a policy's training stands, on disk: one file, written whole or not at all."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from penchant.errors import BeliefError, ConfigError

_FILE = "trainer.safetensors"


def save_state(
    folder: Path, arrays: Mapping[str, np.ndarray], said: Mapping[str, Any], of: str
) -> None:
    """Replace the folder's state; `of` says of which run it is."""
    from safetensors.numpy import save

    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{_FILE}.part"
    document = json.dumps({"said": said, "of": of})
    partial.write_bytes(
        save(
            {name: np.asarray(a, order="C") for name, a in arrays.items()},
            metadata={"trainer": document},
        )
    )
    partial.replace(folder / _FILE)


def load_state(folder: Path, of: str) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    """What was saved; None where nothing was.

    Raises `BeliefError` where it is damaged, `ConfigError` where it is of another run.
    """
    from safetensors import SafetensorError, safe_open

    path = folder / _FILE
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="np") as file:
            document = json.loads(file.metadata()["trainer"])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
        said, found = document["said"], document["of"]
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise BeliefError(
            f"{path} cannot be read as the state of a training ({error}); expected what `save` "
            "wrote. Delete it to start again."
        ) from error
    if found != of:
        raise ConfigError(
            f"{folder} holds the training {found}; this one is {of}. Expected the same, or it "
            "would go on with something else: name another folder, or delete this one."
        )
    return arrays, said
