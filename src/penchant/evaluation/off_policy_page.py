"""The page of an off-policy evaluation: what each policy would have earned, and what to doubt."""

from penchant.evaluation.off_policy import OffPolicyReport, PolicyValue
from penchant.evaluation.off_policy_words import WORDS, together
from penchant.evaluation.report import Estimate

QUOTED = " (quoted)"


def render_off_policy(report: OffPolicyReport, title: str) -> str:
    """One HTML document: no script, no network, no picture files."""
    from penchant.evaluation import report_charts, report_words
    from penchant.evaluation.report import environment

    return (
        environment()
        .get_template("off_policy.html")
        .render(
            data=report, title=title, lead=lead(report), forest=_policies(report),
            estimates=_estimates, together=together(report.interval), charts=report_charts,
            words=report_words, told=WORDS[report.counted],
        )
    )  # fmt: skip


def lead(report: OffPolicyReport) -> tuple[str, ...]:
    """What a hurried reader should take away."""
    sentences, told = [], WORDS[report.counted]
    for one in report.policies:
        gain, wrong = one.gain, [f for f in one.findings if f.verdict == "wrong"]
        if wrong:
            verdict = "but this log cannot tell it: " + wrong[0].text
        elif gain.low > 0:
            verdict = f"surely {told.more}."
        elif gain.high < 0:
            verdict = f"surely {told.less}."
        else:
            verdict = "which cannot be told from what was logged."
        best = one.best
        if best.low != best.low:
            sentences.append(f"What {one.policy} would have earned is not known: {wrong[0].text}"
                             if wrong else f"{one.policy}: {verdict}")  # fmt: skip
            continue
        sentences.append(
            f"{one.policy} {told.would} {best.value:.4f} {told.unit} ({best.low:.4f} to "
            f"{best.high:.4f}), {verdict}"
        )
    if report.choice is not None:
        name = report.policies[report.choice.best].policy
        sentences.append(
            f"Of all, {together(report.interval)}, {name} has the highest estimate and "
            f"{told.surely} at least {report.choice.best_low:.4f} {told.unit}."
        )
    return tuple(sentences)


def _policies(report: OffPolicyReport) -> tuple[Estimate, ...]:
    logged = report.logged
    first = Estimate(label="the log", value=logged.estimate, low=logged.low, high=logged.high)
    return (
        first,
        *(
            Estimate(label=one.policy, value=one.best.value, low=one.best.low, high=one.best.high)
            for one in report.policies
        ),
    )


def _estimates(policy: PolicyValue) -> tuple[Estimate, ...]:
    return tuple(
        Estimate(
            label=e.estimator + (QUOTED if e.estimator == policy.quoted else ""),
            value=e.value,
            low=e.low,
            high=e.high,
        )
        for e in policy.estimates
    )
