"""Where a training by mini-batches stands, on disk: one file, written whole or not at all.

What other fits keep are finished steps, each under its name: `checkpoint.py`.
"""

import hashlib
import json
import math
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from penchant.data.batch import Batch
from penchant.errors import BeliefError, ConfigError

if TYPE_CHECKING:
    from penchant.fitting.sgd import Look, State, TrainConfig

_ARRAYS, _FORMAT = "training.safetensors", 1


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingCheckpoint:
    """After `step` steps: the state then, and the best one so far with its place among `looks`
    (None: the same)."""

    step: int
    looks: "tuple[Look, ...]"
    best: int
    state: "State"
    best_state: "State | None"


def fingerprint_of(batch: Batch, *settings: object) -> str:
    """What a training is of, in words: settings (channels, say) and a hash of all it learns from.

    The records' fingerprint alone would not tell two formulas or two sets of weights apart.
    """
    seen = hashlib.blake2b(repr(batch.feature_names).encode(), digest_size=8)
    for block in batch.blocks:
        seen.update(repr((block.kind, block.features.shape)).encode())
        arrays = (block.features, block.offered, block.option, block.group, block.weight)
        for values in (*arrays, *(block.answer[name] for name in sorted(block.answer))):
            seen.update(np.ascontiguousarray(values).tobytes())
    names = ", ".join(batch.feature_names[:10])
    more = f" and {batch.num_features - 10} more" if batch.num_features > 10 else ""
    return (
        f"{batch.fingerprint or 'unnamed data'}; features {names}{more}; {in_words(*settings)}; "
        f"numbers {seen.hexdigest()}"
    )


def in_words(*settings: object) -> str:
    """Settings as a fingerprint has them; of arrays a hash."""
    return "; ".join(_said(setting) for setting in settings)


def _said(setting: object) -> str:
    """The same words in every process: no address in memory."""
    if isinstance(setting, tuple):
        return f"({', '.join(_said(one) for one in setting)})"
    if isinstance(setting, np.ndarray):
        return hashlib.blake2b(setting.tobytes(), digest_size=8).hexdigest()
    if isinstance(setting, np.generic):
        return repr(setting.item())
    if is_dataclass(setting) or isinstance(setting, str | int | float | None):
        return repr(setting)
    return type(setting).__qualname__


def save_training(
    checkpoint: TrainingCheckpoint, folder: Path, config: "TrainConfig", fingerprint: str
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


def load_training(
    folder: Path, config: "TrainConfig", fingerprint: str
) -> TrainingCheckpoint | None:
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
        made = TrainingCheckpoint(
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
