"""A leaderboard from votes, counts or rankings: scores, places, and how sure both are."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from penchant.beliefs.strengths import Strengths
from penchant.data.description import Description
from penchant.data.pair_counts import PairCounts
from penchant.data.rankings import Rankings, rankings_from_records
from penchant.data.rated_votes import RATED_KINDS, RATED_NOTE, votes_from_ratings
from penchant.data.readers.vote_parts import VoteColumns
from penchant.data.readers.vote_records import votes_from_records
from penchant.data.readers.votes import read_votes
from penchant.data.records import Records
from penchant.data.votes import Votes
from penchant.errors import ConfigError, NotFittedError
from penchant.feedback.gap import GapModel
from penchant.fitting.interval_kinds import (
    INTERVAL_KINDS,
    IntervalConfig,
    IntervalKind,
    has_repeating_voters,
)
from penchant.fitting.paired import PairedConfig, PairedFit, fit_paired
from penchant.fitting.paired_intervals import strength_intervals
from penchant.fitting.ranked import RankedConfig, RankedFit, fit_ranked
from penchant.fitting.voter_remarks import heavy_voters
from penchant.fitting.votes_drift import DriftFit
from penchant.fitting.votes_pooled import VotesConfig
from penchant.fitting.votes_table import VotesFit
from penchant.models.grade_shares import GradeShares, grade_shares
from penchant.models.pair_forecast import pair_probabilities, strengths_belief, votes_between
from penchant.models.richer_bootstrap import bootstrap_strengths
from penchant.models.richer_votes import (
    VOTER_MODELS,
    Detail,
    RicherFit,
    VoterModel,
    fit_richer,
    table_of_standing,
)
from penchant.models.standings import (
    LOGITS_PER_PROBIT,
    Bounds,
    Standing,
    normal_bounds,
    open_ends,
    paired_bounds,
    rank_bounds,
    ranked_bounds,
    resampled_bounds,
    standings,
    votes_bounds,
)
from penchant.models.table import Table
from penchant.numerics.arrays import Array
from penchant.numerics.graph import bounded_sides, connectivity
from penchant.numerics.names import excerpt

MODELS = ("bradley_terry", "thurstone", "plackett_luce")
# Of voters, where every resample is a whole fit of a richer model.
_RESAMPLES = 200
_TRUSTING = (
    "Some voters voted more than once, and errors of this model trust all votes to be independent: "
    "intervals and places are too sure if voters differ."
)
_VOTERS_FORGOTTEN = (
    "The votes before were counts, which do not say who voted: the voters of the new votes play no "
    "part in the intervals. Fit all votes one by one for intervals by voter."
)


@dataclass(eq=False)
class Leaderboard:
    """Scores and ranks of items that people compared.

    model: "bradley_terry" (Zermelo 1929; Bradley and Terry 1952), "thurstone" (1927) for pairs,
    "plackett_luce" for rankings; None takes what the data are. ties: "davidson", "rao_kupper" or
    "half"; a tie strength is estimated for the first two, and None takes Davidson's (Thurstone:
    Rao and Kupper's). covariates: columns of the votes, so
    that scores are at equal length, style or position ("shown_first"). context: a column; scores
    may differ by its values, shrunk to the common ones. voters: "reliability" lets voters differ
    in reliability, in what they make of the place and of ties; "classes" finds `num_classes` kinds
    of them. has_drift: scores walk over the time of the votes. interval: see `IntervalConfig`;
    level: of the intervals. prior_scale: standard deviation of every score before any data; None
    holds only items that no finite score fits. random_state: seed of what is drawn for intervals.

    Graded votes ("much better") are fitted as such: the thresholds between grades, which mirror
    each other, are estimated (Agresti 1992), and no `ties` are to be named.

    `fit` leaves `standings_` (the best first), `warnings_`, `fit_` (strengths and model),
    `bounds_`, `above_` (who is surely above whom, as ranks count it; None for very many items) and
    `seconds_`; of voters and drift also `detail_`, the whole fit, and of graded votes `grades_`.
    `belief_` is what policies and askers receive, `predict_proba` what is foretold of a pair.
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
        self.grades_: GradeShares | None = None
        if isinstance(found, Rankings):
            self._fit_rankings(found, on_step)
        elif self.model == "plackett_luce":
            raise ConfigError(
                'model="plackett_luce" is for rankings, but the data are pairs; expected '
                'model="bradley_terry" (the same likelihood on two items) or "thurstone".'
            )
        elif self.needs_votes or (isinstance(found, Votes) and found.grade is not None):
            if isinstance(found, PairCounts):
                raise ConfigError(
                    "covariates, contexts, voters and times belong to single votes, but counts "
                    "were given; expected `Votes`, records or a file."
                )
            self._fit_votes(found, on_step)
        elif isinstance(found, PairCounts):
            self._fit_counts(found, None, on_step)
        else:
            self._fit_counts(found.counts(), found.plain(), on_step)
        self.warnings_ = (*notes, *self.warnings_)
        self.seconds_ = time.perf_counter() - began
        return self

    def update(self, votes: Votes) -> "Leaderboard":
        """Take in further votes. A plain leaderboard is fitted to all votes, those before as it was
        given them: one by one, or as counts, which know no voters. Scores that drift take new votes
        in one pass and do not look back (see `DriftFit.distance`).

        Raises ConfigError for a leaderboard with covariates, contexts or voters: fit it again.
        """
        self._fitted()
        began = time.perf_counter()
        detail = getattr(self, "detail_", None)
        if isinstance(detail, DriftFit):
            missing = set(self.covariates) - set(votes.covariate_names)
            if missing:
                raise ConfigError(
                    f"the new votes lack the covariates {sorted(missing)}; expected all of "
                    f"{self.covariates}, as in the votes before."
                )
            now = detail.now.update(self._asked(votes))
            self.detail_: Detail | None = replace(detail, now=now)
            fit = table_of_standing(now, None, detail.warnings)
            known = {row.name: row.votes for row in self.standings_}
            fresh = dict(zip(votes.items, votes.counts().votes_of_item))
            total = np.array([known.get(n, 0.0) + fresh.get(n, 0.0) for n in fit.items])
            bounds = normal_bounds(fit.strengths, fit.strength_covariance, self.level)
            self._keep(fit, fit.items, bounds, now.island, total)
        elif self.grades_ is not None and not self.needs_votes:
            assert self._votes is not None
            self._fit_votes(self._votes.merged(votes.plain()))
        elif isinstance(self.fit_, PairedFit):
            if self._votes is not None:
                joined = self._votes.merged(votes.plain())
                self._fit_counts(joined.counts(), joined, None)
            else:
                self._fit_counts(self.fit_.counts.merged(votes.counts()), None, None)
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
            logits_per_unit=LOGITS_PER_PROBIT if self._link == "probit" else 1.0,
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
            votes = self._asked(pairs) if self.covariates else pairs
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
            headings=("rank", "range", "score", "interval", "Elo", "votes")
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
                "this Leaderboard has not seen any votes; expected a call of `fit` first."
            )
        return self.standings_

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
            self._check_richer("covariates, a context, voters or drift do")
        # Says what is wrong with ties and prior.
        PairedConfig(link=self._link, ties=self._ties, prior_scale=self.prior_scale)
        if not 0 < self.level < 1:
            raise ConfigError(f"level is {self.level}; expected a number between 0 and 1, as 0.95.")

    def _check_richer(self, what: str) -> None:
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
        return bool(self.covariates or self.context or self.voters or self.has_drift)

    @property
    def _link(self) -> Literal["logit", "probit"]:
        return "probit" if self.model == "thurstone" else "logit"

    @property
    def _ties(self) -> Literal["davidson", "rao_kupper", "half"]:
        return self.ties or ("rao_kupper" if self.model == "thurstone" else "davidson")

    def observed(
        self, data: Any, description: Description | str | Path | None = None
    ) -> Votes | PairCounts | Rankings:
        """Data as `fit` sees them: votes, counts or rankings."""
        return self._observed(data, description)[0]

    def _observed(
        self, data: Any, description: Description | str | Path | None
    ) -> tuple[Votes | PairCounts | Rankings, tuple[str, ...]]:
        """The same, and what a reader of the table must know of it."""
        if isinstance(data, Votes | PairCounts | Rankings):
            return data, ()
        columns = VoteColumns(context=self.context, covariates=self.covariates)
        assumed: tuple[str, ...] = ()
        if not isinstance(data, Records):
            said, assumed = _description(data, description)
            if said.layout in ("pairs", "arena"):
                return read_votes(data, said, columns).votes, assumed
            from penchant.data.readers.read import read

            data = read(data, said).records
        kinds = set(data.kinds[np.unique(data.kind_codes)])
        if kinds <= {"ranking", "best_worst"}:
            return rankings_from_records(data), assumed
        if kinds and kinds <= RATED_KINDS:
            if self.covariates or self.context:
                raise ConfigError(
                    "covariates and contexts belong to votes between two items, but the data are "
                    "ratings of one at a time; expected none of them. Make votes of the ratings "
                    "yourself (`votes_from_ratings`) and add the columns."
                )
            return votes_from_ratings(data), (*assumed, RATED_NOTE)
        return votes_from_records(data, columns), assumed

    def _fit_counts(
        self,
        counts: PairCounts,
        votes: Votes | None,
        on_step: Callable[[int, float], None] | None,
    ) -> None:
        # Kept for an update: intervals and warnings rest on who cast them.
        self._votes = votes
        config = PairedConfig(link=self._link, ties=self._ties, prior_scale=self.prior_scale)
        fit = fit_paired(counts, config, on_step=on_step)
        intervals = strength_intervals(
            fit, votes, IntervalConfig(kind=self.interval, level=self.level), self._generator()
        )
        bounds = paired_bounds(fit, intervals, self.level)
        self._keep(fit, counts.items, bounds, fit.connectivity.island, counts.votes_of_item)
        self.warnings_ = (
            *fit.warnings, *_busy_voters(votes), *_convergence_sentences(fit), *bounds.notes[1:]
        )  # fmt: skip

    def _fit_rankings(
        self, rankings: Rankings, on_step: Callable[[int, float], None] | None
    ) -> None:
        if self.model in ("bradley_terry", "thurstone"):
            raise ConfigError(
                f'model="{self.model}" is for pairs, but the data are rankings, which are never '
                'broken into pairs; expected model="plackett_luce".'
            )
        if self.needs_votes or self.interval not in ("auto", "wald", "sandwich", "bootstrap"):
            raise ConfigError(
                "covariates, contexts, voters, drift, profiles and intervals by voter are for "
                'pairs; expected none of them with rankings, and interval "wald", "sandwich" (by '
                'ranking) or "bootstrap".'
            )
        fit = fit_ranked(rankings, RankedConfig(prior_scale=self.prior_scale), on_step=on_step)
        kind: IntervalKind = "wald" if self.interval == "auto" else self.interval
        bounds = ranked_bounds(
            fit, self.level, kind, num_resamples=_RESAMPLES, generator=self._generator(),
            on_resample=on_step,
        )  # fmt: skip
        self._keep(fit, rankings.items, bounds, fit.connectivity.island, rankings.votes_of_item)
        self.warnings_ = (*fit.warnings, *_convergence_sentences(fit))

    def _is_by_voter(self, votes: Votes) -> bool:
        """Whether errors trust voters only. Models of voters and drift know what ties votes."""
        if self.interval != "auto":
            return self.interval == "voter"
        return self.voters is None and not self.has_drift and has_repeating_voters(votes)

    def _fit_votes(self, votes: Votes, on_step: Callable[[int, float], None] | None = None) -> None:
        missing = set(self.covariates) - set(votes.covariate_names)
        if missing or (self.context is not None and votes.context is None):
            raise ConfigError(
                f"the votes have the covariates {votes.covariate_names} and "
                f"{'no contexts' if votes.context is None else 'contexts'}; expected covariates "
                f"{self.covariates} and context {self.context!r}. Read them with `VoteColumns`."
            )
        self._votes = votes
        votes = self._asked(votes)
        if votes.grade is not None:
            self._check_graded()
        errors: Literal["voter", "curvature"] = "voter" if self._is_by_voter(votes) else "curvature"

        def fitted(votes: Votes) -> RicherFit:
            # Drifting scores hold thresholds by a prior, and further votes may have all grades.
            heard = votes if self.has_drift else votes.with_given_grades()
            return fit_richer(
                heard, self._votes_config(heard, errors), voters=self.voters,
                num_classes=self.num_classes, has_drift=self.has_drift, seed=self.random_state,
            )  # fmt: skip

        richer = fitted(votes)
        fit, self.detail_ = richer.table, richer.detail
        unheard = self._keep_grades(fit, votes)
        counts = votes.directions().counts()
        scored = 0.5 * counts.ties
        pairs = counts.first, counts.second, counts.first_wins + scored, counts.second_wins + scored
        found = connectivity(*pairs, counts.num_items)
        is_free = self.prior_scale is None and self.voters != "classes" and not self.has_drift
        if self.interval == "voter_bootstrap":
            # Scores have the mean 0 that the fit gave them.
            zero = found.reference if is_free else np.ones(len(found.island))
            anchor = zero / np.bincount(found.island, zero)[found.island]
            draws = bootstrap_strengths(
                votes, lambda again: fitted(again).table.strengths, anchor, found.island,
                _RESAMPLES, self._generator(), on_resample=on_step,
            )  # fmt: skip
            bounds = resampled_bounds(fit.strengths, draws, self.level, fit.strength_covariance)
        else:
            bounds = votes_bounds(fit, self.level, is_auto=self.interval == "auto")
        if is_free:
            bounds = open_ends(bounds, *bounded_sides(*pairs, found))
        self._keep(fit, votes.items, bounds, found.island, counts.votes_of_item)
        # Voters who differ are told of in sentences of their own.
        busy = _busy_voters(votes) if self.voters is None else ()
        if self.voters is None and bounds.kind == "wald" and has_repeating_voters(votes):
            busy += (_TRUSTING,)
        self.warnings_ = (
            *fit.warnings, *richer.notes, *unheard, *busy, *_convergence_sentences(fit),
            *bounds.notes[1:],
        )  # fmt: skip

    def _check_graded(self) -> None:
        if self.ties is not None:
            raise ConfigError(
                f'ties is "{self.ties}", and the votes are graded: the middle grade is the tie; '
                "expected no `ties`, or votes whose grades are read as soft ones "
                "(`votes.ungraded()`)."
            )
        self._check_richer("graded votes do")

    def _votes_config(self, votes: Votes, errors: Literal["voter", "curvature"]) -> VotesConfig:
        """How these votes arise, as asked for."""
        ties: Literal["davidson", "rao_kupper"] | None = None
        if votes.grade is None and votes.tie.any() and self._ties != "half":
            ties = self._ties
        levels = len(votes.grades) or None
        return VotesConfig(
            model=GapModel(ties=ties, link=self._link, levels=levels),
            ties="half" if ties is None else "answer", has_context=self.context is not None,
            prior_scale=self.prior_scale, errors=errors,
        )  # fmt: skip

    def _keep_grades(self, fit: VotesFit, votes: Votes) -> tuple[str, ...]:
        """The scale of graded votes, and what to say of grades that nobody gave."""
        if votes.grade is None:
            return ()
        heard = votes if self.has_drift else votes.with_given_grades()
        if heard.grade is None:
            middle = votes.grades[len(votes.grades) // 2]
            return (f"Every vote has the grade `{middle}`: these votes prefer nothing.",)
        self.grades_ = grade_shares(fit, heard, is_pooled=self.detail_ is None)
        unheard = [f"`{name}`" for name in votes.grades if name not in heard.grades]
        if not unheard:
            return ()
        return (
            f"Nobody gave the grades {', '.join(unheard)}: the scale is taken to be without them.",
        )

    def _asked(self, votes: Votes) -> Votes:
        """The votes with the covariates that were asked for, in that order."""
        place = [votes.covariate_names.index(n) for n in self.covariates]
        return replace(votes, covariates=votes.covariates[:, place],
                       covariate_names=tuple(self.covariates))  # fmt: skip

    def _keep(
        self,
        fit: PairedFit | RankedFit | VotesFit,
        items: tuple[str, ...],
        bounds: Bounds,
        island: Array,
        votes_of_item: Array,
    ) -> None:
        found = rank_bounds(fit.strengths, bounds, island, self._generator())
        logits = LOGITS_PER_PROBIT if self._link == "probit" else 1.0
        self.fit_, self.bounds_, self.above_ = fit, bounds, found.above
        self._items, self._island = items, island
        self.standings_ = standings(
            items, fit.strengths, bounds, found, votes_of_item, island, logits
        )

    def _generator(self) -> np.random.Generator:
        return np.random.default_rng(self.random_state)


def _cells(row: Standing, has_island: bool) -> tuple[str, ...]:
    ends = (f"{end:+.2f}" if np.isfinite(end) else "unbounded" for end in (row.low, row.high))
    return (
        excerpt(row.name), str(row.rank), f"{row.rank_low}-{row.rank_high}", f"{row.strength:+.3f}",
        " to ".join(ends), f"{row.elo:.0f}", f"{row.votes:,.6g}",
    ) + ((str(row.island + 1),) if has_island else ())  # fmt: skip


def _busy_voters(votes: Votes | None) -> tuple[str, ...]:
    """A voter who casts a large part of all votes is named."""
    if votes is None or votes.voter is None or not votes.weight.any():
        return ()
    known = votes.voter >= 0
    cast = np.bincount(votes.voter[known], votes.weight[known], minlength=len(votes.voters))
    found = heavy_voters(votes.voters, cast, float(votes.weight.sum()))
    if len(cast) < 2 or not found:
        return found
    return (*found, "Intervals by voter say how much the order rests on them.")


def _convergence_sentences(fit: PairedFit | RankedFit | VotesFit) -> tuple[str, ...]:
    if fit.converged:
        return ()
    return (
        f"The climb stopped after {fit.iterations} steps before it had reached the top: scores may "
        "be off. Look for items with very few votes, or set a prior.",
    )


def _description(
    data: Any, description: Description | str | Path | None
) -> tuple[Description, tuple[str, ...]]:
    """The description, and what a guess of it took for granted."""
    from penchant.data import description as schema

    if isinstance(description, Description):
        return description, ()
    if description is not None:
        return schema.load(description), ()
    from penchant.data.guess import guess

    found = guess(data)
    return found.description, found.assumed
