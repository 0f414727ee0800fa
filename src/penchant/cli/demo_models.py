"""The ladders of the demo: which models, from nobody's taste to each person's own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from penchant.numerics.arrays import Array

if TYPE_CHECKING:
    from penchant.data.records import Records
    from penchant.evaluation.predictions import Estimator

REFERENCE = "gradient-boosted trees"
# A thousandth of a nat over all people: far below what a prediction can show.
PRECISE_ENOUGH = 1e-3


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
    `rungs`: in words, what a model adds to the one before.
    """

    name: str
    records: "Callable[[], Records]"
    models: "Mapping[str, Callable[[Settings], Estimator]]"
    num_known: int | None
    story: str = ""
    rungs: "Mapping[str, str]" = field(default_factory=dict)

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
            num_starts=2,
            # Some twenty columns say who is of which class: unshrunk, they foretell new people
            # worse (0.697 nats, shrunk 0.689) and take twice the time.
            router_scale=0.5,
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
            tolerance=PRECISE_ENOUGH,
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
            doubt_draws=0 if settings.quick else 16,
            tolerance=PRECISE_ENOUGH,
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
TRIP = "distance + I(distance^2) + drive + I(drive^2) + fare + I(fare^2)"
# Who has no car chooses between train and Swissmetro only: one contrast of the options is all that
# a car can change.
CONTEXT = (
    f"(option + time/100 + {COST}):({WHO} + {TRIP}) "
    f"+ option[swissmetro]:has_car + (time/100 + {COST}):has_car"
)
RANDOM = ("option", "time/100", COST)
# A taste of headway of each person's own adds nothing (2 nats over all people), and costs twice the
# time.
RANDOM_OF_PERSONS = (*RANDOM, "option[car]:time/100", f"option[car]:{COST}")
SWISSMETRO = Study(
    name="swissmetro",
    records=swissmetro_records,
    models={
        "market shares": _logit("option"),
        "one taste for all": _logit(PLAIN),
        "taste by context": _logit(TERMS, CONTEXT, doubt_draws=16),
        "latent classes": _classes(TERMS, f"{WHO} + {TRIP}", 5),
        "random coefficients": _mixed(TERMS, RANDOM, CONTEXT),
        "personal tastes": _personal(TERMS, RANDOM_OF_PERSONS, CONTEXT),
        REFERENCE: _trees,
    },
    num_known=6,
    story="personal tastes",
    rungs={
        "market shares": "Everybody gets the same chances; what the options are like is ignored.",
        "one taste for all": "Minutes, francs, headway and seats count, alike for everybody.",
        "taste by context": "What counts depends on who travels and why: purpose, who pays, "
        "luggage, class and pass, age, sex, income, length of the trip. Over a hundred "
        "interactions, shrunk as far as the data ask; a franc weighs less on a dear trip.",
        "latent classes": "Five kinds of people instead, each with a taste of its own; context "
        "tells of which kind somebody is likely to be, answers tell better. Five kinds are too few "
        "to hold what a hundred interactions say of strangers.",
        "random coefficients": "Context again, and beyond it people differ: their tastes for the "
        "train, Swissmetro, minutes and francs vary from person to person, and go together. "
        "Answers reveal them, so known people gain most.",
        "personal tastes": "Minutes and francs by car are a taste of each person’s own, too. "
        "Everything told further down this page comes from this model.",
    },
)

LONDON_PLAIN = "option + duration + cost + interchanges"
LONDON_TERMS = "option + option:duration + log(1+cost) + interchanges"
LONDON_WHO = (
    "purpose + car_ownership + driving_license + female + scale(age) + when(age <= 17) "
    "+ when(start_hour >= 7):when(start_hour <= 9.5) "
    "+ when(start_hour >= 16):when(start_hour <= 19) "
    "+ when(start_hour >= 20) + when(day_of_week >= 6)"
)
LONDON_CONTEXT = f"(option + duration + log(1+cost)):({LONDON_WHO})"
LONDON_RANDOM = ("option", "log(1+cost)")
LONDON = Study(
    name="london",
    records=london_records,
    models={
        "market shares": _logit("option"),
        "one taste for all": _logit(LONDON_PLAIN),
        "taste by context": _logit(LONDON_TERMS, LONDON_CONTEXT, doubt_draws=16),
        "latent classes": _classes(LONDON_TERMS, "car_ownership", 4),
        "personal tastes": _personal(LONDON_TERMS, LONDON_RANDOM, LONDON_CONTEXT),
        REFERENCE: _trees,
    },
    num_known=2,
    rungs={
        "market shares": "Every trip gets the same chances.",
        "one taste for all": "Hours, pounds and interchanges count, alike for everybody.",
        "taste by context": "What counts depends on the purpose, the hour and the day, which vary "
        "inside a household, and on cars, licence, age and sex.",
        "latent classes": "Four kinds of households instead; only their cars tell of which kind a "
        "household is, for all else varies inside it.",
        "personal tastes": "Context again, and households differ in four tastes (public transport, "
        "bicycle, car, pounds), which their first trips reveal. Strangers gain nothing by it.",
    },
)
