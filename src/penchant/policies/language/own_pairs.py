"""Pairs from a policy's own answers: a right one beside a wrong one of the same prompt.

Legend: B rows (one an answer).
"""

import numpy as np
from jaxtyping import Float

from penchant.errors import DataError
from penchant.numerics.arrays import Array
from penchant.policies.language.pairs import Pairs
from penchant.policies.language.rollouts import Rollouts
from penchant.policies.language.unpaired import Judged


def own_pairs(
    rollouts: Rollouts, reward: Float[Array, " B"], *, most: int = 4, gap: float = 0.0
) -> Pairs:
    """The better answer first, of answers of a prompt whose rewards are more than `gap` apart.

    The widest gaps first, `most` pairs a prompt, each answer in as few of them as can be; of
    several turns the policy's own tokens are scored. Raises
    `DataError` where no prompt has two such answers: there is nothing to prefer.
    """
    first, second = [], []
    ids = rollouts.tokens.ids.cpu().numpy()
    sizes = rollouts.tokens.is_text.sum(dim=1).cpu().numpy()
    own = _own(rollouts)
    for prompt in np.unique(rollouts.prompt_of):
        rows = np.flatnonzero((rollouts.prompt_of == prompt) & np.isfinite(reward))
        order = rows[np.argsort(-reward[rows], kind="stable")]
        for better, worse in zip(order[:most], order[::-1][:most]):
            if reward[better] > reward[worse] + gap:
                first.append(better)
                second.append(worse)
    if not first:
        raise DataError(
            f"of {len(np.unique(rollouts.prompt_of))} prompts none has two answers with different "
            "rewards; expected some right and some wrong ones. Teach the model first, draw more "
            "answers of each prompt, or take easier prompts."
        )
    return Pairs(
        first=[ids[b, : sizes[b]].tolist() for b in first],
        second=[ids[b, : sizes[b]].tolist() for b in second],
        place=rollouts.start[np.array(first)],
        first_wins=np.ones(len(first)),
        person=np.arange(len(first)),
        first_own=[own[b] for b in first], second_own=[own[b] for b in second],
    )  # fmt: skip


def judged_answers(
    rollouts: Rollouts, reward: Float[Array, " B"], threshold: float = 0.5
) -> Judged:
    """Every answer that has a reward, desired where it is above the threshold."""
    rows, own = np.flatnonzero(np.isfinite(reward)), _own(rollouts)
    ids = rollouts.tokens.ids.cpu().numpy()
    sizes = rollouts.tokens.is_text.sum(dim=1).cpu().numpy()
    return Judged(
        rows=[ids[b, : sizes[b]].tolist() for b in rows], place=rollouts.start[rows],
        is_desired=reward[rows] > threshold, own=[own[b] for b in rows],
    )  # fmt: skip


def _own(rollouts: Rollouts) -> list[list[bool]]:
    """Which tokens of each row the policy wrote: a world's observations are not."""
    sizes = rollouts.tokens.is_text.sum(dim=1).cpu().numpy()
    return [[False, *drawn[: size - 1].tolist()] for drawn, size in zip(rollouts.is_drawn, sizes)]
