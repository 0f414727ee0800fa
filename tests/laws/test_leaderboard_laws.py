"""What no leaderboard may depend on: labels, sides, how votes are bundled; on every model of it."""

from dataclasses import replace

import numpy as np
import pytest

from penchant.data.rankings import Rankings
from penchant.data.votes import Votes
from penchant.models.leaderboard import Leaderboard
from penchant.simulation.votes import VoteWorld, simulate_votes

MODELS = {
    "davidson": {"interval": "wald"},
    "rao_kupper": {"interval": "wald", "ties": "rao_kupper"},
    "half": {"interval": "wald", "ties": "half"},
    "thurstone": {"interval": "wald", "model": "thurstone"},
    "covariates": {"interval": "wald", "covariates": ("x0",)},
    "context": {"interval": "wald", "context": "topic"},
}
WORLD = VoteWorld(
    num_items=5, num_votes=400, log_tie=-0.7, coefficients=(0.4,), num_contexts=2,
    context_spread=0.4, num_voters=20,
)  # fmt: skip


@pytest.fixture(scope="module")
def votes() -> Votes:
    return simulate_votes(WORLD, np.random.default_rng(3)).votes


def board(model: str, votes: Votes | Rankings) -> dict[str, tuple[float, float]]:
    """Score and error of every item."""
    fitted = Leaderboard(**MODELS.get(model, {})).fit(votes)
    assert fitted.fit_.converged
    return {row.name: (row.strength, row.se) for row in fitted.standings_}


def assert_same(ours, theirs, tolerance=2e-5):
    assert set(ours) == set(theirs)
    for name, found in ours.items():
        np.testing.assert_allclose(found, theirs[name], atol=tolerance, err_msg=name)


@pytest.mark.parametrize("model", MODELS)
def test_renaming_items_renames_them_and_nothing_else(model, votes):
    turn = np.random.default_rng(0).permutation(votes.num_items)
    names = np.array(votes.items)[turn]
    back = np.argsort(turn)
    renamed = replace(votes, items=tuple(names), first=back[votes.first].astype(np.int32),
                      second=back[votes.second].astype(np.int32))  # fmt: skip
    assert_same(board(model, votes), board(model, renamed))


@pytest.mark.parametrize("model", MODELS)
def test_identical_votes_may_be_merged_into_weights_or_split(model, votes):
    twice = votes.take(np.concatenate([np.arange(len(votes)), np.arange(len(votes))]))
    merged = replace(votes, weight=2.0 * votes.weight)
    split = votes.take(np.repeat(np.arange(len(votes)), 3))
    split = replace(split, weight=np.tile([0.25, 0.5, 1.25], len(votes)))
    assert_same(board(model, twice), board(model, merged))
    assert_same(board(model, split), board(model, merged))


@pytest.mark.parametrize("model", MODELS)
def test_whoever_loses_instead_of_winning_has_the_opposite_score(model, votes):
    reversed_roles = replace(votes, share=1.0 - votes.share, covariates=-votes.covariates)
    found = board(model, reversed_roles)
    mirrored = {name: (-score, se) for name, (score, se) in board(model, votes).items()}
    assert_same(mirrored, found)


@pytest.mark.parametrize("model", MODELS)
def test_the_side_on_which_an_item_was_shown_means_nothing(model, votes):
    # Half of the votes: with all of them turned, a coefficient of the wrong sign would do too.
    half = np.random.default_rng(1).random(len(votes)) < 0.5
    turned = replace(
        votes, first=np.where(half, votes.second, votes.first),
        second=np.where(half, votes.first, votes.second),
        share=np.where(half, 1.0 - votes.share, votes.share),
        covariates=np.where(half[:, None], -votes.covariates, votes.covariates),
    )  # fmt: skip
    assert_same(board(model, votes), board(model, turned))


@pytest.mark.parametrize("model", ["davidson", "rao_kupper", "half", "thurstone"])
@pytest.mark.parametrize("seed", range(3))
def test_a_voter_who_ties_everything_moves_nobody_past_another(model, seed):
    """Where every two items met equally often: elsewhere ties pull most on whoever met few."""
    rng = np.random.default_rng(seed)
    worth = np.array([1.5, 0.8, 0.0, -0.7, -1.6])
    first, second = (np.repeat(side, 60) for side in np.triu_indices(5, 1))
    outcome = np.where(
        rng.random(len(first)) < 0.1,
        2,
        (rng.random(len(first)) > 1 / (1 + np.exp(worth[second] - worth[first]))).astype(int),
    )
    votes = Votes.from_outcomes(tuple("abcde"), first, second, outcome)
    ties = Votes.from_outcomes(
        tuple("abcde"), *(np.repeat(side, 20) for side in np.triu_indices(5, 1)),
        np.full(200, 2),
    )  # fmt: skip
    before, after = (board(model, each) for each in (votes, votes.merged(ties)))
    order = sorted(before, key=lambda name: -before[name][0])
    assert sorted(after, key=lambda name: -after[name][0]) == order
    # A tie strength that is estimated takes the ties up; half-wins can only draw together.
    if model == "half":
        reach = [max(s for s, _ in each.values()) - min(s for s, _ in each.values())
                 for each in (before, after)]  # fmt: skip
        assert reach[1] < 0.9 * reach[0]


def rankings(seed: int = 0, num: int = 60) -> Rankings:
    rng = np.random.default_rng(seed)
    worth = np.linspace(1.0, -1.0, 4)
    item = np.concatenate([np.argsort(-(worth + rng.gumbel(size=4))) for _ in range(num)])
    return Rankings(
        items=tuple("abcd"), item=item, tier=np.tile(np.arange(4), num),
        start=np.arange(0, 4 * num + 1, 4), weight=np.ones(num),
    )  # fmt: skip


def test_rankings_know_neither_labels_nor_bundles():
    some = rankings()
    turn = np.array([2, 0, 3, 1])
    renamed = replace(some, items=tuple(np.array(some.items)[np.argsort(turn)]),
                      item=turn[some.item])  # fmt: skip
    assert_same(board("", some), board("", renamed))
    twice = some.take(np.repeat(np.arange(len(some)), 2))
    assert_same(board("", twice), board("", replace(some, weight=2.0 * some.weight)))


def test_a_ranking_that_ties_everything_says_nothing():
    some = rankings()
    flat = replace(some, tier=np.zeros_like(some.tier))
    both = Rankings(
        items=some.items, item=np.concatenate([some.item, flat.item]),
        tier=np.concatenate([some.tier, flat.tier]),
        start=np.concatenate([some.start, some.start[-1] + flat.start[1:]]),
        weight=np.ones(2 * len(some)),
    )  # fmt: skip
    assert_same(board("", some), board("", both))
