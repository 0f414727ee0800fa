"""Pieces of an answer as credit units, valued by a tree of ways on.

Legend: B rows (one a leaf), U edges, T1 tokens after those before them.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.errors import ConfigError
from penchant.numerics.arrays import Array
from penchant.policies.language.aggregation import token_scale
from penchant.policies.language.branching import draw_tree, even_weights, first_ways
from penchant.policies.language.gathering import Ask, Gathered, judged
from penchant.policies.language.loss import Surrogate, to_tokens
from penchant.policies.language.methods.anchor import Anchor, check_in_loss
from penchant.policies.language.methods.method import Heard, Seen
from penchant.policies.language.returns import tree_advantage
from penchant.policies.language.token_weights import unsure_tokens


@dataclass(frozen=True, kw_only=True, slots=True)
class TreeRelative:
    """SPO-tree (Guo et al. 2025): a group's pieces of `segment` tokens go out from the prompt,
    `branches` more from the end of each, level after level; A = V(child) - V(parent), V a leaf's
    reward or the mean over children.

    With `length` (the most tokens of an answer) every node's children share its weight, a prompt
    counts by that constant and the gradient is exact, given `is_corrected` (the mean over b
    children has one's own in it: b / (b - 1)). Without it one mean over the trained tokens, edges
    of advantage 0 left out, as published. only_unsure: tokens drawn with probability below
    `most_sure` alone are trained (biased). Every token that was drawn is trained once, in the first
    row it stands in; a leaf without a reward is no part of the tree.
    """

    branches: tuple[int, ...] = (2, 2)
    segment: int = 30
    is_corrected: bool = True
    only_unsure: bool = False
    most_sure: float = 0.9
    length: int | None = None
    surrogate: Surrogate = field(default_factory=lambda: Surrogate(high=0.2))
    most_weight: float | None = None
    anchor: Anchor | None = None

    def __post_init__(self) -> None:
        check_in_loss(self.anchor)
        if self.segment < 1 or min(self.branches, default=2) < 2:
            raise ConfigError(
                f"got segment={self.segment} and branches={self.branches}; expected a token or "
                "more, and two ways on or more at each level: one alone has nothing to compare."
            )

    @property
    def smallest_group(self) -> int:
        return 2

    @property
    def value_weight(self) -> float:
        return 0.0

    def gathered(self, ask: Ask) -> Gathered:
        """A row for each leaf; what leaves share was drawn once and is counted once. A report's
        reward is of one way on each time, since answers that end early have fewer leaves."""
        task = ask.single_answers("credit by a tree")
        problems = task.draw(ask.num_problems, ask.draws)
        tree = draw_tree(
            ask.model, [problem.prompt for problem in problems], (ask.group_size, *self.branches),
            self.segment, ask.sampling, ask.generator, version=ask.version,
        )  # fmt: skip
        rollouts = tree.rollouts
        mine = [problems[p] for p in rollouts.prompt_of]
        told = {"edge": tree.edge_of, "parent": tree.parent, "root": tree.root, "leaf": tree.leaf}
        return replace(
            judged(rollouts, mine, ask.grade, ask.reward), told=told,
            is_plain=first_ways(tree.parent, tree.leaf),
            spent=tree.num_drawn - int(rollouts.lengths.sum()),
        )  # fmt: skip

    def heard(self, seen: Seen) -> Heard:
        edge, parent, leaf = seen.told["edge"], seen.told["parent"], seen.told["leaf"]
        outcome = np.full(len(parent), np.nan)
        outcome[leaf] = np.where(seen.is_scored, seen.reward, np.nan)
        credit, is_there = self.credit(parent, outcome, seen.told["root"])
        unit_of = np.where((edge >= 0) & np.append(is_there, False)[edge], edge, -1)
        if self.length is None:
            unit_of = np.where(np.append(credit != 0.0, False)[unit_of], unit_of, -1)
        if self.only_unsure:
            logp = seen.rollouts.log_prob.double().cpu().numpy()
            unit_of = np.where(unsure_tokens(logp, self.most_sure), unit_of, -1)
        return Heard(unit_of=unit_of, advantage=to_tokens(credit, unit_of))

    def credit(
        self, parent: Int[Array, " U"], outcome: Float[Array, " U"], root: Int[Array, " U"]
    ) -> tuple[Float[Array, " U"], Bool[Array, " U"]]:
        """The advantage of each edge, and whether an outcome stands behind it. outcome: of leaves,
        NaN where there is none."""
        is_there = np.isfinite(outcome)
        for edge in range(len(parent))[::-1]:  # a child stands behind its parent
            if parent[edge] >= 0 and is_there[edge]:
                is_there[parent[edge]] = True
        kept = np.flatnonzero(is_there)
        place = np.append(np.cumsum(is_there) - 1, -1)  # -1: out of the root
        above, tree = place[parent[kept]], root[kept]
        found = np.zeros(len(parent))
        if len(kept):
            found[kept] = tree_advantage(
                above, np.where(np.isfinite(outcome[kept]), outcome[kept], 0.0), tree,
                is_corrected=self.is_corrected,
            )  # fmt: skip
            if self.length is not None:
                found[kept] *= even_weights(above, tree)
        return found, is_there

    def token_scale(
        self, unit_of: Int[Array, "B T1"], group: Int[Array, " B"]
    ) -> Float[Array, "B T1"]:
        """Each token's weight, of a whole mini-batch."""
        if self.length is None:
            return token_scale(unit_of, "token")
        num = max(len(np.unique(group)), 1)
        return np.where(unit_of >= 0, 1.0 / (num * self.length), 0.0)


def spo_tree(anchor: Anchor | None = None) -> TreeRelative:
    """As published: six ways on at each of three levels (in groups of 6), pieces of 30 tokens, a
    child within its parent's mean, only tokens with a choice, clipped at 0.2."""
    return TreeRelative(branches=(6, 6), is_corrected=False, only_unsure=True, anchor=anchor)
