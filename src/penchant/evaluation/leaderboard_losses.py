"""What the leaderboard's page shows of rules that decide for all, and of who would lose by each."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from penchant.errors import ConfigError
from penchant.evaluation.loss_charts import losses_picture
from penchant.evaluation.report_words import percent
from penchant.evaluation.voter_utilities import VoterUtilities
from penchant.numerics.arrays import Array
from penchant.numerics.names import excerpt
from penchant.policies.oneshot.consequences import Loss, Verdict, compare_rules
from penchant.policies.oneshot.social_choice import Rule

# More than a reader takes in at once; leaderboard.json has all.
_MOST_SHOWN, _MOST_GROUPS = 4, 7
RULE_WORDS: dict[Rule, str] = {
    "sum": "sum", "nash": "Nash", "maximin": "maximin", "borda": "Borda",
    "minimax_winner": "minimax winner",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class RuleLine:
    """first: what the rule would do, with its chances where it leaves it to a lottery; order: what
    it puts first, second and so on; losing, by: of everybody; worst: the group that loses most."""

    rule: str
    first: str
    order: str
    losing: str
    by: str
    worst: str


@dataclass(frozen=True, kw_only=True)
class RulesView:
    """Every rule's decision and its losers, for the page and the terminal."""

    lines: tuple[RuleLine, ...]
    takeaway: str
    picture: str
    notes: tuple[str, ...]


def decide_by(
    found: VoterUtilities, rules: tuple[Rule, ...], against: str | None = None
) -> dict[Rule, Verdict]:
    """Each rule's verdict; losing is measured against the option named, or one drawn by lot.

    Raises ConfigError for an option that does not exist.
    """
    return compare_rules(
        found.utilities, rules=rules, reference=reference_of(found, against), weight=found.weight,
        group=found.group, group_names=found.group_names,
    )  # fmt: skip


def reference_of(found: VoterUtilities, against: str | None) -> Float[Array, " N"] | None:
    """The lottery that is surely the option named; None, one drawn by lot, where none is.

    Raises ConfigError for an option that does not exist.
    """
    if against is None:
        return None
    if against not in found.options:
        raise ConfigError(
            f"there is no option {against!r} to measure losing against; expected one of "
            f"{', '.join(found.options[:40])}."
        )
    return np.eye(len(found.options))[found.options.index(against)]


def rules_view(
    found: VoterUtilities, verdicts: Mapping[Rule, Verdict], against: str | None = None
) -> RulesView:
    """The verdicts in words, and their picture."""
    few = len(found.group_names) <= _MOST_GROUPS
    return RulesView(
        lines=tuple(_line(found, rule, verdict) for rule, verdict in verdicts.items()),
        takeaway=_takeaway(found, verdicts, against),
        picture=losses_picture(verdicts, "Who would lose by each rule") if few else "",
        notes=found.notes,
    )


def _line(found: VoterUtilities, rule: Rule, verdict: Verdict) -> RuleLine:
    everybody, groups = verdict.losses[0], verdict.losses[1:]
    order = np.argsort(verdict.choice.rank, kind="stable")[:_MOST_SHOWN]
    worst = max(groups, key=lambda loss: loss.losing, default=None)
    return RuleLine(
        rule=RULE_WORDS[rule], first=_decision(found, verdict),
        order=", ".join(f"{verdict.choice.rank[n]}. {excerpt(found.options[n])}" for n in order),
        losing=percent(everybody.losing), by=f"{everybody.mean_loss:.2f}",
        worst="" if worst is None or worst.losing <= 0 else _worst(worst),
    )  # fmt: skip


def _worst(loss: Loss) -> str:
    return f"{loss.group}: {percent(loss.losing)}, by {loss.mean_loss:.2f}"


def _decision(found: VoterUtilities, verdict: Verdict) -> str:
    lottery = verdict.choice.lottery
    likely = [n for n in np.argsort(-lottery, kind="stable") if lottery[n] > 5e-4]
    if len(likely) == 1:
        return excerpt(found.options[likely[0]])
    told = [f"{excerpt(found.options[n])} ({percent(lottery[n])})" for n in likely[:_MOST_SHOWN]]
    more = len(likely) - _MOST_SHOWN
    return "by lot " + ", ".join(told) + (f" and {more} more" if more > 0 else "")


def _takeaway(found: VoterUtilities, verdicts: Mapping[Rule, Verdict], against: str | None) -> str:
    voters = f"{len(found.weight):,} voters"
    if found.unit.startswith("scores of classes"):
        voters = f"{len(found.weight)} classes of voters"
    what = "an option drawn by lot" if against is None else f"`{excerpt(against)}`"
    firsts = {_decision(found, verdict) for verdict in verdicts.values()}
    same = (
        f"All rules would do the same: {firsts.pop()}."
        if len(firsts) == 1
        else f"The rules come to {len(firsts)} different decisions."
    )
    return (
        f"{same} Utilities are {found.unit}, of {voters}; a voter loses who is worse off than with "
        f"{what}."
    )
