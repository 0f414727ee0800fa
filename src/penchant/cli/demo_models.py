"""The ladders of the demo: which models, from nobody's taste to each person's own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penchant.numerics.arrays import Array

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

    return _with_trip_columns(swissmetro())


def _with_trip_columns(records: "Records") -> "Records":
    """What the trip is like as a whole, told by today's train and car, for models and trees alike.

    distance: log of train minutes over 160; drive: log of car minutes over 130, 0 without a car;
    fare: log of train francs per minute over 0.45, 0 for holders of the annual pass.
    """
    import numpy as np

    from penchant.data.columns import to_codes

    codes, names = to_codes(records.options["option"])
    time = np.asarray(records.options["time"].to_numpy(), dtype=np.float64)
    cost = np.asarray(records.options["cost"].to_numpy(), dtype=np.float64)

    def of(option: str, values: Array) -> Array:
        lines = np.flatnonzero(codes == list(names).index(option))
        by_row = np.zeros(len(records))
        by_row[records.row_of_option[lines]] = values[lines]
        return by_row

    train, car, fare = of("train", time), of("car", time), of("train", cost)
    has_pass = np.asarray(records.rows["ga"].to_numpy()) == 1
    # Floors keep a handful of odd trips from stretching the scale.
    drive = np.where(car > 0, np.log(np.maximum(car, 20.0) / 130.0), 0.0)
    per_minute = np.log(np.maximum(fare / train, 0.05) / 0.45)
    return records.with_columns(
        rows={
            "distance": np.log(train / 160.0),
            "drive": drive,
            "has_car": (car > 0).astype(np.float64),
            "fare": np.where(has_pass, 0.0, per_minute),
        }
    )


def london_records() -> "Records":
    from penchant.data.samples import london

    return london()


def _logit(
    formula: str, shrunk: str = "", doubt_draws: int = 0
) -> "Callable[[Settings], Estimator]":
    def make(settings: Settings) -> "Estimator":
        from penchant.models.conditional_logit import ConditionalLogit

        return ConditionalLogit(
            formula=formula,
            shrunk="" if settings.quick else shrunk,
            doubt_draws=doubt_draws,
            random_state=settings.seed,
        )

    return make


def _classes(formula: str, group_formula: str, num: int) -> "Callable[[Settings], Estimator]":
    def make(settings: Settings) -> "Estimator":
        from penchant.models.latent_class_logit import LatentClassLogit

        return LatentClassLogit(
            formula=formula,
            group_formula="" if settings.quick else group_formula,
            num_classes=2 if settings.quick else num,
            num_starts=2 if settings.quick else 4,
            random_state=settings.seed,
        )

    return make


def _mixed(formula: str, random: tuple[str, ...], shrunk: str) -> "Callable[[Settings], Estimator]":
    def make(settings: Settings) -> "Estimator":
        from penchant.models.mixed_logit import MixedLogit

        return MixedLogit(
            formula=formula,
            random=random,
            correlated=True,
            shrunk="" if settings.quick else shrunk,
            num_draws=32 if settings.quick else 128,
            doubt_draws=0 if settings.quick else 16,
            random_state=settings.seed,
        )

    return make


def _personal(
    formula: str, random: tuple[str, ...], shrunk: str
) -> "Callable[[Settings], Estimator]":
    def make(settings: Settings) -> "Estimator":
        from penchant.models.personal_logit import PersonalLogit

        return PersonalLogit(
            formula=formula,
            random=random,
            shrunk="" if settings.quick else shrunk,
            num_draws=32 if settings.quick else 128,
            doubt_draws=0 if settings.quick else 8,
            # A thousandth of a nat over all people: far below what a prediction can show.
            tolerance=1e-3,
            random_state=settings.seed,
        )

    return make


def _trees(settings: Settings) -> "Estimator":
    from penchant.cli.demo_trees import BoostedTrees

    if settings.quick:
        return BoostedTrees(max_iter=20, random_state=settings.seed)
    return BoostedTrees(random_state=settings.seed)


PLAIN = "option + time/100 + cost/100 + headway/60 + seats"
# A franc more matters less on a dear trip: cost enters by its logarithm.
COST = "log(1+cost/20)"
TERMS = (
    f"option + time/100 + option[train]:time/100 + option[car]:time/100 + headway/60 "
    f"+ option[train]:headway/60 + seats + {COST} + option[train]:{COST} + option[car]:{COST}"
)
WHO = (
    "group + when(purpose in [commuter, return from work]) "
    "+ when(purpose in [shopping, return from shopping]) "
    "+ when(purpose in [business, return from business]) "
    "+ first + ticket + who + luggage + age + male + income + ga"
)
TRIP = "has_car + distance + I(distance^2) + drive + I(drive^2) + fare + I(fare^2)"
CONTEXT = f"(option + time/100 + {COST}):({WHO} + {TRIP})"
RANDOM = ("option", "time/100", COST, f"option[car]:{COST}")
RANDOM_OF_PERSONS = (*RANDOM, "option[car]:time/100", "headway/60")
SWISSMETRO = Study(
    name="swissmetro",
    records=swissmetro_records,
    models={
        "market shares": _logit("option"),
        "one taste for all": _logit(PLAIN),
        "taste by context": _logit(TERMS, CONTEXT, doubt_draws=16),
        "latent classes": _classes(TERMS, WHO, 5),
        "random coefficients": _mixed(TERMS, RANDOM, ""),
        "personal tastes": _personal(TERMS, RANDOM_OF_PERSONS, CONTEXT),
        REFERENCE: _trees,
    },
    num_known=6,
    story="personal tastes",
)

LONDON_PLAIN = "option + duration + cost + interchanges"
LONDON_TERMS = "option + option:duration + log(1+cost) + interchanges"
LONDON_WHO = (
    "purpose + car_ownership + driving_license + female + scale(age) + when(age <= 17) "
    "+ when(start_hour >= 7):when(start_hour <= 9.5) "
    "+ when(start_hour >= 16):when(start_hour <= 19) "
    "+ when(start_hour >= 20) + when(day_of_week >= 6)"
)
LONDON = Study(
    name="london",
    records=london_records,
    models={
        "market shares": _logit("option"),
        "one taste for all": _logit(LONDON_PLAIN),
        "taste by context": _logit(
            LONDON_TERMS, f"(option + duration + log(1+cost)):({LONDON_WHO})", doubt_draws=16
        ),
        REFERENCE: _trees,
    },
    num_known=None,
)
