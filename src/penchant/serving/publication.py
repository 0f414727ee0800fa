"""Beliefs from the learner to those who serve: one a model, replaced whole or not at all."""

import hashlib
import json
from dataclasses import dataclass

from penchant.errors import BeliefError, ConfigError
from penchant.fitting.online_named import OnlineNamed
from penchant.numerics.arrays import Array
from penchant.serving.decision_model import ModelConfig, model_config
from penchant.serving.event_store import EventStore, Position

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


def publish(store: EventStore, tenant: str, model: str, said: Publication) -> None:
    """In place of what was published of the model before: readers see the old belief or the new."""
    from safetensors.numpy import save

    arrays = {name: array.copy() for name, array in said.learnt.arrays().items()}
    told = json.dumps({
        "config": said.config.as_json(), "epoch": said.position.epoch, "seq": said.position.seq,
        "columns": said.learnt.coder.columns, "left_out": said.learnt.left_out,
        "unusable": said.unusable, "format": _FORMAT,
    })  # fmt: skip
    content = save(arrays, metadata={"told": told, "digest": _digest(told, arrays)})
    store.connection.put_belief(tenant, model, content)


def published(store: EventStore, tenant: str, model: str) -> Publication | None:
    """What was published of a model, None where nothing was. Raises `BeliefError` where that is
    damaged, or of another version of penchant."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    content = store.connection.belief(tenant, model)
    if content is None:
        return None
    name = store.connection.belief_name(tenant, model)
    try:
        arrays, metadata = load(content), _metadata(content)
    except (SafetensorError, ValueError) as error:
        raise _damaged(name, str(error)) from error
    told = metadata.get("told", "")
    if metadata.get("digest") != _digest(told, arrays):
        raise _damaged(name, "its content is not what was written")
    plain = json.loads(told)
    if plain.get("format") != _FORMAT:
        raise _damaged(name, f"of format {plain.get('format')}, this penchant writes {_FORMAT}")
    try:
        config = model_config(plain["config"])
    except ConfigError as error:
        raise _damaged(name, str(error)) from error
    columns = tuple((feature, about) for feature, about in plain["columns"])
    learnt = OnlineNamed.from_arrays(config.learning, columns, arrays, plain["left_out"])
    return Publication(
        config=config, position=Position(plain["epoch"], plain["seq"]), learnt=learnt,
        unusable=plain["unusable"],
    )  # fmt: skip


def _metadata(content: bytes) -> dict[str, str]:
    """Of a file of safetensors: eight bytes tell how long the JSON is that follows."""
    length = int.from_bytes(content[:8], "little")
    return dict(json.loads(content[8 : 8 + length]).get("__metadata__") or {})


def _digest(told: str, arrays: dict[str, Array]) -> str:
    digest = hashlib.sha256(told.encode())
    for name in sorted(arrays):
        digest.update(arrays[name].tobytes())
    return digest.hexdigest()


def _damaged(name: str, why: str) -> BeliefError:
    return BeliefError(
        f"{name} is no belief ({why}); expected one that a learner published. Delete it: the "
        "learner makes it anew from the log."
    )
