"""The page of a leaderboard: its figures against counts by hand, its graph, and its sentences."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.data.votes import Votes
from penchant.errors import ConfigError
from penchant.evaluation import leaderboard_page as page_module
from penchant.evaluation.beats_graph import beats_graph, covering, layers
from penchant.evaluation.leaderboard_matrix import met_in_votes
from penchant.evaluation.leaderboard_page import (
    _calibration,
    _lead,
    _Sure,
    _sure,
    _win_probability,
    leaderboard_page,
    render_leaderboard,
    write_leaderboard,
)
from penchant.evaluation.leaderboard_words import board_calibration, rank_axis, shade
from penchant.models.leaderboard import Leaderboard
from penchant.simulation.votes import VoteWorld, simulate_votes

ITEMS = ("ant", "bee", "cat", "dog <b>", "eel")


def simulate(strengths, num_votes=1500, num_voters=30, seed=0, first=0.0, ties=0.1, contrary=()):
    """Votes of known scores; `contrary` voters toss a coin against the order."""
    rng = np.random.default_rng(seed)
    count = len(strengths)
    one = rng.integers(0, count, num_votes)
    two = (one + rng.integers(1, count, num_votes)) % count
    voter = rng.integers(0, num_voters, num_votes)
    gap = np.asarray(strengths)[one] - np.asarray(strengths)[two]
    gap = np.where(np.isin(voter, contrary), -gap, gap) + first
    outcome = np.where(rng.random(num_votes) < 1 / (1 + np.exp(-gap)), 0, 1)
    outcome[rng.random(num_votes) < ties] = 2
    return Votes.from_outcomes(
        ITEMS[:count],
        one,
        two,
        outcome,
        voter=voter,
        voters=tuple(f"v{v}" for v in range(num_voters)),
    )


@pytest.fixture(scope="module")
def votes():
    return simulate([1.5, 0.6, 0.5, -0.6, -2.0])


@pytest.fixture(scope="module")
def page(votes):
    return leaderboard_page(Leaderboard().fit(votes), votes)


def test_a_cell_holds_the_win_rate_of_its_pair(votes, page):
    names, i, j = page.matrix_names, 0, 3
    row, column = ITEMS.index(names[i]), ITEMS.index(names[j])
    met = {(a, b): 0.0 for a in (row, column) for b in (row, column)}
    ties = 0
    for a, b, share, tie in zip(votes.first, votes.second, votes.share, votes.tie):
        if {a, b} == {row, column}:
            ties += tie
            if not tie:
                met[(a, b) if share == 1 else (b, a)] += 1
    cell = page.matrix[i][j]
    decided = met[row, column] + met[column, row]
    assert cell.votes == decided
    assert cell.ties == ties
    assert cell.share == pytest.approx(met[row, column] / decided)
    mirror = page.matrix[j][i]
    assert mirror.share == pytest.approx(1 - cell.share)
    assert mirror.expected == pytest.approx(1 - cell.expected)
    assert page.matrix[2][2] is None


def test_expectations_are_those_of_the_scores(votes, page):
    strength = {row.name: row.strength for row in page.lines}
    one, two = page.matrix_names[1], page.matrix_names[4]
    expected = 1 / (1 + np.exp(strength[two] - strength[one]))
    assert page.matrix[1][4].expected == pytest.approx(expected)


def test_scores_that_hold_foretell_their_own_votes(page):
    assert page.calibration is not None
    assert page.calibration.ece < 0.05
    assert all(b.low <= b.observed <= b.high for b in page.calibration.bins)
    assert sum(b.count for b in page.calibration.bins) == pytest.approx(
        sum(c.votes for row in page.matrix for c in row if c is not None) / 2
    )


def test_whoever_votes_against_the_order_is_found():
    votes = simulate([1.5, 0.6, 0.5, -0.6, -2.0], contrary=(7,))
    page = leaderboard_page(Leaderboard().fit(votes), votes)
    assert page.voters_takeaway.startswith("1 of 30 voters")
    found = {line.name: line for line in page.voters}["v7"]
    assert found.surprise < -4
    assert found.agreed < 0.5 < found.expected
    others = [line.surprise for line in page.voters if line.name != "v7"]
    assert min(others) > -4


def test_a_side_that_counts_is_said(votes, page):
    assert not any("shown first" in sentence for sentence in page.warnings)
    tilted = simulate([1.0, 0.5, 0.0, -0.5, -1.0], first=0.6)
    warned = leaderboard_page(Leaderboard().fit(tilted), tilted).warnings
    assert any("The item shown first wins" in sentence for sentence in warned)


def test_the_lead_says_who_cannot_be_told_from_the_leader():
    near = simulate([1.0, 0.95, -1.0, -1.2, -3.0], num_votes=800)
    told = leaderboard_page(Leaderboard().fit(near), near).lead
    assert re.search(r"(ant|bee) leads; (bee|ant) may be as good", told[0])
    clear = simulate([4.0, 1.0, 0.0, -1.0, -4.0], num_votes=4000)
    told = leaderboard_page(Leaderboard().fit(clear), clear).lead
    assert told[0].startswith("ant is ahead of every other item")
    assert told[-1] == "eel is surely last."


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("num_votes", [40, 120, 400])
def test_who_is_surely_better_is_what_the_places_count(seed, num_votes):
    """The picture and the table are drawn from one relation: as many items surely above an item as
    its best place leaves room for, as many below as its worst."""
    votes = simulate([1.5, 0.6, 0.5, -0.6, -2.0], num_votes=num_votes, seed=seed)
    board = Leaderboard().fit(votes)
    rows = board.standings_
    place = {name: i for i, name in enumerate(votes.items)}
    found = _sure(board, np.array([place[row.name] for row in rows]))
    everybody = np.arange(len(rows))
    sure = found.of(everybody[:, None], everybody)
    assert found.num_settled(everybody) == sure.sum()
    assert (1 + sure.sum(axis=0)).tolist() == [row.rank_low for row in rows]
    assert (len(rows) - sure.sum(axis=1)).tolist() == [row.rank_high for row in rows]
    told = _lead(rows, found, "votes")[0]
    assert ("no other item is surely worse" in told) == (rows[0].rank_high == len(rows))


def test_a_board_without_a_matrix_counts_pairs_by_its_places():
    rows = (
        Leaderboard().fit(simulate([1.5, 0.6, 0.5, -0.6, -2.0], num_votes=400, seed=1)).standings_
    )
    fields = {"rank_low": [], "rank_high": [], "island": []}
    for row in rows:
        for name, values in fields.items():
            values.append(getattr(row, name))
    found = _Sure(above=None, **{name: np.array(v) for name, v in fields.items()})
    places = np.arange(len(rows))
    apart = found.of(places[:, None], places)
    wanted = [[a.rank_high < b.rank_low for b in rows] for a in rows]
    assert apart.tolist() == wanted
    assert found.num_settled(places) == np.sum(wanted)


def test_a_page_of_very_many_items_makes_no_matrix_of_them(monkeypatch):
    """Of a million items one would take seven terabytes."""
    first = np.arange(0, 5000, 2)
    names = tuple(f"item {i}" for i in range(5000))
    votes = Votes.from_outcomes(names, first, first + 1, first % 4 // 2)
    board = Leaderboard().fit(votes)
    monkeypatch.setattr(page_module, "_win_probability", None)
    page = leaderboard_page(board, votes)
    assert page.num_items == 5000
    assert page.matrix == ()
    assert board.above_ is None


@pytest.mark.parametrize("num_votes", [200, 2000])
def test_chance_is_no_fault_of_the_scores(num_votes):
    """Votes that do come from one score an item are blamed in one world of twenty at most."""
    blamed = 0
    for seed in range(25):
        votes = simulate([1.5, 0.6, 0.5, -0.6, -2.0], num_votes=num_votes, seed=seed, ties=0.0)
        board = Leaderboard().fit(votes)
        order = np.arange(len(votes.items))
        met, said = met_in_votes(votes.counts(), order), _win_probability(board, order)
        told = board_calibration(_calibration(met, said, np.random.default_rng(0)))
        blamed += "as well as chance allows" not in told
    assert blamed <= 4  # P(more than 4 of 25 at 1 in 20) = 0.7 %


def test_what_scores_cannot_foretell_is_said():
    """Three items in a circle: each beats the next nine times in ten, and all scores are alike."""
    one = np.repeat([0, 1, 2], 100)
    votes = Votes.from_outcomes(ITEMS[:3], one, (one + 1) % 3, (np.arange(300) % 10 == 0) * 1)
    page = leaderboard_page(Leaderboard().fit(votes), votes)
    assert board_calibration(page.calibration).startswith("One score an item does not foretell")


def test_ties_alone_make_nobody_the_first():
    one = np.arange(200) % 3
    votes = Votes.from_outcomes(ITEMS[:3], one, (one + 1) % 3, np.full(200, 2))
    page = leaderboard_page(Leaderboard().fit(votes), votes)
    assert page.lead == ("All items have the same score: these votes prefer none of them.",)
    assert "An equals sign: all their votes are ties" in render_leaderboard(page)


class Page(HTMLParser):
    """Collects what a page would load, and every tag left open."""

    def __init__(self):
        super().__init__()
        self.loads, self.open = [], []

    def handle_starttag(self, tag, attrs):
        self.loads += [value for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "br", "line", "path", "circle", "rect"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if self.open and self.open[-1] == tag:
            self.open.pop()


def test_the_page_stands_alone_and_escapes_names(page, tmp_path):
    text = render_leaderboard(page)
    read = Page()
    read.feed(text)
    assert read.loads == []
    assert read.open == []
    assert "<script" not in text
    assert "dog <b>" not in text
    assert "dog &lt;b&gt;" in text
    written = write_leaderboard(page, tmp_path / "board.html")
    assert written.read_text(encoding="utf-8") == text
    with pytest.raises(ConfigError, match="which is a folder"):
        write_leaderboard(page, tmp_path)


def test_contexts_have_a_view_of_their_own():
    parts = [simulate([1, 0, 0, 0, -1], seed=1), simulate([-1, 0, 0, 0, 1], seed=2)]
    votes = Votes.from_outcomes(
        ITEMS,
        np.concatenate([p.first for p in parts]),
        np.concatenate([p.second for p in parts]),
        np.concatenate([np.where(p.tie, 2, np.where(p.share == 1, 0, 1)) for p in parts]),
        context=np.repeat([0, 1], [len(p) for p in parts]),
        contexts=("north", "south"),
    )
    page = leaderboard_page(Leaderboard(context="place").fit(votes), votes)
    assert page.context is not None
    scores = dict(page.context.rows)
    column = page.context.names.index("north")
    assert scores["ant"][column].score > 0.5
    assert scores["eel"][column].score < -0.5
    assert scores["ant"][column].is_apart
    assert not scores["cat"][column].is_apart
    assert "below 0.001" in page.context.takeaway
    assert "Where the order changes" in render_leaderboard(page)


def test_cycles_are_looked_for_and_drawn():
    plain = simulate([1.5, 0.6, 0.5, -0.6, -2.0])
    shown = leaderboard_page(Leaderboard().fit(plain), plain)
    assert shown.cycles is not None
    assert shown.cycles.takeaway.startswith("No")
    assert shown.cycles.picture == ""
    rng = np.random.default_rng(0)
    first = rng.integers(0, 3, 900)
    second = (first + 1) % 3
    # Rock, paper, scissors: each beats the next nine times in ten.
    outcome = (rng.random(900) > 0.9).astype(int)
    round_ = Votes.from_outcomes(ITEMS[:3], first, second, outcome)
    shown = leaderboard_page(Leaderboard().fit(round_), round_)
    assert shown.cycles.takeaway.startswith("Yes")
    assert shown.cycles.picture.startswith("<svg")
    assert "mixture that nothing beats" in shown.cycles.takeaway


def test_axes_and_shades_follow_the_figures(page):
    axis = rank_axis(page.lines)
    assert axis.ticks[0] == 1.0
    assert all(row.rank_high in axis for row in page.lines)
    assert shade(0.5).split()[-2] == "0%,"
    assert "accent" in shade(0.9)
    assert "loss" in shade(0.1)


@st.composite
def orders(draw):
    """A relation without cycles: only earlier items may beat later ones."""
    count = draw(st.integers(1, 7))
    cells = draw(st.lists(st.booleans(), min_size=count * count, max_size=count * count))
    return np.triu(np.reshape(cells, (count, count)), 1)


def closure(sure):
    reach = sure.copy()
    for _ in range(len(sure)):
        reach = reach | ((reach.astype(int) @ reach.astype(int)) > 0)
    return reach


@given(orders())
def test_the_drawn_arrows_imply_all_wins_and_no_arrow_is_idle(sure):
    drawn = covering(sure)
    np.testing.assert_array_equal(closure(drawn), closure(sure))
    for i, j in np.argwhere(drawn):
        less = drawn.copy()
        less[i, j] = False
        assert not closure(less)[i, j]


@given(orders())
def test_arrows_point_down(sure):
    depth = layers(sure)
    one, two = np.nonzero(closure(sure))
    assert (depth[one] < depth[two]).all()
    for item in range(len(sure)):
        above = np.flatnonzero(sure[:, item])
        assert depth[item] == (depth[above].max() + 1 if len(above) else 0)


def test_there_is_no_picture_of_nothing():
    assert beats_graph(["a"], np.zeros((1, 1), dtype=bool)) == ""
    assert beats_graph(["a", "b"], np.zeros((2, 2), dtype=bool)) == ""
    drawn = beats_graph(["a & b", "c"], np.array([[False, True], [False, False]]))
    assert "a &amp; b" in drawn
    assert drawn.count('class="over"') == 1


def test_graded_votes_have_their_scale_and_count_who_was_better():
    world = VoteWorld(num_items=5, num_votes=1500, grade_steps=(-0.7, 0.2))
    graded = simulate_votes(world, np.random.default_rng(0)).votes
    board = Leaderboard().fit(graded)
    page = leaderboard_page(board, graded)
    lines = page.grades.lines
    assert [line.name for line in lines] == [f"grade {level}" for level in (4, 3, 2, 1, 0)]
    assert sum(line.given for line in lines) == pytest.approx(1.0)
    assert lines[0].begins == pytest.approx(-lines[-2].begins)
    wins = graded.directions().counts()
    assert sum(c.votes for row in page.matrix for c in row if c) == pytest.approx(
        2 * (wins.votes - wins.ties.sum())
    )
    # Of an odd number of grades decided votes are more decided than the gap alone.
    assert page.calibration.ece <= page.calibration.most_by_chance
    text = render_leaderboard(page)
    assert "How much better?" in text
    assert "is even odds at a gap of" in page.grades.takeaway


def test_expectations_know_rao_and_kuppers_ties_and_probits():
    """Decided votes: sigma(g - eta) / (sigma(g - eta) + sigma(-g - eta)), not sigma(g)."""
    votes = simulate([1.5, 0.6, 0.5, -0.6, -2.0], ties=0.4)
    for options in ({"ties": "rao_kupper"}, {"model": "thurstone"}):
        board = Leaderboard(**options).fit(votes)
        page = leaderboard_page(board, votes)
        first, last = page.matrix_names[0], page.matrix_names[-1]
        chances = board.predict_proba([(first, last)])[0]
        assert page.matrix[0][-1].expected == pytest.approx(chances[0] / (chances[0] + chances[1]))
