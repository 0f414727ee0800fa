"""What a reader should know of intervals of strengths, in sentences.

Legend: N items.
"""

import numpy as np
from jaxtyping import Bool, Int

from penchant.data.rankings import Rankings
from penchant.data.votes import Votes
from penchant.fitting.interval_kinds import FEW_VOTERS, IntervalConfig
from penchant.fitting.paired_errors import StrengthErrors
from penchant.numerics.arrays import Array


def why(kind: str, what: str = "votes") -> str:
    """What intervals of a kind trust; `what` was cast by voters."""
    return {
        "wald": "by the curvature of the likelihood, which trusts the model",
        "sandwich": f"by the scores of single {what}, which trust only that {what} are independent",
        "voter": "by voter, trusting only that voters are independent",
        "profile": "by the profile of the likelihood",
        "bootstrap": f"by resamples of {what}",
        "voter_bootstrap": "by resamples of whole voters",
    }[kind]


def interval_remarks(
    votes: Votes | Rankings | None,
    kind: str,
    config: IntervalConfig,
    errors: StrengthErrors,
    lopsided: Bool[Array, " N"],
    below: Bool[Array, " N"],
    above: Bool[Array, " N"],
) -> tuple[str, ...]:
    """How intervals were found, and what to mind; below, above: where the votes set a bound."""
    what = "rankings" if isinstance(votes, Rankings) else "votes"
    notes = [f"{100 * config.level:.10g}% intervals {why(kind, what)}."]
    if config.kind == "auto" and lopsided.any():
        notes.append(
            f"{_items(lopsided)} with a lopsided likelihood, few {what} or nearly all one way: "
            "ends by its profile."
        )
    if kind in ("bootstrap", "voter_bootstrap") and lopsided.any():
        notes.append(
            f"{_items(lopsided)} with a lopsided likelihood, for which resamples come out too "
            'narrow; "auto" or "profile" holds there.'
        )
    far = "infinite" if config.unbounded == "infinite" else "the weak prior's word"
    one_sided = below != above
    if one_sided.any():
        notes.append(
            f"The {what} bound {_items(one_sided)} on one side only; the other end is {far}."
        )
    unbounded = ~(below | above)
    if unbounded.any():
        notes.append(f"The {what} bound {_items(unbounded)} on neither side; both ends are {far}.")
    few = np.isfinite(errors.degrees_of_freedom) & (errors.degrees_of_freedom + 1 < FEW_VOTERS)
    if kind == "voter" and few.any():
        notes.append(
            f"{_items(few)} judged as if by fewer than {FEW_VOTERS:.0f} equally busy voters: "
            "intervals are wide and still a rough guess, and many items are hardly told apart."
        )
    if kind not in ("voter", "voter_bootstrap") and _has_busy_voter(votes):
        notes.append(
            f"Some voters cast many {what}, which this kind of interval takes for independent: "
            'it is too narrow if voters differ. Use "voter" or "auto".'
        )
    if errors.accuracy > 0.021 and kind not in ("bootstrap", "voter_bootstrap"):
        notes.append(
            f"Errors were drawn, not computed, and may be off by {errors.accuracy:.1%} at worst."
        )
    return tuple(notes)


def _has_busy_voter(votes: Votes | Rankings | None) -> bool:
    if votes is None or votes.voter is None:
        return False
    known = np.bincount(votes.voter[votes.voter >= 0], minlength=1)
    return bool(known.max() > 1)


def _items(which: Bool[Array, " N"]) -> str:
    count: Int[Array, ""] | int = int(which.sum())
    return "1 item" if count == 1 else f"{count:,} items"
