"""Tasks in text: demonstrations are right, graders see what is wrong, draws are repeatable."""

import numpy as np
import pytest

from penchant.errors import ConfigError
from penchant.simulation.tasks.chain import Chain, steps_of
from penchant.simulation.tasks.door import DoorWorld
from penchant.simulation.tasks.find import Find, FindByLooking, LookUp, followed
from penchant.simulation.tasks.grid import NameCell
from penchant.simulation.tasks.ranking import RankItems
from penchant.simulation.tasks.talk import TOPICS, TalkWorld
from penchant.simulation.tasks.task import Problem, demonstrated
from penchant.simulation.tasks.tool import CallTool

TASKS = [Chain(), Chain(scratch=False), Find(hops=3), RankItems(), CallTool(), NameCell()]


@pytest.mark.parametrize("task", TASKS, ids=repr)
def test_a_demonstration_is_right_and_nonsense_is_not(task):
    for problem in task.draw(40, np.random.default_rng(0)):
        grades = task.grade(problem, problem.demonstration)
        assert grades["correct"] == 1.0
        assert all(0.0 <= grade <= 1.0 for grade in grades.values())
        for nonsense in ("", "#", "##!", "\n\n", problem.prompt):
            wrong = task.grade(problem, nonsense)
            assert wrong["correct"] < 1.0
            assert all(0.0 <= grade <= 1.0 for grade in wrong.values())


@pytest.mark.parametrize("task", TASKS, ids=repr)
def test_draws_are_repeatable_and_differ_between_seeds(task):
    one, same, other = (task.draw(20, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one == same
    assert one != other


def test_a_chain_is_read_from_the_left_modulo_ten():
    assert steps_of("7+5*3=") == [2, 6]
    assert steps_of("0-1*9=") == [9, 1]
    problem = Problem(prompt="7+5*3=", demonstration="2,6,#6", difficulty=2)
    task = Chain()
    assert task.grade(problem, "2,6,#6") == {"correct": 1.0, "format": 1.0, "steps": 1.0}
    assert task.grade(problem, "2,5,#6") == {"correct": 1.0, "format": 1.0, "steps": 0.5}
    assert task.grade(problem, "#6") == {"correct": 1.0, "format": 1.0, "steps": 0.0}
    assert task.grade(problem, "so #6 it is")["format"] == 0.0
    assert task.grade(problem, "2,6,#7")["correct"] == 0.0
    difficulties = {p.difficulty for p in task.draw(200, np.random.default_rng(0))}
    assert difficulties == set(range(2, 9))


def test_facts_are_followed_to_the_digit_and_evidence_is_named_in_order():
    prompt = "a=c;k=3;c=d;d=7;?a"
    assert followed(prompt) == (["c", "d"], "7")
    problem, task = Problem(prompt=prompt, demonstration="c,d,#7", difficulty=3), Find(hops=3)
    assert task.grade(problem, "c,d,#7") == {"correct": 1.0, "evidence": 1.0}
    assert task.grade(problem, "#7") == {"correct": 1.0, "evidence": 0.0}
    assert task.grade(problem, "c,k,#3") == {"correct": 0.0, "evidence": 0.5}
    with pytest.raises(ConfigError, match="hops"):
        Find(hops=5, facts=4)


@pytest.mark.parametrize("hops", [1, 3])
def test_a_demonstration_looks_up_nothing_but_what_it_has_read(hops):
    for seed in range(20):
        task = FindByLooking(hops=hops, facts=6)
        turns = demonstrated(task.draw_world(np.random.default_rng(seed)))
        assert turns[-1][1] == f"#{turns[-1][0][-1]}"
        for read, action in turns[:-1]:
            assert action == f"look {read[-1]}"
    with pytest.raises(ConfigError, match="could not be won"):
        FindByLooking(hops=hops, most_turns=hops)
    # One turn more is enough for the longest.
    longest = FindByLooking(hops=hops, facts=6, most_turns=hops + 1)
    for seed in range(20):
        world = longest.draw_world(np.random.default_rng(seed))
        assert demonstrated(world)[-1][1] == world.answer


def test_what_is_looked_up_is_answered_until_the_answer_or_the_last_turn():
    problem = Problem(prompt="a=c;k=3;c=7;?a", demonstration="c,#7", difficulty=2)
    world = LookUp(problem=problem)
    assert world.prompt == "?a"
    assert world.step("look a").text == "a=c"
    assert world.step("look z").text == "?"
    end = world.step("#7")
    assert (end.reward, end.is_over) == (1.0, True)
    with pytest.raises(ConfigError, match="over"):
        world.step("look a")
    short = LookUp(problem=problem, most_turns=1)
    assert short.step("look a").is_over


def test_a_list_is_graded_by_what_stands_first_and_repeats_earn_nothing():
    task = RankItems(tags=4, liked=2, length=3)
    (problem,) = task.draw(1, np.random.default_rng(3))
    a, b = problem.prompt[:2]
    rest = [tag for tag in task.letters if tag not in (a, b)]
    best, none = a + b, "".join(sorted(rest))
    assert task.hits(problem, best).tolist() == [1.0, 0.0, 0.0]
    assert task.hits(problem, f"{best}\n{best}\n{none}").tolist() == [1.0, 0.0, 0.0]
    first = task.grade(problem, f"{best}\n{none}")["correct"]
    last = task.grade(problem, f"{none}\n{best}")["correct"]
    assert first > last > 0.0
    assert task.grade(problem, f"{best}\nzz")["catalogue"] == 0.5
    with pytest.raises(ConfigError, match="liked"):
        RankItems(tags=4, liked=5)


def test_a_call_is_graded_by_name_arguments_and_types():
    problem = Problem(prompt="repeat b 3:", demonstration="rep(b,3)", difficulty=2)
    task = CallTool()
    assert task.grade(problem, "rep(b, 3)")["correct"] == 1.0
    half = task.grade(problem, "rep(b,c)")
    assert half == {"correct": 0.0, "name": 1.0, "arguments": 0.5, "types": 0.5}
    assert task.grade(problem, "mul(b,3)")["types"] == 0.5
    assert task.grade(problem, "fly()")["types"] == 0.0


def test_the_meant_cell_is_one_of_a_kind_among_near_ones():
    task = NameCell(near=4)
    for problem in task.draw(50, np.random.default_rng(0)):
        grid, _, meant = problem.prompt.partition(" ?")
        cells = grid.replace("/", " ").split(" ")
        assert cells.count(meant) == 1
        near = [sum(a != b for a, b in zip(cell, meant, strict=True)) == 1 for cell in cells]
        assert sum(near) >= 4
    named = {name: task.grade(problem, f"#{name}")["distance"] for name in ("a1", "c3")}
    right = task.grade(problem, problem.demonstration)["distance"]
    assert right == 1.0 >= max(named.values())


def test_one_who_knows_the_map_opens_the_door_and_rooms_look_alike():
    seen = set()
    for seed in range(30):
        world, over, total = DoorWorld.drawn(np.random.default_rng(seed)), False, 0.0
        while not over:
            turn = world.step(world.best_action())
            over, total = turn.is_over, total + turn.reward
            seen.add(turn.text)
        assert total == 1.0
    assert len({text[0] for text in seen}) == 3
    idle = DoorWorld(horizon=2)
    assert idle.step("o").reward == idle.invalid
    assert idle.step("l").is_over
    with pytest.raises(ConfigError, match="over"):
        idle.step("r")


def test_asking_first_is_always_right_and_costs_its_questions():
    for topic in TOPICS:
        world, total = TalkWorld(cares_for=topic), 0.0
        for question in TOPICS:
            turn = world.step(f"ask {question}")
            total += turn.reward
            if turn.text == "yes":
                break
        end = world.step(f"offer {question}")
        assert end.is_over
        assert total + end.reward == pytest.approx(1.0 - 0.1 * (TOPICS.index(topic) + 1))
    assert TalkWorld(cares_for="price").step("offer speed").reward == 0.0
    assert TalkWorld(cares_for="price").step("hm").text == "what"
    with pytest.raises(ConfigError, match="cares_for"):
        TalkWorld(cares_for="taste")


def test_of_several_named_cells_the_last_counts_and_a_single_cell_is_no_grid():
    (problem,) = NameCell().draw(1, np.random.default_rng(0))
    right = problem.demonstration
    wrong = next(f"#{name}" for name in ("a1", "c3") if f"#{name}" != right)
    assert NameCell().grade(problem, wrong + right)["correct"] == 1.0
    assert NameCell().grade(problem, right + wrong)["correct"] == 0.0
    (tall,) = NameCell(rows=20, columns=1).draw(1, np.random.default_rng(0))
    assert NameCell(rows=20, columns=1).grade(tall, tall.demonstration)["correct"] == 1.0
    for rows, columns in ((1, 1), (0, 3), (27, 1)):
        with pytest.raises(ConfigError, match="cells"):
            NameCell(rows=rows, columns=columns, near=0)


def test_sums_of_no_operation_are_refused():
    for fewest, most in ((0, 2), (3, 2)):
        with pytest.raises(ConfigError, match="fewest"):
            Chain(fewest=fewest, most=most)
