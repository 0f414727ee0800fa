"""What a leaderboard may be asked for, and which of it goes together."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from penchant.errors import ConfigError
from penchant.fitting.interval_kinds import INTERVAL_KINDS, IntervalKind
from penchant.fitting.paired import PairedConfig
from penchant.models.richer_votes import VOTER_MODELS, VoterModel

MODELS = ("bradley_terry", "thurstone", "plackett_luce")


@dataclass(eq=False)
class LeaderboardOptions:
    """Options of a `Leaderboard`.

    model: "bradley_terry" (Zermelo 1929; Bradley and Terry 1952), "thurstone" (1927) for pairs,
    "plackett_luce" for rankings; None takes what the data are. ties: "davidson", "rao_kupper" or
    "half"; a tie strength is estimated for the first two, and None takes Davidson's (Thurstone:
    Rao and Kupper's). covariates: columns of the votes, so
    that scores are at equal length, style or position ("shown_first"). context: a column; scores
    may differ by its values, shrunk to the common ones. voters: "reliability" lets voters differ
    in reliability, in what they make of the place and of ties (those who rank: in reliability);
    "classes" finds `num_classes` kinds of them. has_drift: scores walk over the time of the votes.
    interval: see `IntervalConfig`; level: of the intervals. prior_scale: standard deviation of
    every score before any data; None holds only items that no finite score fits. random_state: seed
    of what is drawn for intervals.

    Graded votes ("much better") are fitted as such: the thresholds between grades, which mirror
    each other, are estimated (Agresti 1992), and no `ties` are to be named.
    """

    model: Literal["bradley_terry", "thurstone", "plackett_luce"] | None = None
    ties: Literal["davidson", "rao_kupper", "half"] | None = None
    covariates: tuple[str, ...] = ()
    context: str | None = None
    voters: VoterModel | None = None
    num_classes: int = 2
    has_drift: bool = False
    interval: IntervalKind = "auto"
    level: float = 0.95
    prior_scale: float | None = None
    random_state: int = 0

    def check(self) -> None:
        """Raises ConfigError for options that no data could go with."""
        if self.model is not None and self.model not in MODELS:
            raise ConfigError(f"model is {self.model!r}; expected one of {', '.join(MODELS)}.")
        if self.voters is not None and self.voters not in VOTER_MODELS:
            raise ConfigError(
                f"voters is {self.voters!r}; expected one of {', '.join(VOTER_MODELS)}, or None."
            )
        if self.interval not in INTERVAL_KINDS:
            raise ConfigError(
                f"interval is {self.interval!r}; expected one of {', '.join(INTERVAL_KINDS)}."
            )
        if self.needs_votes:
            self.check_richer("covariates, a context, voters or drift do")
        # Says what is wrong with ties and prior.
        PairedConfig(link=self.link, ties=self.tie_model, prior_scale=self.prior_scale)
        if not 0 < self.level < 1:
            raise ConfigError(f"level is {self.level}; expected a number between 0 and 1, as 0.95.")

    def check_richer(self, what: str) -> None:
        """Raises ConfigError for an interval that models of single votes do not have; `what` asks
        for such a model."""
        # In models of voters a sandwich took 0.2 for an error of 2 where the bootstrap knew better.
        is_pooled = not self.has_drift and self.voters is None
        richer = ("auto", "wald", "voter_bootstrap") + (("voter",) if is_pooled else ())
        if self.interval not in richer:
            raise ConfigError(
                f"interval is {self.interval!r}, which {what} not go with; expected one of "
                f"{', '.join(richer)}, or none of those."
            )

    @property
    def needs_votes(self) -> bool:
        """Whether single votes matter, and counts do not say it all."""
        return bool(self.voters or self.asks_of_pairs)

    @property
    def asks_of_pairs(self) -> bool:
        """Whether anything is asked for that only votes between two items have."""
        return bool(self.covariates or self.context or self.has_drift)

    @property
    def link(self) -> Literal["logit", "probit"]:
        """What turns gaps into odds."""
        return "probit" if self.model == "thurstone" else "logit"

    @property
    def tie_model(self) -> Literal["davidson", "rao_kupper", "half"]:
        """The model of ties that was asked for, or the usual one."""
        return self.ties or ("rao_kupper" if self.model == "thurstone" else "davidson")

    def generator(self) -> np.random.Generator:
        """Fresh from the seed: every fit draws alike."""
        return np.random.default_rng(self.random_state)
