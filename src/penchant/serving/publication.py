"""Beliefs from the learner to those who serve: one file a model, replaced whole or not at all."""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from penchant.errors import BeliefError, ConfigError
from penchant.fitting.online_named import OnlineNamed
from penchant.numerics.arrays import Array
from penchant.serving.decision_model import ModelConfig, model_config
from penchant.serving.event_store import Position

# One more whenever the same log would give other beliefs: those of before are then learnt anew.
_FORMAT = 2


@dataclass(frozen=True, kw_only=True, eq=False)
class Publication:
    """What a model knew after reading the log up to a position. unusable: feedback that it could
    not learn from."""

    config: ModelConfig
    position: Position
    learnt: OnlineNamed
    unusable: int


def belief_folder(database: Path) -> Path:
    """Where the beliefs of a log are published."""
    return database.with_name(database.name + ".beliefs")


def belief_file(folder: Path, tenant: str, model: str) -> Path:
    """Where the belief of one model is."""
    return folder / tenant / f"{model}.safetensors"


def publish(file: Path, said: Publication) -> None:
    """Written beside, made durable, then put in place: readers see the old belief or the new."""
    from safetensors.numpy import save

    # Names of features tell of people; whoever may not read the log may not read these.
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    arrays = {name: array.copy() for name, array in said.learnt.arrays().items()}
    told = json.dumps({
        "config": said.config.as_json(), "epoch": said.position.epoch, "seq": said.position.seq,
        "columns": said.learnt.coder.columns, "left_out": said.learnt.left_out,
        "unusable": said.unusable, "format": _FORMAT,
    })  # fmt: skip
    content = save(arrays, metadata={"told": told, "digest": _digest(told, arrays)})
    # One process learns at a time, so that one name is enough.
    partial = file.with_name(f"{file.name}.part")
    with partial.open("wb") as target:
        target.write(content)
        target.flush()
        os.fsync(target.fileno())
    partial.replace(file)
    # The new name too must outlive the machine.
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def published(file: Path) -> Publication | None:
    """The belief in a file, None where none is. Raises `BeliefError` for a damaged one, or one of
    another version of penchant."""
    from safetensors import SafetensorError, safe_open

    try:
        # A handle, as the name may stand for another file a moment later.
        with safe_open(file, "numpy") as held:
            metadata = held.metadata() or {}
            arrays = {name: held.get_tensor(name) for name in held.keys()}  # noqa: SIM118
    except FileNotFoundError:
        return None
    except (SafetensorError, OSError) as error:
        raise _damaged(file, str(error)) from error
    told = metadata.get("told", "")
    if metadata.get("digest") != _digest(told, arrays):
        raise _damaged(file, "its content is not what was written")
    plain = json.loads(told)
    if plain.get("format") != _FORMAT:
        raise _damaged(file, f"of format {plain.get('format')}, this penchant writes {_FORMAT}")
    try:
        config = model_config(plain["config"])
    except ConfigError as error:
        raise _damaged(file, str(error)) from error
    columns = tuple((feature, about) for feature, about in plain["columns"])
    learnt = OnlineNamed.from_arrays(config.learning, columns, arrays, plain["left_out"])
    return Publication(
        config=config, position=Position(plain["epoch"], plain["seq"]), learnt=learnt,
        unusable=plain["unusable"],
    )  # fmt: skip


def _digest(told: str, arrays: dict[str, Array]) -> str:
    digest = hashlib.sha256(told.encode())
    for name in sorted(arrays):
        digest.update(arrays[name].tobytes())
    return digest.hexdigest()


def _damaged(file: Path, why: str) -> BeliefError:
    return BeliefError(
        f"{file} is no belief ({why}); expected one that a learner published. Delete it: the "
        "learner makes it anew from the log."
    )
