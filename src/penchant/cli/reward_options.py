"""What `penchant fit --model reward` may be told, and what does not go together."""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from penchant.errors import ConfigError

if TYPE_CHECKING:
    from penchant.models.reward_kinds import People

# Populations of judges in the embedding itself, as `RewardModel(people=...)` names them.
KINDS: dict[str, "People"] = {"latent": "normal", "classes": "classes", "prototypes": "prototypes"}
JUDGES = ("taste", "habits", "one", *KINDS)


@dataclass(frozen=True, kw_only=True)
class RewardOptions:
    """What the command line says about a reward model; the empty word where it says nothing."""

    text: str = ""
    prompt: str = ""
    embedding: str = ""
    embedder: str = ""
    attributes: str = ""
    judges: str = ""
    kinds: int | None = None
    soft_label: str = ""
    margin: str = ""
    reason: tuple[str, ...] = ()
    topic: str = ""
    by: tuple[str, ...] = ()
    folds: int | None = None
    endpoint: str = ""
    language_model: str = ""
    tune: str = ""
    learning_rate: float | None = None
    epochs: int | None = None
    classifier: bool = False
    seed: int = 0

    def given(self) -> tuple[str, ...]:
        """The options that were used, as they are typed."""
        return tuple(
            f"--{each.name.replace('_', '-')}"
            for each in fields(self)
            if each.name != "seed" and getattr(self, each.name) != each.default
        )


def check_reward(wanted: RewardOptions, others: dict[str, Any]) -> None:
    """Raise ConfigError for what does not go together; `others`: options of other models."""
    used = [name for name, value in others.items() if value]
    if used:
        raise ConfigError(
            f"{used[0]} belongs to models of features; with --model reward it would change "
            "nothing. Leave it out."
        )
    if wanted.judges and wanted.judges not in JUDGES:
        raise ConfigError(
            f"--judges got {wanted.judges!r}; expected taste (what they like, too), habits "
            "(reliability, ties, favour for the first), one (an average judge), or kinds of taste "
            "in the texts themselves: classes, prototypes (mixes of them) or latent."
        )
    if wanted.kinds is not None and (wanted.judges not in KINDS or wanted.kinds < 2):
        raise ConfigError(
            f"got --kinds {wanted.kinds} with --judges {wanted.judges or 'taste'}; expected 2 or "
            f"more, with one of {', '.join(KINDS)}."
        )
    sources = [f"--{name.replace('_', '-')}" for name in ("embedding", "embedder", "language_model")
               if getattr(wanted, name)]  # fmt: skip
    if len(sources) > 1:
        raise ConfigError(
            f"got both {sources[0]} and {sources[1]}; expected one: a column of numbers that the "
            "file brings, or a model that reads the texts."
        )
    check_language_options(wanted)
    if wanted.soft_label and wanted.judges not in ("", "one"):
        raise ConfigError(
            f"got --soft-label with --judges {wanted.judges}; a soft label is no answer of one "
            "person. Leave --judges out."
        )
    if wanted.reason and wanted.soft_label:
        raise ConfigError(
            "got --reason with --soft-label; a reason says why one text was preferred, and a soft "
            "label prefers none. Expected one of the two."
        )
    if wanted.margin and (wanted.soft_label or wanted.judges in KINDS):
        other = "--soft-label" if wanted.soft_label else f"--judges {wanted.judges}"
        raise ConfigError(
            f"got --margin with {other}; a margin is of who won, to one average head. Expected one "
            "of the two."
        )


def check_language_options(wanted: RewardOptions) -> None:
    """Raise ConfigError where an option of servers or language models would change nothing."""
    if wanted.endpoint and not wanted.embedder:
        raise ConfigError(
            "got --endpoint without --embedder; expected the model's name at that server too."
        )
    needs = {
        "--tune": (wanted.tune, wanted.language_model, "--language-model"),
        "--classifier": (wanted.classifier, wanted.language_model, "--language-model"),
        "--learning-rate": (wanted.learning_rate, wanted.tune, "--tune"),
        "--epochs": (wanted.epochs, wanted.tune, "--tune"),
    }
    for name, (given, needed, other) in needs.items():
        if given and not needed:
            raise ConfigError(f"got {name} without {other}; expected both, or neither.")
    if wanted.learning_rate == 0:
        raise ConfigError("got --learning-rate 0; expected a rate above 0, such as 0.0002.")
    if wanted.tune not in ("", "low_rank", "whole"):
        raise ConfigError(
            f"--tune got {wanted.tune!r}; expected low_rank (adapters) or whole (every parameter)."
        )
    if wanted.classifier and wanted.attributes not in ("", "none"):
        raise ConfigError(
            f"got --classifier with --attributes {wanted.attributes}; a sequence classification "
            "has no place for them. Expected --attributes none."
        )
