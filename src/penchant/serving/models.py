"""The models of a tenant: what there is, which one decides, and what decided before."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from penchant.errors import ConfigError
from penchant.serving.decision_model import ModelConfig, model_config
from penchant.serving.event_store import EventStore, checked_name

DEFAULT = "default"
# The learner reads the log once for each.
_MOST_MODELS = 16


@dataclass(frozen=True, kw_only=True)
class Models:
    """live: the name of the one that decides; all others are its shadows. before: what decided
    before, latest last."""

    live: str
    before: tuple[str, ...]
    configs: Mapping[str, ModelConfig]


def models_of(store: EventStore, tenant: str) -> Models:
    """A tenant that said nothing has one model, `default`."""
    told = store.fetch("SELECT name, config FROM models WHERE tenant = ? ORDER BY name", tenant)
    configs = {DEFAULT: ModelConfig()} | {name: model_config(config) for name, config in told}
    order = store.fetch("SELECT model FROM promotions WHERE tenant = ? ORDER BY seq", tenant)
    history = [DEFAULT, *(name for (name,) in order)]
    return Models(live=history[-1], before=tuple(history[:-1]), configs=configs)


def put_model(store: EventStore, tenant: str, name: str, config: ModelConfig) -> None:
    """A model, which learns from the log beside the one that decides. A name once given is not
    given anew: raises `ConfigError` for one that says something else."""
    checked_name(name, "model")
    with store.transaction():
        there = models_of(store, tenant).configs.get(name)
        if there is not None and there != config:
            raise ConfigError(
                f"there is a model {name!r} that says otherwise; expected a new name, so that the "
                "log tells what decided."
            )
        if there is None:
            if len(models_of(store, tenant).configs) >= _MOST_MODELS:
                raise ConfigError(f"there are {_MOST_MODELS} models; expected no more.")
            store.execute(
                "INSERT INTO models VALUES (?, ?, ?, ?)", tenant, name, config.as_json(),
                time.time(),
            )  # fmt: skip


def promote(store: EventStore, tenant: str, name: str) -> None:
    """From now on this model decides. Raises `ConfigError` for one that is not there."""
    with store.transaction():
        models = models_of(store, tenant)
        if name not in models.configs:
            raise ConfigError(
                f"there is no model {name!r:.100}; expected one of {', '.join(models.configs)}."
            )
        if name != models.live:
            store.execute(
                "INSERT INTO promotions (tenant, model, promoted) VALUES (?, ?, ?)", tenant, name,
                time.time(),
            )  # fmt: skip


def roll_back(store: EventStore, tenant: str) -> str:
    """What decided before the last promotion decides again; its name. Raises `ConfigError` where
    nothing was promoted."""
    with store.transaction():
        models = models_of(store, tenant)
        if not models.before:
            raise ConfigError(
                f"{models.live!r} has decided from the beginning; expected a promotion to undo."
            )
        store.execute(
            "DELETE FROM promotions WHERE seq = (SELECT max(seq) FROM promotions WHERE tenant = ?)",
            tenant,
        )
    return models.before[-1]
