"""Which of two fitted models the data prefer: by likelihood ratio if nested, else by Vuong's test.

Legend: G groups (people).
"""

import math
from dataclasses import dataclass

from penchant.beliefs.belief import Belief
from penchant.beliefs.evidence import log_evidence
from penchant.beliefs.report import FitReport
from penchant.data.records import Records
from penchant.errors import ConfigError, DataError
from penchant.models.summary import LikelihoodRatio, likelihood_ratio


@dataclass(frozen=True, kw_only=True)
class Vuong:
    """difference: the first model's log-likelihood minus the second's, in nats over all people;
    z: positive where the first fits better, standard normal where both fit equally well;
    corrected_z: the same after each paid (M / 2) log G for its M parameters; p, corrected_p:
    two-sided. people: G."""

    difference: float
    z: float
    p: float
    corrected_z: float
    corrected_p: float
    people: int


def vuong(first: Belief, second: Belief, records: Records) -> Vuong:
    """Are two models that are not nested equally far from the truth? (Vuong 1989)

    z = sum_g d_g / (sqrt(G) sd(d)), d_g the difference of log p(all answers of g): people, not
    choices, are what varies independently. The correction is Schwarz's (his equation 5.7).

    Raises `DataError` for models of other data than `records` or people who are grouped
    differently, `ConfigError` where the two models say the same of everybody.
    """
    check_same_data(first, second)
    batches = [belief.encode(records) for belief in (first, second)]
    for belief, batch in zip((first, second), batches):
        if belief.fingerprint and batch.fingerprint != belief.fingerprint:
            raise DataError(
                f"the model was fitted on other data ({belief.fingerprint}) than these "
                f"({batch.fingerprint}); expected the same file and description. Give the file "
                "that both models were fitted on; if they were fitted with `sample_weight`, make "
                "the weights a column of the file, which its description names."
            )
    if batches[0].group_names != batches[1].group_names:
        raise DataError(
            "the two models group the answers differently (`group_by`); expected the same people "
            "in both. Fit both with the same `group_by`."
        )
    differences = log_evidence(first, batches[0]) - log_evidence(second, batches[1])
    num = len(differences)
    spread = float(differences.std())
    total = float(differences.sum())
    if not spread > 1e-9 * max(1.0, abs(total) / max(num, 1)):
        raise ConfigError(
            "the two models give everybody's answers the same probability, so that there is "
            "nothing to test; expected models that differ. Keep the one with fewer parameters."
        )
    sizes = [len(belief.theta) for belief in (first, second)]
    paid = 0.5 * (sizes[0] - sizes[1]) * math.log(num)
    z, corrected = (x / (math.sqrt(num) * spread) for x in (total, total - paid))
    return Vuong(
        difference=total,
        z=z,
        p=math.erfc(abs(z) / math.sqrt(2.0)),
        corrected_z=corrected,
        corrected_p=math.erfc(abs(corrected) / math.sqrt(2.0)),
        people=num,
    )


def nested(first: Belief, second: Belief) -> bool:
    """Whether one model is the other with some parameters left out, as far as names can tell.

    Features coded anew when a term joins them (`time:purpose` alone or beside `time`) and classes,
    whose parameters are of each class, are told as not nested although they may be. Tastes that
    vary apart, `sd(time)`, are a case of those that vary together, `chol(time, time)`.
    """
    smaller, larger = sorted((first, second), key=lambda belief: len(belief.theta))
    return len(smaller.theta) < len(larger.theta) and _names(smaller) <= _names(larger)


def boundary_parameters(smaller: Belief, larger: Belief) -> tuple[str, ...]:
    """Spreads that only the larger model has: in the smaller they are zero, as low as can be."""
    known = _names(smaller)
    return tuple(
        name
        for name in larger.parameter_names
        if _as_diagonal(name) not in known and _is_spread(name)
    )


def _names(belief: Belief) -> set[str]:
    return {_as_diagonal(name) for name in belief.parameter_names}


def _as_diagonal(name: str) -> str:
    """`sd(time)` by its name in a matrix, `chol(time, time)`; other names as they are."""
    inside = name[3:-1]
    return f"chol({inside}, {inside})" if name.startswith("sd(") else name


def _is_spread(name: str) -> bool:
    """Whether a parameter is a spread: those beside the diagonal may be of either sign."""
    inside = _as_diagonal(name).removeprefix("chol(").removesuffix(")")
    half = inside[: (len(inside) - 2) // 2]
    return name.startswith(("sd(", "chol(")) and inside == f"{half}, {half}"


def likelihood_ratio_of(first: Belief, second: Belief) -> LikelihoodRatio:
    """The likelihood-ratio test, whichever of the two is the larger one.

    Raises as `likelihood_ratio` does, and `DataError` for fits of different data.
    """
    check_same_data(first, second)
    smaller, larger = sorted((first, second), key=lambda belief: len(belief.theta))
    return likelihood_ratio(smaller, larger)


def check_same_data(first: Belief, second: Belief) -> tuple[FitReport, FitReport]:
    """Their reports. Raises `DataError` where the two were fitted on different data."""
    one, two = first.report, second.report
    if one is None or two is None:
        raise ConfigError(
            "a model carries no report of its fit, so that nothing can be compared; expected two "
            "beliefs that `fit` made."
        )
    prints = (first.fingerprint, second.fingerprint)
    if one.rows != two.rows or (all(prints) and prints[0] != prints[1]):
        raise DataError(
            f"the models were fitted on different data: {one.rows:,} rows ({prints[0] or 'unknown'}"
            f") and {two.rows:,} rows ({prints[1] or 'unknown'}); log-likelihoods of different "
            "data cannot be compared. Fit both on the same file with the same description and "
            "`sample_weight`."
        )
    return one, two
