"""What comes of a policy's data in `penchant align`: parts to learn from and to look at, scores."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from penchant.cli.align_methods import AlignOptions

if TYPE_CHECKING:
    from penchant.evaluation.policy_trial import Score
    from penchant.fitting.sgd import Training
    from penchant.lm.language_model import LanguageModel


@dataclass(frozen=True, kw_only=True, eq=False)
class Learnt:
    """policies: by the name of their folder. scores, whole: before and after, in `unit`, `is_new`
    on what was not trained on."""

    policies: "dict[str, LanguageModel]"
    training: "Training"
    scores: "tuple[Score, ...]"
    whole: "Score"
    unit: str
    facts: tuple[tuple[str, str], ...]
    people: dict[str, Any] | None = None
    is_new: bool = True
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Parted:
    """kept: places to learn from; held: places to look at, no prompt on both sides; of_prompt: of
    the latter. Few are all learnt from and looked at."""

    kept: Any
    held: Any
    of_prompt: Any

    @property
    def is_new(self) -> bool:
        return not np.isin(self.held, self.kept).any()

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        return (("held out", f"{len(self.held):,}" if self.is_new else "none"),)


def parted_by_prompt(prompts: Any, options: AlignOptions) -> Parted:
    from penchant.fitting.sgd import hold_out

    known: dict[tuple[int, ...], int] = {}
    group = np.array([known.setdefault(tuple(prompt), len(known)) for prompt in prompts])
    if options.held_out == 0.0 or len(known) < 10:
        everyone = np.arange(len(group))
        return Parted(kept=everyone, held=everyone, of_prompt=group)
    kept, held = hold_out(group, options.held_out, options.seed)
    return Parted(kept=kept, held=held, of_prompt=group[held])
