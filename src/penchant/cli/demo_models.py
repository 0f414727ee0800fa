"""The ladders of the demo: which models, from nobody's taste to each person's own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penchant.data.records import Records
    from penchant.evaluation.predictions import Estimator

REFERENCE = "gradient-boosted trees"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """seed: of folds and of everything random; quick: small enough for a test, not for a claim."""

    seed: int = 0
    quick: bool = False


@dataclass(frozen=True, kw_only=True)
class Study:
    """Data, models by name in the ladder's order, and how people are judged on them.

    `num_known`: how many first answers of known people are revealed; None: no such split.
    `story`: the model that tells what things are worth and what a change would do.
    """

    name: str
    records: "Callable[[], Records]"
    models: "Mapping[str, Callable[[Settings], Estimator]]"
    num_known: int | None
    story: str = ""

    def splits(self) -> tuple[str, ...]:
        return ("new_people",) if self.num_known is None else ("new_people", "known_people")


def swissmetro_records() -> "Records":
    from penchant.data.samples import swissmetro

    return swissmetro()


def london_records() -> "Records":
    from penchant.data.samples import london

    return london()


def _logit(formula: str) -> "Callable[[Settings], Estimator]":
    def make(settings: Settings) -> "Estimator":
        from penchant.models.conditional_logit import ConditionalLogit

        return ConditionalLogit(formula=formula)

    return make


def _classes(
    formula: str, group_formula: str, num_classes: int
) -> "Callable[[Settings], Estimator]":
    def make(settings: Settings) -> "Estimator":
        from penchant.models.latent_class_logit import LatentClassLogit

        return LatentClassLogit(
            formula=formula,
            group_formula=group_formula,
            num_classes=2 if settings.quick else num_classes,
            num_starts=2 if settings.quick else 12,
            random_state=settings.seed,
        )

    return make


def _mixed(formula: str, random: tuple[str, ...]) -> "Callable[[Settings], Estimator]":
    def make(settings: Settings) -> "Estimator":
        from penchant.models.mixed_logit import MixedLogit

        return MixedLogit(
            formula=formula,
            random=random,
            correlated=True,
            num_draws=32 if settings.quick else 256,
            random_state=settings.seed,
        )

    return make


def _trees(settings: Settings) -> "Estimator":
    from penchant.cli.demo_trees import BoostedTrees

    if settings.quick:
        return BoostedTrees(max_iter=20, random_state=settings.seed)
    return BoostedTrees(random_state=settings.seed)


ATTRIBUTES = "option + time/60 + cost + headway/60 + seats"
CONTEXT = "(option + time/60 + cost):(group + purpose + who + luggage + first + ga + age + income)"
SWISSMETRO = Study(
    name="swissmetro",
    records=swissmetro_records,
    models={
        "market shares": _logit("option"),
        "one taste for all": _logit(ATTRIBUTES),
        "taste by context": _logit(f"{ATTRIBUTES} + {CONTEXT}"),
        "latent classes": _classes(ATTRIBUTES, "group + purpose + who + ga + income", 5),
        "random coefficients": _mixed(ATTRIBUTES, ("option", "time/60", "cost")),
        REFERENCE: _trees,
    },
    num_known=6,
    story="taste by context",
)
LONDON = Study(
    name="london",
    records=london_records,
    models={
        "market shares": _logit("option"),
        "one taste for all": _logit("option + option:duration + cost + interchanges"),
    },
    num_known=None,
)
