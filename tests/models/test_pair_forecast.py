"""What a leaderboard foretells of a pair, and the belief it leaves to those who ask and decide."""

from dataclasses import replace

import numpy as np
import pytest

from penchant.agents.elicitation.comparisons import top_items
from penchant.data.votes import Votes
from penchant.errors import ConfigError, DataError, NotFittedError
from penchant.models.leaderboard import Leaderboard
from penchant.simulation.votes import VoteWorld, simulate_votes


def made(seed=0, **sizes):
    defaults = {"num_items": 5, "num_votes": 1200, "log_tie": -0.7}
    return simulate_votes(VoteWorld(**(defaults | sizes)), np.random.default_rng(seed)).votes


@pytest.mark.parametrize(
    "asked",
    [{}, {"ties": "rao_kupper"}, {"model": "thurstone"}, {"covariates": ("x",)},
     {"has_drift": True}],
)  # fmt: skip
def test_foretold_chances_are_those_that_the_likelihood_has_of_the_votes(asked):
    votes = made(coefficients=(0.5,)) if "covariates" in asked else made(num_times=3)
    if "covariates" in asked:
        votes = replace(votes, covariate_names=("x",))
    board = Leaderboard(**asked).fit(votes)
    found = board.predict_proba(votes)
    assert found.shape == (1200, 3)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    answer = np.where(votes.tie, 2, np.where(votes.share == 1.0, 0, 1))
    total = np.log(found[np.arange(1200), answer]).sum()
    if "has_drift" not in asked:
        assert total == pytest.approx(board.fit_.log_likelihood, rel=1e-6)


def test_names_and_numbers_of_items_say_the_same():
    board = Leaderboard().fit(made())
    names = [row.name for row in board.standings_]
    ahead = board.predict_proba([(names[0], names[-1]), (names[-1], names[0])])
    np.testing.assert_allclose(ahead[0], ahead[1][[1, 0, 2]])
    assert ahead[0, 0] > ahead[0, 1]
    other = Votes.from_outcomes((names[-1], names[0]), np.array([1]), np.array([0]), np.array([0]))
    np.testing.assert_allclose(board.predict_proba(other)[0], ahead[0])
    with pytest.raises(DataError, match="'nobody' was not ranked"):
        board.predict_proba([("nobody", names[0])])


def test_what_cannot_be_foretold_is_refused():
    with pytest.raises(NotFittedError):
        Leaderboard().predict_proba([("a", "b")])
    with pytest.raises(NotFittedError):
        Leaderboard().belief_  # noqa: B018  # the property is what raises
    votes = replace(made(coefficients=(0.5,)), covariate_names=("x",))
    with pytest.raises(ConfigError, match="at equal x"):
        Leaderboard(covariates=("x",)).fit(votes).predict_proba([votes.items[:2]])


def test_the_belief_is_that_of_the_table_and_askers_take_it():
    board = Leaderboard().fit(made())
    belief = board.belief_
    rows = {row.name: row for row in board.standings_}
    assert [rows[name].strength for name in belief.items] == belief.mean.tolist()
    np.testing.assert_allclose(
        np.sqrt(np.diag(belief.covariance)), [rows[n].se for n in belief.items]
    )
    best = [belief.items[i] for i in top_items(belief, 2)]
    assert set(best) == {row.name for row in board.standings_[:2]}
    probit = Leaderboard(model="thurstone").fit(made()).belief_
    np.testing.assert_allclose(probit.mean, belief.mean, atol=0.1)


def test_of_two_islands_either_item_may_be_the_stronger_one():
    votes = made()
    apart = Votes.from_outcomes(
        (*votes.items, "p", "q", "never met"), np.append(votes.first, [5] * 9),
        np.append(votes.second, [6] * 9),
        np.append(np.where(votes.tie, 2, 1 - votes.share), [0, 0, 0, 0, 0, 1, 1, 1, 0]).astype(int),
    )  # fmt: skip
    belief = Leaderboard().fit(apart).belief_
    assert belief.above(np.array([5]), np.array([6]))[0] > 0.7
    across = belief.above(np.array([0, 5, 7]), np.array([5, 7, 1]))
    assert (np.abs(across - 0.5) < 0.15).all()
    within, alone = belief.gaps(np.array([0]), np.array([1])), Leaderboard().fit(votes).belief_
    np.testing.assert_allclose(within[1], alone.gaps(np.array([0]), np.array([1]))[1], rtol=0.01)
