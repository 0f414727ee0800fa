"""A table that answers CHAIN: its chances and its gradient are exact."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.simulation.tasks.chain import Chain, steps_of
from penchant.simulation.tasks.step_table import StepTable, Sums, Written

SEEDS = st.integers(0, 2**32 - 1)


def drawn(seed, num=5, most=3):
    rng = np.random.default_rng(seed)
    problems = Chain(fewest=1, most=most).draw(num, rng)
    return problems, Sums.read(problems), StepTable.taught(rng, skill=1.0), rng


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_what_it_writes_is_graded_as_the_task_grades_it(seed):
    problems, sums, table, rng = drawn(seed)
    written = table.written(sums, rng)
    for row, problem in enumerate(problems):
        digits = written.said[row][: problem.difficulty].tolist()
        text = "".join(f"{digit}," for digit in digits) + f"#{digits[-1]}"
        assert Chain().grade(problem, text)["correct"] == float(written.is_right[row])
        assert sums.length[row] == problem.difficulty
        assert np.all(written.said[row][problem.difficulty :] == -1)
    assert written.tokens == sums.length.sum()


def test_its_chance_to_be_right_is_the_share_of_right_responses():
    _, sums, table, rng = drawn(3, num=6)
    often = np.repeat(np.arange(6), 20_000)
    right = table.written(sums.take(often), rng).is_right.reshape(6, -1).mean(axis=1)
    exact = table.chance_right(sums)
    assert 0.001 < exact.min() < exact.max() < 0.99
    np.testing.assert_allclose(right, exact, atol=0.02)
    sure = replace(table, logits=1e3 * (table.logits == table.logits.max(axis=1, keepdims=True)))
    assert set(sure.chance_right(sums).round(9)) <= {0.0, 1.0}


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_a_climb_is_the_gradient_of_the_chance_to_be_right(seed):
    """All 100 responses to a chain of two, weighted by their chance, against finite differences."""
    _, sums, table, _ = drawn(seed, num=1, most=2)
    if sums.length[0] < 2:
        return
    first, second = (100 * (c // 10) + c % 10 for c in sums.cell[0])
    said = np.array([(a, b) for a in range(10) for b in range(10)])
    at = np.array([(first + 10 * sums.first[0], second + 10 * a) for a, _ in said])
    chance = np.prod(table.chances[at, said], axis=1)
    written = Written(said=said, at=at, is_right=said[:, 1] == sums.right[0])
    weight = np.tile((chance * written.is_right)[:, None], (1, 2))
    gradient = table.climbed(written, weight, 1.0).logits - table.logits
    assert np.abs(gradient).max() > 1e-6
    for cell, digit in ((at[0, 0], 3), (at[35, 1], int(sums.right[0])), (at[71, 1], 0)):
        step = np.zeros_like(table.logits)
        step[cell, digit] = 1e-6
        up, down = (StepTable(logits=table.logits + s).chance_right(sums)[0]
                    for s in (step, -step))  # fmt: skip
        np.testing.assert_allclose(gradient[cell, digit], (up - down) / 2e-6, atol=1e-7)


def test_it_is_taught_what_is_true_of_every_sign_and_some_steps_better_than_others():
    rng = np.random.default_rng(0)
    sums = Sums.read(Chain(fewest=1, most=6).draw(200, rng))
    np.testing.assert_allclose(StepTable.taught(rng, 1e3, 1e-3).chance_right(sums), 1.0)
    # Of 300 cells the right digit's logit is normal around 3 with deviation 2, the others' 0.2.
    logits = StepTable.taught(rng).logits
    ordered = StepTable.taught(np.random.default_rng(1), 1e3, 1e-3).logits.argmax(axis=1)
    right = logits[np.arange(300), ordered]
    others = np.delete(logits.reshape(-1), 10 * np.arange(300) + ordered)
    assert abs(right.mean() - 3.0) < 0.5
    assert abs(right.std() - 2.0) < 0.4
    assert abs(others.std() - 0.2) < 0.02


def test_it_goes_on_from_what_was_begun():
    _, sums, table, rng = drawn(1, num=8, most=3)
    begun = np.full((8, 1), 7)
    written = table.written(sums, rng, begun)
    assert np.all(written.said[:, 0] == 7)
    assert np.all(written.at[:, 0] == -1)
    longer = sums.length > 1
    assert np.all((written.at[longer, 1] // 10) % 10 == 7)


def test_digits_are_told_the_cells_that_they_were_drawn_from():
    _, sums, table, rng = drawn(7, num=30, most=4)
    written = table.written(sums, rng)
    np.testing.assert_array_equal(sums.cells(written.said), written.at)


def test_what_digits_change_is_the_step_in_the_chance_to_be_right():
    _, sums, table, rng = drawn(5, num=40, most=4)
    written = table.written(sums, rng)
    found = table.gained(sums, written.said)
    total = found.sum(axis=1)
    np.testing.assert_allclose(total, written.is_right - table.chance_right(sums), atol=1e-12)
    # Of one that is begun: up to there, by many ends.
    row = int(np.argmax(sums.length))
    begun = written.said[[row], :1]
    ends = table.written(sums.take(np.full(20_000, row)), rng, np.repeat(begun, 20_000, axis=0))
    first = ends.is_right.mean() - table.chance_right(sums.take(np.array([row])))[0]
    np.testing.assert_allclose(found[row, 0], first, atol=0.02)
    cut = np.where(np.arange(written.said.shape[1]) < 1, written.said, -1)
    np.testing.assert_array_equal(table.gained(sums, cut)[:, 0], found[:, 0])
    assert np.all(table.gained(sums, cut)[:, 1:] == 0.0)


def test_problems_drawn_as_numbers_are_those_of_the_task():
    problems, sums, _, rng = drawn(11, num=60, most=5)
    for row, problem in enumerate(problems):
        steps = steps_of(problem.prompt)
        assert sums.steps[row].tolist() == steps + steps[-1:] * (sums.cell.shape[1] - len(steps))
    length = rng.integers(1, 7, 5_000)
    many = Sums.drawn(length, rng)
    assert many.length.tolist() == length.tolist()
    np.testing.assert_array_equal(many.right, many.steps[:, -1])
    sure = StepTable.taught(rng, skill=1e3, spread=1e-3)
    assert np.all(sure.chance_right(many) > 0.999)
    there = many.cell[many.cell >= 0]
    np.testing.assert_allclose(np.bincount(there, minlength=30) / len(there), 1 / 30, atol=0.01)
