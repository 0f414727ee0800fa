"""The page of a language policy that was trained: what it gained, where, and how training went."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penchant.evaluation.line_charts import Line, lines_picture
from penchant.evaluation.policy_trial import Score
from penchant.evaluation.report import Estimate

# What a step's report is drawn of: heading, unit, and what it means.
CURVES: Mapping[str, tuple[str, str, str]] = {
    "reward": ("Reward", "a response", "Mean of the responses drawn in a step."),
    "divergence": ("Divergence from the start", "nats a response",
                   "Of the policy from the model it began as, by the log-ratio of what was drawn."),
    "entropy": ("Entropy", "nats a token", "Near 0 the policy says one thing to each prompt, and "
                "there is nothing left to compare."),
    "length": ("Length", "tokens a response", "End tokens among them."),
    "ended": ("Ended by themselves", "share", "The others ran out of room, or (t-ppo) "
              "go on in the next step."),
    "degenerate": ("Groups all alike", "share", "Prompts whose responses all earned the same: they "
                   "teach nothing."),
    "clipped": ("Stopped ratios", "share of tokens", "Tokens whose probability had moved as far as "
                "it may, in updates after the first."),
    "effective": ("Effective sample size", "share of tokens", "Under the weights that correct for "
                  "what the sampler drew from; 1 where it drew from the policy itself."),
    "value_error": ("Error of the value", "mean square", "Of what the value expected from what "
                    "came."),
    "failed": ("Failed gradings", "responses", "They have no reward and take no part."),
    "train": ("Log-likelihood", "nats", "Of what is learnt, an example."),
    "margin": ("Margin", "nats of utility", "By how much the better answer of a training pair is "
               "worth more to the policy."),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class AlignPage:
    """steps: of each curve its values, one a step; over: what a step is. scores: by context, before
    and after. unit: of the scores. facts: what was done. samples: prompt, answer before and after.
    is_new: whether what was tried was not trained on.
    """

    title: str
    subtitle: str
    lead: tuple[str, ...]
    unit: str
    over: str
    steps: Mapping[str, Sequence[float]]
    at: Sequence[float]
    scores: tuple[Score, ...]
    whole: Score | None
    facts: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...] = ()
    samples: tuple[tuple[str, str, str], ...] = ()
    is_new: bool = True

    @property
    def pictures(self) -> tuple[tuple[str, str, str], ...]:
        """Heading, picture and caption of each curve that has a value."""
        return tuple(
            (heading, lines_picture([Line(name=heading, x=self.at, y=values)], unit=unit,
                                    over=self.over, title=heading), caption)
            for name, (heading, unit, caption) in CURVES.items()
            for values in [self.steps.get(name, ())]
            if any(value == value for value in values)
        )  # fmt: skip

    @property
    def estimates(self) -> tuple[Estimate, ...]:
        """Before and after of each context, for a picture of intervals."""
        named = [("all", self.whole)] if self.whole is not None and len(self.scores) != 1 else []
        shown = [*named, *((_heading(one), one) for one in self.scores)]
        return tuple(
            Estimate(label=when, value=value, low=low, high=high, group=heading)
            for heading, one in shown
            for when, value, low, high in (
                ("before", one.before, one.before_low, one.before_high),
                ("after", one.after, one.after_low, one.after_high),
            )
        )

    def plain(self) -> dict[str, Any]:
        """The same as JSON."""
        from dataclasses import asdict

        return {
            "title": self.title, "subtitle": self.subtitle, "lead": list(self.lead),
            "unit": self.unit, "over": self.over, "at": list(self.at),
            "steps": {name: list(values) for name, values in self.steps.items()},
            "whole": None if self.whole is None else asdict(self.whole),
            "scores": [asdict(one) for one in self.scores],
            "facts": dict(self.facts), "warnings": list(self.warnings),
            "samples": [list(each) for each in self.samples], "is_new": self.is_new,
        }  # fmt: skip


def render_align(page: AlignPage) -> str:
    """One HTML document: no script, no network, no picture files."""
    from penchant.evaluation import report_charts, report_words
    from penchant.evaluation.report import environment

    return (
        environment()
        .get_template("align.html")
        .render(data=page, charts=report_charts, words=report_words)
    )


def gain_words(whole: Score, unit: str, is_new: bool = True) -> str:
    """The first sentence: what was gained on problems that were not trained on, or (not `is_new`)
    on those that were.

    Where the gain is the same on each of N there is no spread to make an interval of; shares of
    others up to 1 - 0.05^(1 / N) remain possible at 95 %.
    """
    told = f"{unit} {whole.before:.3f} before and {whole.after:.3f} after"
    of = "on what it was not trained on" if is_new else "on what it was trained on"
    if not whole.num:
        return f"Nothing was left to try it {of}."
    if whole.gain_low != whole.gain_low:
        others = -math.expm1(math.log(0.05) / whole.num)
        return (
            f"The same gain on each of the {whole.num} that were tried, {of}: {told} "
            f"({whole.gain:+.3f}); up to {others:.0%} of others may differ."
        )
    beside = f"{whole.gain:+.3f}, {whole.gain_low:+.3f} to {whole.gain_high:+.3f}"
    if whole.gain_low > 0:
        return f"Better {of}: {told} ({beside})."
    if whole.gain_high < 0:
        return f"Worse {of}: {told} ({beside})."
    return f"Before and after cannot be told apart, {of}: {told} ({beside})."


def _heading(one: Score) -> str:
    return f"{one.group} {one.label}".strip()
