"""The channels of a batch: which likelihood serves which kind of feedback.

`channel_contract.py` says what a channel promises; `channel_choice.py`, `channel_pair.py`,
`channel_order.py` and `channel_option.py` hold them.
"""

from collections.abc import Sequence

import numpy as np

from penchant.data.batch import Batch, Block
from penchant.errors import ConfigError
from penchant.feedback.answers import answers_of
from penchant.feedback.channel_choice import Choice
from penchant.feedback.channel_contract import Channel
from penchant.feedback.channel_option import Approval, Binary, Outcome, Rating
from penchant.feedback.channel_order import BestWorst, Ranking
from penchant.feedback.channel_pair import GradedPair, Pair


def default_channels(batch: Batch) -> tuple[Channel, ...]:
    """A channel for each kind of feedback in the batch, with as many levels as it shows.

    Pairs get Davidson's ties where there is a tie, rankings exact ties.
    """
    made: list[Channel] = []
    for kind in dict.fromkeys(block.kind for block in batch.blocks):
        if kind == "choice":
            made.append(Choice())
        elif kind == "pair":
            has_ties = bool(np.any(answers_of(batch, kind, "outcome") == 2))
            made.append(Pair(ties="davidson" if has_ties else None))
        elif kind == "graded":
            made.append(_graded(batch))
        elif kind == "ranking":
            made.append(Ranking.fitting(batch))
        elif kind == "best_worst":
            made.append(BestWorst())
        elif kind == "rating":
            # Levels above the highest that anybody gave have no threshold that could be found.
            levels = int(answers_of(batch, kind, "level").max()) + 1
            labels = batch.scale[:levels] if len(batch.scale) >= levels else ()
            made.append(Rating(levels=levels, labels=labels))
        elif kind == "approval":
            made.append(Approval())
        elif kind == "binary":
            made.append(Binary())
        else:
            made.append(Outcome())
    return tuple(made)


def _graded(batch: Batch) -> GradedPair:
    """Grades mirror each other, so that a top grade which nobody gave still counts: without it the
    middle would be another. Where the scale is not known, the highest that was given is the top."""
    given = int(answers_of(batch, "graded", "grade").max()) + 1
    if len(batch.scale) < max(given, 2):
        return GradedPair(levels=given)
    return GradedPair(levels=len(batch.scale), labels=batch.scale)


def channel_for(channels: Sequence[Channel], block: Block) -> Channel:
    """The channel that serves a block. Raises ConfigError where none or several do."""
    found = [channel for channel in channels if channel.kind == block.kind]
    if len(found) != 1:
        raise ConfigError(
            f"{len(found)} channels serve feedback of kind {block.kind!r}; expected exactly one of "
            f"{[type(channel).__name__ for channel in channels]}. Add or drop one."
        )
    return found[0]
