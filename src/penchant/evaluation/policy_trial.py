"""What a language policy has gained: before and after on what it was not trained on, by context.

Legend: N answers or pairs.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from penchant.lm.language_model import LanguageModel
from penchant.lm.sample import SampleConfig
from penchant.metrics.intervals import Interval, clustered_mean
from penchant.numerics.arrays import Array
from penchant.policies.language.episodes import Chooser, play
from penchant.policies.language.gathering import Gathered, gathered, grader_of
from penchant.policies.language.grading import Grader, Reward, correct
from penchant.policies.language.methods.method import PolicyMethod
from penchant.policies.language.rollouts import Rollouts, put_together
from penchant.policies.language.trainer import PolicyTrainer, StepReport, TrainerConfig
from penchant.simulation.tasks.task import TextTask, TextWorld, WorldTask

# Problems of a trial are drawn from here on, away from those of any training.
_FAR = 1_000_003


@dataclass(frozen=True, kw_only=True)
class Score:
    """Of one context: how many were tried, the mean before and after with 95 % intervals, and what
    was gained on the very same problems. Ends are NaN of one alone and where all are alike. group:
    what kind of context."""

    label: str
    num: int
    before: float
    before_low: float
    before_high: float
    after: float
    after_low: float
    after_high: float
    gain: float
    gain_low: float
    gain_high: float
    group: str = ""


def tried(
    model: LanguageModel,
    task: TextTask | WorldTask,
    num: int,
    config: SampleConfig,
    grade: Grader,
    reward: Reward,
    seed: int,
) -> Gathered:
    """One answer to each of `num` problems: the same problems for the same seed."""
    import torch

    device = next(iter(model.parameters.values())).device
    return gathered(
        model, task, num, 1, config, np.random.default_rng((seed, _FAR)),
        torch.Generator(device=device).manual_seed(seed), grade, reward,
    )  # fmt: skip


def trained_for(
    start: LanguageModel,
    task: TextTask | WorldTask,
    method: PolicyMethod,
    config: TrainerConfig,
    tokens: int,
) -> tuple[LanguageModel, list[StepReport]]:
    """The policy once so many tokens were drawn, whatever for, and what its steps told."""
    trainer = PolicyTrainer(start, task, method, config)
    reports = [trainer.step()]
    while reports[-1].tokens < tokens:
        reports.append(trainer.step())
    return trainer.model, reports


@dataclass(frozen=True, kw_only=True, eq=False)
class OwnGames:
    """Games of a policy in worlds of a task, several of each. won: 1 or 0 of each game."""

    rollouts: Rollouts
    won: Float[Array, " N"]


def own_games(
    model: LanguageModel,
    task: WorldTask,
    tokens: int,
    config: SampleConfig,
    seed: int | tuple[int, ...],
    *,
    worlds: int = 16,
    copies: int = 8,
) -> OwnGames:
    """Of so many worlds at a time, until the policy has drawn so many tokens."""
    import torch

    generator = np.random.default_rng(seed)
    device = next(iter(model.parameters.values())).device
    draws = torch.Generator(device=device).manual_seed(int(generator.integers(2**31)))
    parts: list[Rollouts] = []
    won: list[Float[Array, " N"]] = []
    while sum(int(part.lengths.sum()) for part in parts) < tokens:
        drawn = [task.draw_world(generator) for _ in range(worlds)]
        number = np.repeat(np.arange(worlds), copies)
        each = [deepcopy(drawn[w]) for w in number]
        games = play(model, each, number + worlds * len(parts), config, draws)
        parts.append(games.rollouts)
        won.append(games.is_solved.astype(float))
    return OwnGames(rollouts=put_together(parts), won=np.concatenate(won))


def share_won(
    model: LanguageModel,
    worlds: Sequence[TextWorld],
    config: SampleConfig,
    seed: int,
    choose: Chooser | None = None,
) -> float:
    """The share of these worlds that is won, each played once in a copy; choose: as `play` takes
    it."""
    import torch

    device = next(iter(model.parameters.values())).device
    draws = torch.Generator(device=device).manual_seed(seed)
    each = [deepcopy(world) for world in worlds]
    games = play(model, each, np.arange(len(each)), config, draws, choose=choose)
    return float(games.is_solved.mean())


def share_right(
    model: LanguageModel, task: TextTask | WorldTask, num: int, config: SampleConfig, seed: int
) -> float:
    """The share of right answers, one drawn for each of `num` problems (or games won)."""
    found = tried(model, task, num, config, grader_of(task), correct, seed)
    return float(np.mean(found.grades.components["correct"]))


def scores(
    before: Float[Array, " N"],
    after: Float[Array, " N"],
    context: Sequence[str],
    group: str = "",
    most: int = 12,
    cluster: Int[Array, " N"] | None = None,
    weight: Float[Array, " N"] | None = None,
) -> tuple[Score, ...]:
    """Of each context, the largest first where there are more than `most`; what is NaN on either
    side is left out. cluster: what belongs together (a prompt), each its own by default. weight:
    how often each counts, once by default."""
    known = np.isfinite(before) & np.isfinite(after)
    own = np.arange(len(before)) if cluster is None else cluster
    often = np.ones(len(before)) if weight is None else weight
    names = np.array([str(name) for name in context])
    labels, count = np.unique(names[known], return_counts=True)
    kept = np.sort(labels[np.argsort(-count, kind="stable")[:most]])
    return tuple(
        _score(before[mine], after[mine], own[mine], often[mine], str(label), group)
        for label in kept
        for mine in [known & (names == label)]
    )


def overall(
    before: Float[Array, " N"],
    after: Float[Array, " N"],
    cluster: Int[Array, " N"] | None = None,
    weight: Float[Array, " N"] | None = None,
) -> Score:
    """Of all together; cluster, weight: as in `scores`."""
    known = np.isfinite(before) & np.isfinite(after)
    own = np.arange(len(before)) if cluster is None else cluster
    often = np.ones(len(before)) if weight is None else weight
    return _score(before[known], after[known], own[known], often[known], "all", "")


def _mean(
    values: Float[Array, " N"], cluster: Int[Array, " N"], weight: Float[Array, " N"]
) -> Interval:
    found = clustered_mean(values, cluster, weight)
    # Numbers that are all alike say nothing of how far others may be from them.
    if len(values) and np.ptp(values) == 0.0:
        return Interval(found.estimate, np.nan, np.nan)
    return found


def _score(
    before: Float[Array, " N"],
    after: Float[Array, " N"],
    cluster: Int[Array, " N"],
    weight: Float[Array, " N"],
    label: str,
    group: str,
) -> Score:
    b, a, g = (_mean(values, cluster, weight) for values in (before, after, after - before))
    return Score(
        label=label, group=group, num=len(before),
        before=b.estimate, before_low=b.low, before_high=b.high,
        after=a.estimate, after_low=a.low, after_high=a.high,
        gain=g.estimate, gain_low=g.low, gain_high=g.high,
    )  # fmt: skip
