"""Where a training stands, on disk: two files, written whole or not at all."""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from penchant.errors import BeliefError, ConfigError

if TYPE_CHECKING:
    from penchant.fitting.sgd import Look, State, TrainConfig

_ARRAYS, _FORMAT = "training.safetensors", 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Checkpoint:
    """After `step` steps: the state then, and the best one so far with its place among `looks`
    (None: the same)."""

    step: int
    looks: "tuple[Look, ...]"
    best: int
    state: "State"
    best_state: "State | None"


def save_checkpoint(
    checkpoint: Checkpoint, folder: Path, config: "TrainConfig", fingerprint: str
) -> None:
    """Replace the folder's checkpoint. One file holds it all, so that no halves can mix."""
    from safetensors.numpy import save

    arrays = {f"now.{name}": np.asarray(a, order="C") for name, a in checkpoint.state.items()}
    if checkpoint.best_state is not None:
        arrays |= {
            f"best.{name}": np.asarray(a, order="C") for name, a in checkpoint.best_state.items()
        }
    document = {
        "format": _FORMAT,
        "step": checkpoint.step,
        "best": checkpoint.best,
        "fingerprint": fingerprint,
        "config": asdict(config),
        "looks": [_without_nan(asdict(look)) for look in checkpoint.looks],
    }
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{_ARRAYS}.part"
    partial.write_bytes(save(arrays, metadata={"training": json.dumps(document)}))
    partial.replace(folder / _ARRAYS)


def load_checkpoint(folder: Path, config: "TrainConfig", fingerprint: str) -> Checkpoint | None:
    """The folder's checkpoint; None where there is none.

    Raises `ConfigError` where it belongs to other data or another configuration, `BeliefError`
    where it is damaged.
    """
    from safetensors import SafetensorError, safe_open

    from penchant.fitting.sgd import Look

    path = folder / _ARRAYS
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="np") as file:
            document: dict[str, Any] = json.loads(file.metadata()["training"])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
        now, best = (_part(arrays, prefix) for prefix in ("now.", "best."))
        looks = tuple(Look(**_with_nan(look)) for look in document["looks"])
        made = Checkpoint(
            step=document["step"], looks=looks, best=document["best"], state=now,
            best_state=best or None,
        )  # fmt: skip
        found = {"config": document["config"], "fingerprint": document["fingerprint"]}
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise BeliefError(
            f"{path} cannot be read as a checkpoint ({error}); expected what an interrupted "
            "training left. Delete the folder to start again."
        ) from error
    for name, mine in (("config", asdict(config)), ("fingerprint", fingerprint)):
        if found[name] != mine:
            raise ConfigError(
                f"{folder} holds a training with {name} {found[name]}; this one has {mine}. "
                "Expected the same, or it would go on with something else: name another folder, "
                "or delete this one to start again."
            )
    return made


def _part(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}


def _without_nan(look: dict[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in look.items()}


def _with_nan(look: dict[str, Any]) -> dict[str, Any]:
    return {k: math.nan if v is None else v for k, v in look.items()}
