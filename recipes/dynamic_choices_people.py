"""How far people look ahead when they compare two paths: Hatgis-Kessell et al. (2024), Influencing
humans to conform to preference models; Knox et al. (2024); Li, Yang and Wang (2023), DCPPO.

Their headlines, as orders: who is shown or taught a number, return or regret, answers by it; regret
foretells answers better than return. DCPPO's dynamic choice has no figures of people. Ours: 9,630
pairs of paths of three steps on their board, nats a pair with ties, each form with one weight and
one tie, fitted to other people (of `question` for `trained` and the other way round, who were told
the same and whose pairs are of one kind), then to other questions of the same people, those who
saw numbers too. People have no ids: intervals are over questions. Forms: return + V_n(end) -
V_(n+3)(start), V_n what n more steps are worth by the best plan, or by one soft with a temperature
in points, when it is the log-probability of the path (dynamic choice, Rust 1987); hard and without
end it is regret. Which n and temperature is chosen where the form is fitted. Of other people told
nothing, regret gains 0.08 nats on return (0.04 to 0.11), of those told regret 0.13; those told
return are found to look nowhere ahead. Not met: a soft plan gains nothing on regret (0.003, -0.009
to 0.015; of those told regret it loses 0.025, 0.011 to 0.039), nor, by other questions, return on
it of those told return (0.031, 0.000 to 0.062).
Tiny: two folds, two temperatures. 5 s on one core. Data: delivery_trajectories.
"""

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from penchant.evaluation.claims import Claim, no_worse
from penchant.evaluation.recipes import results, run_recipe, shared_file
from penchant.feedback.gap import GapModel
from penchant.fitting.head_pairs import HeadPairs
from penchant.fitting.linear_head import fit_linear_head
from penchant.metrics.intervals import clustered_mean
from penchant.numerics.planning_horizon import best_plan, soft_plan
from penchant.simulation.delivery import DeliveryBoard, PathAnswers

HEADLINE = "headline, as an order"
FORMS, FAR = ("return", "regret", "dynamic choice"), 57
ALIKE = {"question": "trained", "trained": "question"}


@dataclass(frozen=True, kw_only=True)
class Config:
    """temperatures in points; aheads: steps beyond the path."""

    temperatures: tuple[float, ...] = (0.0, 1.0, 3.0)
    aheads: tuple[int, ...] = (0, 2, 5, 13, FAR)
    folds: int = 5
    seed: int = 0

    @classmethod
    def tiny(cls) -> "Config":
        return cls(temperatures=(0.0, 1.0), aheads=(0, FAR), folds=2)


def main(config: Config) -> dict[str, Any]:
    board = DeliveryBoard.read(shared_file("delivery_trajectories/board.json"))
    said = PathAnswers.read(shared_file("delivery_trajectories/pairs.parquet"))
    gaps = {"return": said.gain}
    gaps |= {f"{heat:g} points, {ahead} steps": gap(board, said, heat, ahead)
             for heat, ahead in product(config.temperatures, config.aheads)}  # fmt: skip
    fold = np.random.default_rng(config.seed).permutation(said.question.max() + 1) % config.folds
    nats = {held_out: np.zeros((3, len(said.gain))) for held_out in ("people", "questions")}
    chosen: dict[str, str] = {}
    for asked, told in product(np.unique(said.experiment), np.unique(said.condition)):
        mine = (said.experiment == asked) & (said.condition == told)
        if asked in ALIKE:
            others = (said.experiment == ALIKE[asked]) & (said.condition == told)
            found, chosen[f"{asked}, told {told}"] = foretold(said, gaps, others, mine)
            nats["people"] += found
        for k in range(config.folds):
            here = mine & (fold[said.question] == k)
            nats["questions"] += foretold(said, gaps, mine & ~here, here)[0]
    gains: dict[str, list[float]] = {}
    for (held_out, loss), told in product(nats.items(), np.unique(said.condition)):
        here = (said.condition == told) & (loss[0] > 0)
        for better, worse in ((1, 0), (2, 1), (2, 0)):
            gain = clustered_mean((loss[worse] - loss[better])[here], said.question[here])
            gains[f"other {held_out}, told {told}: {FORMS[better]} over {FORMS[worse]}"] = [
                round(x, 4) for x in (gain.estimate, gain.low, gain.high)
            ]
    claims: list[Claim] = []
    behind: list[Claim] = []
    for held_out in nats:
        found = {told: gains[f"other {held_out}, told {told}: regret over return"]
                 for told in np.unique(said.condition)}  # fmt: skip
        ends = {"told regret: regret over return": found["regret"][1],
                "told return: return over regret": -found["partial_return"][2],
                "told nothing: regret over return": found["control"][1]}  # fmt: skip
        ends["told nothing: dynamic choice over regret"] = gains[
            f"other {held_out}, told control: dynamic choice over regret"
        ][1]
        for what, end in ends.items():
            missed = "dynamic" in what or (held_out, what[:11]) == ("questions", "told return")
            (behind if missed else claims).append(
                no_worse(f"other {held_out}, {what}, low end", 0.0, end, source=HEADLINE)
            )
    return results(claims, not_met=behind, gains_in_nats=gains, chosen=chosen)


def gap(board: DeliveryBoard, said: PathAnswers, heat: float, ahead: int) -> np.ndarray:
    """U of the first path less that of the second, in points."""
    moves, horizon = board.world.moves, FAR + 3
    if heat == 0.0:
        values = best_plan(np.repeat(board.rewards[None], horizon, axis=0), moves).values[::-1]
    else:
        # Beside steps at random, so that to go on is not worth something of its own.
        spared = board.rewards / heat - np.log(board.rewards.shape[1])
        values = heat * soft_plan(spared, moves, horizon).values[::-1]
    first, second = (values[ahead][path.ended] - values[ahead + 3][path.begun]
                     for path in said.paths)  # fmt: skip
    return said.gain + first - second


def foretold(
    said: PathAnswers, gaps: dict[str, np.ndarray], fitted: np.ndarray, held_out: np.ndarray
) -> tuple[np.ndarray, str]:
    """Nats of each held-out pair by return, regret and the dynamic choice best where fitted."""
    model, told, within = GapModel(ties="davidson"), {}, {}
    for name, points in gaps.items():
        shown = (points[:, None] / points[fitted].std()).astype(np.float32)
        pairs = HeadPairs(features=shown[fitted], first=np.arange(fitted.sum()), second=None,
                          answer=said.answer[fitted], weight=np.ones(fitted.sum()))  # fmt: skip
        head = fit_linear_head(pairs, model, prior_scale=10.0, has_covariance=False)
        told[name] = -model.log_prob(shown @ head.weights, said.answer, head.own[None])
        within[name] = head.log_likelihood
    del within["return"]
    best = max(within, key=within.__getitem__)
    kept = [told["return"], told[f"0 points, {FAR} steps"], told[best]]
    return np.where(held_out, kept, 0.0), best


if __name__ == "__main__":
    run_recipe(__file__, Config, main)
