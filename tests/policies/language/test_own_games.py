"""What a policy learns from its own games, and how these are drawn and judged."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from penchant.errors import DataError
from penchant.fitting.sgd import TrainConfig
from penchant.lm.sample import SampleConfig

torch = pytest.importorskip("torch")

from lm.tiny_models import tiny  # noqa: E402  # it needs torch
from penchant.evaluation.policy_trial import own_games, share_won  # noqa: E402
from penchant.fitting.next_token import NextToken, fit_next_token  # noqa: E402
from penchant.lm.log_probs import log_probs  # noqa: E402
from penchant.lm.tokens import padded  # noqa: E402
from penchant.policies.language.own_pairs import judged_answers  # noqa: E402
from penchant.policies.language.teaching import lessons_by, taught_by_own  # noqa: E402
from penchant.policies.language.unpaired import Judged  # noqa: E402
from policies.language.test_game_trees import Even  # noqa: E402

ROWS = [[1, 20, 21, 22, 23], [1, 30, 31, 32]]
OWN = [[False, False, True, False, True], [True, True, True, False]]
ONCE = TrainConfig(batch_size=2, max_epochs=3, learning_rate=1e-2, patience=None)
TWO = SampleConfig(most_tokens=2)


@dataclass
class Evens:
    """Worlds of one to three turns."""

    met: list = field(default_factory=list)

    def draw_world(self, generator):
        self.met.append(Even(turns=int(generator.integers(1, 4))))
        return self.met[-1]


def test_of_a_row_only_its_own_tokens_from_its_place_on_are_learnt():
    model, place = tiny(), np.array([1, 2])
    said = log_probs(model, padded(ROWS, 0)).log_prob
    asked = said[0, [1, 3]].sum() + said[1, [1]].sum()
    objective = NextToken(model=model, rows=ROWS, from_place=place, own=OWN)
    both = np.arange(2)
    np.testing.assert_allclose(objective.log_prob(model.parameters, both), asked, rtol=1e-12)
    assert objective.weight(both) == 3.0
    whole = NextToken(model=model, rows=ROWS, from_place=place)
    everything = [[True] * len(row) for row in ROWS]
    marked = NextToken(model=model, rows=ROWS, from_place=place, own=everything)
    assert marked.weight(both) == whole.weight(both) == 6.0
    np.testing.assert_allclose(
        marked.log_prob(model.parameters, both), whole.log_prob(model.parameters, both)
    )


def test_rows_with_nothing_of_their_own_are_refused():
    with pytest.raises(DataError, match="other lengths"):
        fit_next_token(tiny(), ROWS, ONCE, own=[OWN[0], OWN[0]])
    none = [OWN[0], [True, False, False, False]]
    with pytest.raises(DataError, match="row 1 has no token of its own"):
        fit_next_token(tiny(), ROWS, ONCE, own=none)


def test_rejection_sampling_learns_what_was_written_in_good_games_alone():
    judged = Judged(
        rows=[*ROWS, [1, 40, 41]],
        place=np.array([1, 1, 1]),
        is_desired=np.array([True, True, False]),
        own=[*OWN, [False, True, True]],
    )
    found, _ = taught_by_own(tiny(), judged, ONCE)
    asked, _ = fit_next_token(tiny(), ROWS, ONCE, own=OWN)
    for name, value in asked.parameters.items():
        assert torch.equal(found.parameters[name], value)
    # Of no bad game anything is learnt, whatever was written in it.
    judged.rows[2][:] = [1, 99, 98]
    again, _ = taught_by_own(tiny(), judged, ONCE)
    for name, value in asked.parameters.items():
        assert torch.equal(again.parameters[name], value)


def test_games_are_drawn_until_the_tokens_are_spent_several_in_each_world():
    task = Evens()
    found = own_games(tiny(), task, 200, TWO, 5, worlds=3, copies=4)
    rollouts = found.rollouts
    assert rollouts.lengths.sum() >= 200
    last = rollouts.prompt_of >= rollouts.prompt_of.max() - 2
    assert rollouts.lengths[~last].sum() < 200
    assert np.bincount(rollouts.prompt_of).tolist() == [4] * len(task.met)
    assert all(world.done == 0 for world in task.met)
    # Copies of a world are as long as it is.
    turns = [len(said.split(" / ")) for said in rollouts.responses]
    assert turns == [world.turns for world in task.met for _ in range(4)]
    again = own_games(tiny(), Evens(), 200, TWO, 5, worlds=3, copies=4)
    assert again.rollouts.responses == rollouts.responses
    good = [all(not part or ord(part[0]) % 2 == 0 for part in said.split(" / "))
            for said in rollouts.responses]  # fmt: skip
    np.testing.assert_array_equal(found.won, np.array(good, dtype=float))
    assert judged_answers(rollouts, found.won).is_desired.tolist() == good


def test_the_share_that_is_won_leaves_worlds_as_they_are():
    worlds = [Even(turns=1) for _ in range(300)]
    first, second = (share_won(tiny(), worlds, TWO, 3) for _ in range(2))
    assert first == second
    assert 0.15 < first < 0.35
    assert all(world.done == 0 for world in worlds)


def test_games_of_a_player_are_shown_as_they_were_played():
    # It says how often it has read and what it did last.
    def player(read, did):
        assert len(read) == len(did) + 1
        return f"{len(read)}{did[-1][0] if did else '-'}"

    task, tokenizer = Evens(), tiny().tokenizer
    told = lessons_by(task, player, 12, np.random.default_rng(0), tokenizer)
    begun = [1, *tokenizer.encode("go")]
    for world, row, place in zip(task.met, told.rows, told.from_place, strict=True):
        turns = ["1-", "21", "32"][: world.turns]
        asked = [*begun, *tokenizer.encode(turns[0]), 2]
        for number, did in enumerate(turns[1:], 1):
            asked += [*tokenizer.encode(f"<{number}>{did}"), 2]
        assert (row, place) == (asked, len(begun))
