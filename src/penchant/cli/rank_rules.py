"""What `penchant rank --rules` says: what each rule would decide for all, and who would lose."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penchant.cli import shell
from penchant.errors import ConfigError

if TYPE_CHECKING:
    from penchant.evaluation.leaderboard_losses import RulesView
    from penchant.evaluation.voter_utilities import VoterUtilities
    from penchant.models.leaderboard import Leaderboard
    from penchant.policies.oneshot.consequences import Verdict
    from penchant.policies.oneshot.social_choice import Rule


@dataclass(frozen=True, kw_only=True, eq=False)
class Decided:
    """document: `rules` of the JSON document; view: the same for readers."""

    document: dict[str, Any]
    view: "RulesView"


def check_rules(rules: str, groups: str, against: str) -> tuple["Rule", ...]:
    """The rules that were named; none where none were. Raises ConfigError for unknown ones, and
    where groups or an option are named and no rules."""
    named = tuple(word.strip() for word in rules.split(",") if word.strip())
    if not named:
        if groups or against:
            raise ConfigError(
                "--groups and --against belong to --rules, and no rules are named; expected "
                "--rules all, or some of them."
            )
        return ()
    from penchant.policies.oneshot.social_choice import RULES

    unknown = [name for name in named if name not in ("all", *RULES)]
    if unknown:
        raise ConfigError(
            f"--rules names {', '.join(unknown)}; expected all, or some of {', '.join(RULES)}."
        )
    return tuple(rule for rule in RULES if rule in named or "all" in named)


def utilities_told(
    voters: str | None, observed: Any, groups: str | None, against: str | None
) -> "VoterUtilities | None":
    """What people themselves say that options are worth, or None where classes of voters will.

    Nothing is fitted yet: what cannot be done is refused before anybody waits for it.
    """
    from penchant.data.records import Records
    from penchant.evaluation.leaderboard_losses import reference_of
    from penchant.evaluation.voter_utilities import utilities_of_records

    if voters == "classes":
        if groups is not None:
            raise ConfigError(
                "--groups is for people whose own answers are known, and with --voters classes "
                "the classes are the groups; expected one of the two."
            )
        return None
    if not isinstance(observed, Records):
        raise ConfigError(
            "--rules need what every option is worth to each voter, which single votes do not "
            "tell; expected ratings or rankings by people, or --voters classes."
        )
    found = utilities_of_records(observed, groups)
    reference_of(found, against)
    return found


def decided_by(
    board: "Leaderboard",
    told: "VoterUtilities | None",
    rules: tuple["Rule", ...],
    against: str | None,
) -> Decided:
    """The verdicts of all rules on what was told, or else on the classes that the board found."""
    from penchant.evaluation.leaderboard_losses import decide_by, rules_view
    from penchant.evaluation.voter_utilities import utilities_of_classes
    from penchant.fitting.votes_classes import VoterClassesFit

    found = told
    if found is None:
        assert isinstance(board.detail_, VoterClassesFit)
        found = utilities_of_classes(board.detail_)
    verdicts = decide_by(found, rules, against)
    document = {
        "rules": {
            "against": against, "unit": found.unit, "voters": len(found.weight),
            "verdicts": {rule: _told(found, verdict) for rule, verdict in verdicts.items()},
            "notes": list(found.notes),
        }
    }  # fmt: skip
    return Decided(document=document, view=rules_view(found, verdicts, against))


def print_rules(decided: Decided) -> None:
    """The verdicts as a table."""
    from penchant.models.table import Table

    view = decided.view
    lines = tuple(
        (line.rule, line.first, line.losing, line.by, line.worst or "-") for line in view.lines
    )
    shell.print_table(
        Table(
            title="One decision for all, and who would lose", rows=lines, corner="rule",
            headings=("would do", "of all lose", "by", "hit most"),
            notes=(view.takeaway, *view.notes),
        ),
        "text",
    )  # fmt: skip


def _told(found: "VoterUtilities", verdict: "Verdict") -> dict[str, Any]:
    choice = verdict.choice
    return {
        "ranks": {name: int(rank) for name, rank in zip(found.options, choice.rank, strict=True)},
        "chooses": {
            name: float(share)
            for name, share in zip(found.options, choice.lottery, strict=True)
            if share > 0
        },
        "losses": [
            {"group": loss.group, "voters": loss.voters, "losing": loss.losing,
             "mean_loss": loss.mean_loss, "mean_change": loss.mean_change}
            for loss in verdict.losses
        ],
    }  # fmt: skip
