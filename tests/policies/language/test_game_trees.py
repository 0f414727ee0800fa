"""Search in games: what is counted, what is tried, and what is played in the end."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from penchant.errors import ConfigError
from penchant.lm.sample import SampleConfig, sample
from penchant.policies.language.episodes import play
from penchant.policies.language.game_trees import (
    SearchConfig,
    play_searched,
    search,
    steps_of,
)
from penchant.simulation.tasks.task import Turn

torch = pytest.importorskip("torch")

from lm.tiny_models import tiny  # noqa: E402  # it needs torch

ONE = SampleConfig(most_tokens=1)


@dataclass
class Even:
    """Won where what was written in every turn begins with an even byte."""

    turns: int = 2
    prompt: str = "go"
    is_good: bool = True
    done: int = 0
    difficulty = 1

    def step(self, action):
        assert self.done < self.turns
        self.done += 1
        self.is_good &= not action or ord(action[0]) % 2 == 0
        is_over = self.done == self.turns
        return Turn(text=f"<{self.done}>", reward=float(is_over and self.is_good), is_over=is_over)

    def best_action(self):
        return "b"


def grown(config, worlds=6, turns=2, seed=0):
    given = [Even(turns=turns) for _ in range(worlds)]
    found = search(tiny(), given, config, ONE, torch.Generator().manual_seed(seed))
    return given, found


def histories(root):
    yield root
    for step in root.steps:
        if step.after is not None:
            yield from histories(step.after)


@pytest.mark.parametrize("explore", [0.0, 1.0, 50.0])
def test_every_game_counts_once_for_every_action_on_its_way(explore):
    given, found = grown(SearchConfig(simulations=20, width=3, explore=explore))
    assert all(world.done == 0 for world in given)
    for root in found.roots:
        assert root.visits == 20
        for here in histories(root):
            if here.line.is_open:
                # The first game from a history went on beyond the tree.
                assert here.visits == 1 + sum(step.visits for step in here.steps)
            for step in here.steps:
                assert (step.after is not None) == (step.visits > 0)
                if step.after is not None:
                    assert step.after.visits == step.visits
                    later = [s for s in step.after.steps if s.visits]
                    # What was won after it was won through it; one game may have gone beyond.
                    gap = step.won - sum(s.won for s in later)
                    assert gap in ((0.0, 1.0) if step.after.line.is_open else (0.0, step.visits))


def test_an_action_that_ends_the_game_is_worth_what_it_earned():
    _, found = grown(SearchConfig(simulations=12, width=4), turns=1)
    steps = steps_of(found)
    tokenizer = tiny().tokenizer
    said = [tokenizer.decode(ids) for ids in steps.ids]
    even = [not text or ord(text[0]) % 2 == 0 for text in said]
    np.testing.assert_array_equal(steps.value, np.array(even, dtype=float))
    assert len(set(even)) == 2
    assert {tuple(row) for row in steps.rows} == {(1, *tokenizer.encode("go"))}


def test_search_that_only_explores_tries_siblings_alike():
    _, found = grown(SearchConfig(simulations=23, width=4, explore=1e6))
    for root in found.roots:
        visits = [step.visits for step in root.steps]
        assert max(visits) - min(visits) <= 1


def test_the_next_action_is_the_one_that_the_rule_names():
    config = SearchConfig(simulations=17, width=4, explore=0.7, own_rank=0.25)
    _, before = grown(config)
    _, after = grown(SearchConfig(simulations=18, width=4, explore=0.7, own_rank=0.25))
    for old, new in zip(before.roots, after.roots):
        # The same draws, one game more.
        assert [s.act.ids for s in old.steps] == [s.act.ids for s in new.steps]
        q = [0.75 * s.won / max(s.visits, 1) + 0.25 * s.rank for s in old.steps]
        bonus = [0.7 * np.sqrt(np.log(old.visits) / (1 + s.visits)) for s in old.steps]
        (taken,) = np.flatnonzero([n.visits - o.visits for o, n in zip(old.steps, new.steps)])
        assert taken == np.argmax(np.add(q, bonus))


def test_siblings_are_apart_and_ranked_by_how_likely_they_are():
    _, found = grown(SearchConfig(simulations=3, width=6, own_rank=1.0))
    for root in found.roots:
        assert len({tuple(step.act.ids) for step in root.steps}) == len(root.steps)
        told = sorted(root.steps, key=lambda step: -step.act.log_prob[0])
        np.testing.assert_allclose([s.rank for s in told], np.linspace(1, 0, len(told)))
        assert [s.value(1.0) for s in told] == [s.rank for s in told]


def test_what_was_searched_is_won_wherever_an_action_that_wins_was_tried():
    _, found = grown(SearchConfig(simulations=20, width=6), worlds=30, turns=1)
    games = play_searched(tiny(), found, ONE, torch.Generator().manual_seed(1))
    asked = [any(step.won > 0.0 for step in root.steps) for root in found.roots]
    assert games.is_solved.tolist() == asked
    assert 0 < sum(asked) < 30


def test_searching_wins_more_often_than_the_policy_alone_and_leaves_the_tree():
    given, found = grown(SearchConfig(simulations=40, width=6), worlds=30)
    draws = torch.Generator().manual_seed(1)
    alone = play(tiny(), [Even() for _ in range(400)], np.arange(400), ONE, draws)
    searched = play_searched(tiny(), found, ONE, draws)
    assert alone.is_solved.mean() < 0.15
    assert searched.is_solved.mean() > 0.5
    assert all(root.visits == 40 for root in found.roots)
    assert all(world.done == 0 for world in given)


def test_every_token_of_the_search_is_counted():
    drawn = []

    def counting(model, prompts, config, generator, copies):
        told = sample(replace(model, sampler=None), prompts, config, generator, copies=copies)
        drawn.append(int(told.is_text.sum()))
        return told

    model = replace(tiny(), sampler=counting)
    # So cold that actions are drawn twice: both took their tokens.
    often = replace(ONE, temperature=0.1)
    found = search(model, [Even(turns=3)] * 4, SearchConfig(simulations=9, width=3), often,
                   torch.Generator().manual_seed(0))  # fmt: skip
    assert found.num_drawn == sum(drawn)
    assert min(len(root.steps) for root in found.roots) < 3


def test_settings_that_compare_nothing_are_refused():
    for odd in ({"width": 1}, {"simulations": 0}, {"explore": -1.0}, {"own_rank": 1.5}):
        with pytest.raises(ConfigError, match="expected"):
            SearchConfig(**odd)
