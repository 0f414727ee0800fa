"""A world of letters: texts follow their chains, judgements their worths."""

import numpy as np

from penchant.simulation.letters import LetterWorld, prompt_letter, written


def test_letters_follow_each_other_as_often_as_the_chain_of_their_prompt_says():
    world = LetterWorld.draw(np.random.default_rng(0), prompts=2, letters=3)
    prompt = np.repeat([0, 1], 3000)
    texts = world.texts(prompt, 4, np.random.default_rng(1))
    for each in (0, 1):
        mine = texts[prompt == each]
        counts = np.zeros((3, 3))
        np.add.at(counts, (mine[:, :-1].ravel(), mine[:, 1:].ravel()), 1)
        total = counts.sum(axis=1, keepdims=True)
        wanted = world.transition[each]
        error = np.sqrt(wanted * (1 - wanted) / total)
        assert (np.abs(counts / total - wanted) <= 5 * error + 1e-9).all()


def test_judgements_are_as_likely_as_the_gap_in_worth_says():
    world = LetterWorld.draw(np.random.default_rng(0), size=0.3)
    judged = world.judged(20_000, 6, np.random.default_rng(2))
    assert abs(world.worth.mean(axis=1)).max() < 1e-12
    share = 1 / (1 + np.exp(-judged.gap))
    won = judged.outcome == 0
    for low, high in ((-2, -0.5), (-0.5, 0.5), (0.5, 2)):
        there = (judged.gap > low) & (judged.gap <= high)
        error = np.sqrt((share[there] * (1 - share[there])).sum()) / there.sum()
        assert abs(won[there].mean() - share[there].mean()) < 5 * error
    # The texts that are written are those that were judged.
    letters = {"ABC"[c]: world.worth[c] for c in range(3)}
    for place in range(20):
        taste = letters[judged.prompt[place]]
        worth = [sum(taste[ord(each) - 97] for each in text)
                 for text in (judged.first[place], judged.second[place])]  # fmt: skip
        assert np.isclose(worth[0] - worth[1], judged.gap[place])


def test_numbers_are_written_as_letters():
    assert written(np.array([0, 1, 25])) == "abz"
    assert prompt_letter(2) == "C"
