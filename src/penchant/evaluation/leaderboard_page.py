"""The page of a leaderboard: scores, places, who beats whom, who voted how, and what to doubt.

Everything shown is computed here from a fitted `Leaderboard` and the votes behind it; the template
only sets it. Legend: N items, Q pairs that met, V voters, X contexts.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.data.pair_counts import PairCounts
from penchant.data.rankings import Rankings
from penchant.data.votes import Votes
from penchant.errors import ConfigError
from penchant.evaluation.beats_graph import beats_graph
from penchant.evaluation.leaderboard_contexts import ContextView, context_view
from penchant.evaluation.leaderboard_cycles import CycleView, cycle_view
from penchant.evaluation.leaderboard_grades import GradesView, grades_view
from penchant.evaluation.leaderboard_losses import RulesView
from penchant.evaluation.leaderboard_matrix import (
    Cell,
    Met,
    cells,
    met_in_votes,
    ranked_cells,
)
from penchant.evaluation.leaderboard_next import NextView
from penchant.evaluation.leaderboard_voters import VoterLine, first_shown_sentence, voter_lines
from penchant.evaluation.report import Calibration, CalibrationBin
from penchant.evaluation.report_words import number, percent, signed
from penchant.metrics.calibration import wilson
from penchant.models.leaderboard import Leaderboard
from penchant.models.leaderboard_fits import cast_name
from penchant.models.pair_forecast import preferred
from penchant.models.standings import Standing
from penchant.numerics.arrays import Array
from penchant.numerics.names import excerpt

# More than a reader takes in at once; the whole table is in leaderboard.csv.
MOST_LINES, MOST_NODES = 60, 12
_BINS, _DRAWS = 10, 1000
KINDS = {"wald": "by curvature", "voter": "by voter", "profile": "by profile"}


@dataclass(frozen=True, kw_only=True)
class BoardCalibration(Calibration):
    """by_chance: the mean gap of votes drawn from the scores themselves; most_by_chance: one in
    twenty such draws lies further off."""

    by_chance: float
    most_by_chance: float


@dataclass(frozen=True, kw_only=True)
class LeaderboardPage:
    """Everything the page shows; empty parts leave no trace."""

    title: str
    subtitle: str
    lead: tuple[str, ...]
    lines: tuple[Standing, ...]
    num_items: int
    level: float
    matrix_names: tuple[str, ...]
    matrix: tuple[tuple[Cell | None, ...], ...]
    graph: str
    graph_takeaway: str
    calibration: BoardCalibration | None
    voters: tuple[VoterLine, ...]
    voters_takeaway: str
    context: ContextView | None
    cycles: CycleView | None
    grades: GradesView | None
    warnings: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    cast: str = "votes"
    next: NextView | None = None
    rules: RulesView | None = None

    @property
    def foretells_pairs(self) -> bool:
        """Whether scores say what the shares of the matrix should be."""
        return any(cell.expected is not None for row in self.matrix for cell in row if cell)


def leaderboard_page(
    board: Leaderboard, observed: Votes | PairCounts | Rankings, *, title: str = "Leaderboard"
) -> LeaderboardPage:
    """The page of a fitted board and what it was fitted on. Of graded votes the parts on who beats
    whom count who was better, by however much."""
    rows = board.standings_
    if isinstance(observed, Votes):
        observed = observed.directions()
    counts = _counts(observed)
    votes = observed if isinstance(observed, Votes) else None
    place = {name: i for i, name in enumerate(observed.items)}
    order = np.array([place[row.name] for row in rows])
    sure = _sure(board, order)
    met = None if counts is None else met_in_votes(counts, order)
    probability = np.zeros((0, 0)) if met is None else _win_probability(board, order)
    matrix = () if met is None else cells(met, probability)
    if isinstance(observed, Rankings):
        matrix = ranked_cells(observed, order, lambda some: _win_probability(board, order[some]))
    named = observed if isinstance(observed, Votes | Rankings) else None
    voters, voters_takeaway = voter_lines(named, board)
    nodes = np.arange(min(len(rows), MOST_NODES))
    return LeaderboardPage(
        title=title,
        subtitle=_subtitle(board, observed, counts),
        lead=_lead(rows, sure, cast_name(board.fit_)),
        lines=rows[:MOST_LINES],
        num_items=len(rows),
        level=board.level,
        matrix_names=tuple(row.name for row in rows[: len(matrix)]),
        matrix=matrix,
        graph=beats_graph([rows[i].name for i in nodes], sure.of(nodes[:, None], nodes)),
        graph_takeaway=_graph_takeaway(rows, sure),
        calibration=None
        if met is None
        else _calibration(met, probability, np.random.default_rng(board.random_state)),
        voters=voters,
        voters_takeaway=voters_takeaway,
        context=context_view(board, rows),
        cycles=None if counts is None else cycle_view(counts, board.random_state),
        grades=grades_view(board.grades_),
        warnings=(*board.warnings_, *first_shown_sentence(votes, board)),
        facts=_facts(board),
        cast=cast_name(board.fit_),
    )


def render_leaderboard(page: LeaderboardPage) -> str:
    """The page as one HTML document: no script, no network, no picture files."""
    from penchant.evaluation import leaderboard_words, report_charts
    from penchant.evaluation.report import environment

    return (
        environment()
        .get_template("leaderboard.html")
        .render(data=page, charts=report_charts, words=leaderboard_words)
    )


def write_leaderboard(page: LeaderboardPage, path: Path) -> Path:
    """Write the page to `path`. Raises ConfigError where `path` is a folder."""
    if path.is_dir():
        raise ConfigError(
            f"the page was to be written to {path}, which is a folder; expected a file name. Try "
            f"{path / 'leaderboard.html'}."
        )
    path.write_text(render_leaderboard(page), encoding="utf-8")
    return path


def _counts(observed: Votes | PairCounts | Rankings) -> PairCounts | None:
    if isinstance(observed, Votes):
        return observed.counts()
    return observed if isinstance(observed, PairCounts) else None


def _win_probability(board: Leaderboard, order: Array) -> Float[Array, "N N"]:
    """p(row's item is preferred to the column's | one of them is), items in the board's order."""
    strengths = board.fit_.strengths[order]
    gap = strengths[:, None] - strengths
    return preferred(board.fit_, gap.reshape(-1)).reshape(gap.shape)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Sure:
    """Whom each item beats for sure, by places on the board: what its rank counts or, of very many
    items, whose ranks all lie below its own (`above` is then None: there is no N by N matrix)."""

    above: Bool[Array, "N N"] | None
    rank_low: Int[Array, " N"]
    rank_high: Int[Array, " N"]
    island: Int[Array, " N"]

    def of(self, first: Array, second: Array) -> Array:
        """Whether the first are surely above the second."""
        if self.above is not None:
            return np.asarray(self.above[first, second])
        is_apart = self.rank_high[first] < self.rank_low[second]
        return np.asarray(is_apart & (self.island[first] == self.island[second]))

    def num_settled(self, inside: Int[Array, " A"]) -> int:
        """Pairs among items of one island of which one is surely above the other."""
        if self.above is not None:
            return int(self.above[np.ix_(inside, inside)].sum())
        lows = np.sort(self.rank_low[inside])
        behind = len(inside) - np.searchsorted(lows, self.rank_high[inside], side="right")
        return int(behind.sum())


def _sure(board: Leaderboard, order: Array) -> _Sure:
    rows = board.standings_
    return _Sure(
        above=None if board.above_ is None else board.above_[np.ix_(order, order)],
        rank_low=np.array([row.rank_low for row in rows]),
        rank_high=np.array([row.rank_high for row in rows]),
        island=np.array([row.island for row in rows]),
    )


def _calibration(
    met: Met, probability: Array, generator: np.random.Generator
) -> BoardCalibration | None:
    """Pairs in bins of equally many decided votes: how often the favourite should win, and does."""
    upper = np.triu_indices(len(probability), 1)
    wins, decided = met.wins[upper], (met.wins + met.wins.T)[upper]
    said = probability[upper]
    kept = decided > 0
    if kept.sum() < 3:
        return None
    said, wins, decided = said[kept], wins[kept], decided[kept]
    order = np.argsort(said)
    at = np.cumsum(decided[order]) - 0.5 * decided[order]
    bin_of = np.minimum((at / decided.sum() * _BINS).astype(int), _BINS - 1)
    bin_of = np.unique(bin_of, return_inverse=True)[1]

    def total(values: Array) -> Array:
        return np.bincount(bin_of, values[order])

    votes = total(decided)
    observed, predicted = total(wins) / votes, total(said * decided) / votes
    low, high = wilson(observed, votes)
    # Votes drawn from the scores lie off them too: each bin's wins vary by the binomial's error.
    error = np.sqrt(total(said * (1.0 - said) * decided)) / votes
    drawn = np.abs(error * generator.standard_normal((_DRAWS, len(votes)))) @ votes / votes.sum()
    return BoardCalibration(
        model="these scores",
        bins=tuple(
            CalibrationBin(predicted=p, observed=o, low=a, high=b, count=round(n))
            for p, o, a, b, n in np.stack([predicted, observed, low, high, votes], axis=1).tolist()
        ),
        ece=float(np.abs(observed - predicted) @ votes / votes.sum()),
        by_chance=float(drawn.mean()), most_by_chance=float(np.quantile(drawn, 0.95)),
    )  # fmt: skip


def _subtitle(
    board: Leaderboard, observed: Votes | PairCounts | Rankings, counts: PairCounts | None
) -> str:
    items = f"{len(board.standings_):,} items"
    if isinstance(observed, Rankings):
        told, voters = f"{items}, {len(observed):,} rankings", observed.voters
        return told + (f", {len(voters):,} voters" if voters else "")
    assert counts is not None
    told = f"{items}, {counts.votes:,.6g} votes on {counts.num_pairs:,} pairs"
    if isinstance(observed, Votes) and observed.voter is not None:
        told += f", {len(observed.voters):,} voters"
    ties = float(counts.ties.sum())
    return told + (f"; {percent(ties / counts.votes)} of the votes are ties" if ties else "")


def _lead(rows: tuple[Standing, ...], sure: _Sure, cast: str) -> tuple[str, ...]:
    """Who leads, who cannot be told from the leader, and who is last."""
    mine = np.array([place for place, row in enumerate(rows) if row.island == 0], dtype=np.int64)
    if len(mine) < 2:
        return ()
    rivals = [excerpt(rows[place].name) for place in mine[1:][~sure.of(np.int64(0), mine[1:])]]
    first = excerpt(rows[0].name)
    # Nothing is known across islands: all that is said here is of the largest.
    whole = "" if len(mine) == len(rows) else f" of the {len(mine)} on the largest island"
    if rows[0].strength - rows[mine[-1]].strength < 1e-9:
        return (f"All items have the same score: these {cast} prefer none of them.",)
    if not rivals:
        told = f"{first} is ahead of every other item{whole}, whatever chance may have done."
    elif len(rivals) == len(mine) - 1:
        told = f"{first} has the highest score{whole}, but no other item is surely worse."
    else:
        some = ", ".join(rivals[:3]) + (f" and {len(rivals) - 3} more" if len(rivals) > 3 else "")
        told = f"{first} leads{whole}; {some} may be as good."
    pairs = len(mine) * (len(mine) - 1) // 2
    settled = sure.num_settled(mine)
    lead = (
        told,
        f"Of the {pairs:,} pairs{whole}, {percent(settled / pairs)} are settled: one of the two is "
        "surely preferred.",
    )
    last = rows[mine[-1]]
    if sure.of(mine[:-1], mine[-1]).all():
        return (*lead, f"{excerpt(last.name)} is surely last{whole}.")
    return lead


def _graph_takeaway(rows: tuple[Standing, ...], sure: _Sure) -> str:
    shown = min(len(rows), MOST_NODES)
    first, second = np.triu_indices(shown, 1)
    open_pairs = int((~(sure.of(first, second) | sure.of(second, first))).sum())
    whole = "" if shown == len(rows) else f"The best {shown} items. "
    if not open_pairs:
        return f"{whole}All pairs among them are settled: one line from first to last."
    still = (
        "1 pair is open: no way leads"
        if open_pairs == 1
        else f"{open_pairs} pairs are open: no way leads"
    )
    return (
        f"{whole}An arrow says that one item is surely preferred to another, and so it is to all "
        f"that follow from there. {still} from one to the other."
    )


def _facts(board: Leaderboard) -> tuple[tuple[str, str], ...]:
    fit = board.fit_
    tie = getattr(fit, "tie_parameter", None)
    facts = [
        ("Log-likelihood", number(fit.log_likelihood, 2)),
        ("Steps to the top", f"{fit.iterations}{'' if fit.converged else ', not reached'}"),
        (
            "Intervals",
            f"{100 * board.level:.10g}%, {KINDS.get(board.bounds_.kind, board.bounds_.kind)}",
        ),
    ]
    if tie is not None:
        facts.append(("Tie parameter", signed(tie, 3)))
    return tuple(facts)
