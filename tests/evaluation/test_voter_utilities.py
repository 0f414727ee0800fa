"""What options are worth to people: by hand, from ratings, rankings and classes of voters."""

import numpy as np
import pyarrow as pa
import pytest

from penchant.data.description import Description
from penchant.data.readers.read import read
from penchant.errors import ConfigError, DataError
from penchant.evaluation.leaderboard_losses import decide_by, rules_view
from penchant.evaluation.voter_utilities import utilities_of_classes, utilities_of_records
from penchant.models.leaderboard import Leaderboard
from penchant.simulation.votes import VoteWorld, simulate_votes

RATED = Description(
    layout="ratings", kind="outcome", person="who", option="what", answer="stars",
    person_features=("town",),
)  # fmt: skip


def rated(lines):
    who, what, stars, town = zip(*lines, strict=True)
    table = pa.table({"who": who, "what": what, "stars": stars, "town": town})
    return read(table, RATED).records


LINES = [
    ("p", "x", 3.0, "north"), ("p", "y", 1.0, "north"), ("p", "y", 2.0, "north"),
    ("q", "x", 0.0, "south"), ("q", "y", 4.0, "south"), ("r", "x", 5.0, "south"),
]  # fmt: skip


def test_ratings_count_as_they_stand_and_who_left_one_out_is_not_heard():
    found = utilities_of_records(rated(LINES), "town")
    order = np.argsort(found.options)
    np.testing.assert_allclose(found.utilities[:, order], [[3.0, 1.5], [0.0, 4.0]])
    assert [found.group_names[g] for g in found.group] == ["north", "south"]
    assert "1 of 3 people did not judge every one" in found.notes[0]


def test_where_nobody_judged_all_the_commonest_set_is_decided_about():
    """Two samples that rated other things: the larger one."""
    other = [("s", "v", 1.0, "east"), ("s", "w", 2.0, "east")]
    found = utilities_of_records(rated([*LINES, *other]))
    assert sorted(found.options) == ["x", "y"]
    assert len(found.utilities) == 2
    assert "Nobody judged all 4 options" in found.notes[0]
    assert "2 of 4 people" in found.notes[1]


def test_places_count_from_one_to_nothing_and_equals_share_the_mean():
    table = pa.table({
        "who": ["p"] * 3 + ["q"] * 3, "menu": [1] * 3 + [2] * 3, "what": list("abcabc"),
        "rank": [1, 2, 3, 2, 2, 1],
    })  # fmt: skip
    said = Description(
        layout="long", kind="ranking", person="who", situation=("menu",), option="what",
        answer="rank",
    )  # fmt: skip
    found = utilities_of_records(read(table, said).records)
    order = np.argsort(found.options)
    np.testing.assert_allclose(found.utilities[:, order], [[1.0, 0.5, 0.0], [0.25, 0.25, 1.0]])


@pytest.mark.parametrize(("levels", "low", "amounts", "unit"), [
    ((1, 2, 5), False, [[1, 2, 5], [5, 1, 2]], "ratings as they were given"),
    ((1, 2, 5), True, [[-1, -2, -5], [-5, -1, -2]], "ratings with their sign turned"),
    ((5, 2, 1), False, [[-1, -2, -5], [-5, -1, -2]], "ratings with their sign turned"),
    ((2, 1, 5), False, [[1, 0, 2], [2, 1, 0]], "steps on the scale"),
    (("bad", "fair", "good"), False, [[0, 1, 2], [2, 0, 1]], "steps on the scale"),
    (("bad", "fair", "good"), True, [[2, 1, 0], [0, 2, 1]], "steps on the scale"),
])  # fmt: skip
def test_levels_count_what_their_names_say_and_words_their_place(levels, low, amounts, unit):
    shown = sorted(levels)
    table = pa.table({
        "who": list("pppqqq"), "what": list("xyzxyz"),
        "stars": [shown[n] for n in (0, 1, 2, 2, 0, 1)],
    })  # fmt: skip
    said = Description(
        layout="ratings", kind="rating", person="who", option="what", answer="stars",
        levels=levels, low_is_good=low,
    )  # fmt: skip
    found = utilities_of_records(read(table, said).records)
    np.testing.assert_allclose(found.utilities[:, np.argsort(found.options)], amounts)
    assert found.unit.startswith(unit)


def test_low_numbers_that_are_good_are_said_to_be_turned():
    table = pa.table({"who": list("ppqq"), "what": list("xyxy"), "cost": [1.5, 3.0, 2.0, 0.5]})
    said = Description(
        layout="ratings", kind="outcome", person="who", option="what", answer="cost",
        low_is_good=True,
    )  # fmt: skip
    found = utilities_of_records(read(table, said).records)
    np.testing.assert_allclose(
        found.utilities[:, np.argsort(found.options)], [[-1.5, -3.0], [-2.0, -0.5]]
    )
    assert "sign turned" in found.unit


def test_of_rankings_of_several_menus_the_one_that_most_people_saw_is_decided_about():
    """p and q ranked a, b, c; r ranked b, c, d, twice: once more than anybody else did anything."""
    lines = [("p", 1, "abc"), ("q", 2, "cab"), ("q", 3, "dab"), ("r", 4, "bcd"), ("r", 5, "cbd"),
             ("r", 6, "dcb")]  # fmt: skip
    table = pa.table({
        "who": [who for who, _, order in lines for _ in order],
        "menu": [menu for _, menu, order in lines for _ in order],
        "what": [item for _, _, order in lines for item in order],
        "rank": [place for _ in lines for place in (1, 2, 3)],
    })  # fmt: skip
    said = Description(
        layout="long", kind="ranking", person="who", situation=("menu",), option="what",
        answer="rank",
    )  # fmt: skip
    found = utilities_of_records(read(table, said).records)
    order = np.argsort(found.options)
    assert [found.options[n] for n in order] == ["a", "b", "c"]
    # What q thought of d, a and b is of another menu.
    np.testing.assert_allclose(found.utilities[:, order], [[1.0, 0.5, 0.0], [0.5, 0.0, 1.0]])
    assert "Nobody judged all 4 options" in found.notes[0]
    assert "1 of 3 people" in found.notes[1]


def test_classes_are_voters_of_their_shares():
    world = VoteWorld(num_items=5, num_votes=1500, num_voters=60, class_shares=(0.6, 0.4))
    votes = simulate_votes(world, np.random.default_rng(0)).votes
    board = Leaderboard(voters="classes").fit(votes)
    found = utilities_of_classes(board.detail_)
    np.testing.assert_allclose(found.weight, board.detail_.shares)
    verdict = decide_by(found, ("sum",))["sum"]
    weighed = board.detail_.shares @ board.detail_.strengths
    assert found.options[int(np.argmin(verdict.choice.rank))] == board.fit_.items[weighed.argmax()]
    assert [loss.group[:7] for loss in verdict.losses[1:]] == ["class 1", "class 2"]


def test_losing_is_against_the_option_that_is_named():
    found = utilities_of_records(rated(LINES), "town")
    lot, named = (decide_by(found, ("sum",), against)["sum"] for against in (None, "x"))
    # y has the larger sum: p loses by it, half as much against a lot as against x.
    assert found.options[int(np.argmin(lot.choice.rank))] == "y"
    assert lot.losses[0].losing == named.losses[0].losing == 0.5
    assert named.losses[0].mean_loss == pytest.approx(1.5)
    assert lot.losses[0].mean_loss == pytest.approx(0.75)
    view = rules_view(found, {"sum": named}, "x")
    assert (view.lines[0].first, view.lines[0].worst) == ("y", "north: 100\u202f%, by 1.50")
    assert "worse off than with `x`" in view.takeaway
    assert view.picture.startswith("<svg")


def test_what_cannot_be_decided_is_refused_with_the_mend():
    with pytest.raises(DataError, match="nobody among 2 people judged two of the 2 options"):
        utilities_of_records(rated([LINES[0], LINES[4]]))
    found = utilities_of_records(rated(LINES))
    with pytest.raises(ConfigError, match="no option 'z'"):
        decide_by(found, ("sum",), "z")
    with pytest.raises(ConfigError, match="no column 'region'"):
        utilities_of_records(rated(LINES), "region")
