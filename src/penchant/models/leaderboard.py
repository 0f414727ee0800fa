"""A leaderboard from votes, counts or rankings: scores, places, and how sure both are."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from penchant.beliefs.strengths import Strengths
from penchant.data.description import Description
from penchant.data.pair_counts import PairCounts
from penchant.data.rankings import Rankings
from penchant.data.readers.vote_parts import VoteColumns
from penchant.data.records import Records
from penchant.data.votes import Votes
from penchant.errors import ConfigError, NotFittedError
from penchant.fitting.paired import PairedFit
from penchant.fitting.votes_drift import DriftFit
from penchant.fitting.votes_table import VotesFit
from penchant.models.grade_shares import GradeShares
from penchant.models.leaderboard_data import differ_by_blanks, observed_for
from penchant.models.leaderboard_fits import (
    BoardFit,
    Fit,
    asked,
    cast_name,
    fit_counts,
    fit_rankings,
    fit_votes,
)
from penchant.models.leaderboard_options import LeaderboardOptions
from penchant.models.pair_forecast import pair_probabilities, strengths_belief, votes_between
from penchant.models.richer_votes import Detail, table_of_standing
from penchant.models.standings import (
    LOGITS_PER_PROBIT,
    Bounds,
    Standing,
    normal_bounds,
    rank_bounds,
    standings,
)
from penchant.models.table import Table
from penchant.numerics.arrays import Array
from penchant.numerics.names import excerpt

_VOTERS_FORGOTTEN = (
    "The votes before were counts, which do not say who voted: the voters of the new votes play no "
    "part in the intervals. Fit all votes one by one for intervals by voter."
)


@dataclass(eq=False)
class Leaderboard(LeaderboardOptions):
    """Scores and ranks of items that people compared; `LeaderboardOptions` says what may be asked.

    `fit` leaves `standings_` (the best first), `warnings_`, `fit_` (strengths and model),
    `bounds_`, `above_` (who is surely above whom, as ranks count it; None for very many items) and
    `seconds_`; of voters and drift also `detail_`, the whole fit, and of graded votes `grades_`.
    `belief_` is what policies and askers receive, `predict_proba` what is foretold of a pair.
    """

    def fit(
        self,
        data: Votes | PairCounts | Rankings | Records | Any,
        description: Description | str | Path | None = None,
        *,
        on_step: Callable[[int, float], None] | None = None,
    ) -> "Leaderboard":
        """Rank the items of votes, counts, rankings, records of either, or a file or table. Ratings
        become votes between every two items of a person, and a warning says so.

        `description` says which column plays which role; None guesses. `on_step(step, gain)` is
        called after each step of the climb. Raises DataError for unusable data, ConfigError for
        options that do not go together.
        """
        self.check()
        began = time.perf_counter()
        self.warnings_: tuple[str, ...] = ()
        found, notes = self._observed(data, description)
        # Kept for an update: intervals and warnings rest on who cast them.
        self._votes: Votes | None = None
        self._take(self._board_fit(found, on_step))
        self.warnings_ = (*notes, *self.warnings_)
        self.seconds_ = time.perf_counter() - began
        return self

    def _board_fit(
        self,
        found: Votes | PairCounts | Rankings,
        on_step: Callable[[int, float], None] | None,
    ) -> BoardFit:
        if isinstance(found, Rankings):
            return fit_rankings(self, found, on_step)
        if self.model == "plackett_luce":
            raise ConfigError(
                'model="plackett_luce" is for rankings, but the data are pairs; expected '
                'model="bradley_terry" (the same likelihood on two items) or "thurstone".'
            )
        if isinstance(found, PairCounts):
            if self.needs_votes:
                raise ConfigError(
                    "covariates, contexts, voters and times belong to single votes, but counts "
                    "were given; expected `Votes`, records or a file."
                )
            return fit_counts(self, found, None, on_step)
        if self.needs_votes or found.grade is not None:
            self._votes = found
            return fit_votes(self, found, on_step)
        self._votes = found.plain()
        return fit_counts(self, found.counts(), self._votes, on_step)

    def update(self, votes: Votes) -> "Leaderboard":
        """Take in further votes. A plain leaderboard is fitted to all votes, those before as it was
        given them: one by one, or as counts, which know no voters. Scores that drift take new votes
        in one pass and do not look back (see `DriftFit.distance`).

        Raises ConfigError for a leaderboard with covariates, contexts or voters: fit it again.
        """
        self._fitted()
        began = time.perf_counter()
        detail = self.detail_
        if isinstance(detail, DriftFit):
            missing = set(self.covariates) - set(votes.covariate_names)
            if missing:
                raise ConfigError(
                    f"the new votes lack the covariates {sorted(missing)}; expected all of "
                    f"{self.covariates}, as in the votes before."
                )
            now = detail.now.update(asked(self, votes))
            fit = table_of_standing(now, None, detail.warnings)
            known = {row.name: row.votes for row in self.standings_}
            fresh = dict(zip(votes.items, votes.counts().votes_of_item))
            total = np.array([known.get(n, 0.0) + fresh.get(n, 0.0) for n in fit.items])
            bounds = normal_bounds(fit.strengths, fit.strength_covariance, self.level)
            self._take(BoardFit(
                fit=fit, items=fit.items, bounds=bounds, island=now.island, votes_of_item=total,
                warnings=self.warnings_, detail=replace(detail, now=now), grades=self.grades_,
            ))  # fmt: skip
        elif self.grades_ is not None and not self.needs_votes:
            assert self._votes is not None
            self._votes = self._votes.merged(votes.plain())
            self._take(fit_votes(self, self._votes))
        elif isinstance(self.fit_, PairedFit):
            if self._votes is not None:
                self._votes = self._votes.merged(votes.plain())
                self._take(fit_counts(self, self._votes.counts(), self._votes))
            else:
                self._take(fit_counts(self, self.fit_.counts.merged(votes.counts()), None))
                if votes.voter is not None:
                    self.warnings_ += (_VOTERS_FORGOTTEN,)
        else:
            raise ConfigError(
                "this leaderboard has covariates, contexts, voters or rankings, which an update "
                "cannot take in; expected a plain one, or has_drift=True. Fit all votes again."
            )
        self.seconds_ = time.perf_counter() - began
        return self

    @property
    def belief_(self) -> Strengths:
        """What is known of the scores, in logits, as a normal belief: `ask_next` asks by it.

        Raises NotFittedError before `fit`, DataError where items are too many for a covariance.
        """
        self._fitted()
        return strengths_belief(
            self._items, self.fit_.strengths, self.bounds_.covariance, self._island,
            logits_per_unit=LOGITS_PER_PROBIT if self.link == "probit" else 1.0,
            prior_scale=self.prior_scale, converged=self.fit_.converged,
        )  # fmt: skip

    def predict_proba(self, pairs: Votes | Sequence[tuple[str, str]]) -> Float[Array, "B L"]:
        """Of each pair that the first wins, that the second does and, where ties are modelled, that
        they tie; at the estimates, for a typical voter.

        `pairs` are names, or votes with the covariates and contexts of the fit. Raises
        NotFittedError before `fit`, DataError for an item that was not ranked, ConfigError for
        names alone where scores are at equal covariates.
        """
        self._fitted()
        if isinstance(pairs, Votes):
            votes = asked(self, pairs) if self.covariates else pairs
        elif self.covariates:
            raise ConfigError(
                f"pairs of names were given, and scores are at equal {', '.join(self.covariates)}; "
                "expected `Votes` with these covariates."
            )
        else:
            votes = votes_between(list(pairs))
        return pair_probabilities(self.fit_, self._items, votes)

    def table(self, top: int | None = None) -> Table:
        """The ranked table, or the best `top` of it, with its warnings."""
        rows = self._fitted()
        many_islands = rows[-1].island > 0
        shown = rows[:top]
        scores = {"voter": "by voter"}.get(self.bounds_.kind, self.bounds_.kind)
        facts = [
            (
                "Log-likelihood",
                "not known: votes before the update are not read again"
                if self.fit_.log_likelihood is None
                else f"{self.fit_.log_likelihood:,.2f}",
            ),
            ("Intervals", f"{100 * self.level:.10g}%, {scores}; ranks hold for all items at once"),
        ]
        if self.grades_ is not None:
            facts += [("Grades", sentence) for sentence in self.grades_.sentences()]
        if isinstance(self.fit_, VotesFit):
            found = zip(self.fit_.covariate_names, self.fit_.coefficients, self.fit_.coefficient_se)
            facts += [(f"{name} (per unit)", f"{b:+.4g} (se {se:.2g})") for name, b, se in found]
        if len(shown) < len(rows):
            facts.append(("Not shown", f"{len(rows) - len(shown):,} more items"))
        return Table(
            title=f"{len(rows):,} items", corner="item",
            headings=("rank", "range", "score", "interval", "Elo", cast_name(self.fit_))
            + (("island",) if many_islands else ()),
            rows=tuple(_cells(row, many_islands) for row in shown),
            facts=tuple(facts), notes=self.warnings_,
        )  # fmt: skip

    def summary(self) -> str:
        """The table as plain text."""
        return self.table().text()

    def _fitted(self) -> tuple[Standing, ...]:
        if not hasattr(self, "standings_"):
            raise NotFittedError(
                "this Leaderboard has seen neither votes nor rankings; expected a call of `fit` "
                "first."
            )
        return self.standings_

    def observed(
        self, data: Any, description: Description | str | Path | None = None
    ) -> Votes | PairCounts | Rankings:
        """Data as `fit` sees them: votes, counts or rankings."""
        return self._observed(data, description)[0]

    def _observed(
        self, data: Any, description: Description | str | Path | None
    ) -> tuple[Votes | PairCounts | Rankings, tuple[str, ...]]:
        """The same, and what a reader of the table must know of it."""
        columns = VoteColumns(context=self.context, covariates=self.covariates)
        return observed_for(columns, data, description)

    def _take(self, found: BoardFit) -> None:
        """Leave what a fit found where it is looked for."""
        strengths, logits = found.fit.strengths, 1.0
        if self.link == "probit":
            logits = LOGITS_PER_PROBIT
        ranks = rank_bounds(strengths, found.bounds, found.island, self.generator())
        self.fit_: Fit = found.fit
        self.bounds_: Bounds = found.bounds
        self.above_ = ranks.above
        self.detail_: Detail | None = found.detail
        self.grades_: GradeShares | None = found.grades
        # An update may hand over the warnings of before.
        self.warnings_ = tuple(dict.fromkeys((*differ_by_blanks(found.items), *found.warnings)))
        self._items: tuple[str, ...] = found.items
        self._island: Int[Array, " N"] = found.island
        self.standings_ = standings(
            found.items, strengths, found.bounds, ranks, found.votes_of_item, found.island, logits
        )


def _cells(row: Standing, has_island: bool) -> tuple[str, ...]:
    ends = (f"{end:+.2f}" if np.isfinite(end) else "unbounded" for end in (row.low, row.high))
    return (
        excerpt(row.name), str(row.rank), f"{row.rank_low}-{row.rank_high}", f"{row.strength:+.3f}",
        " to ".join(ends), f"{row.elo:.0f}", f"{row.votes:,.6g}",
    ) + ((str(row.island + 1),) if has_island else ())  # fmt: skip
