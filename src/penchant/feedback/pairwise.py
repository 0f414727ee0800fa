"""Two options compared: one wins, they tie, or the answer is graded.

Legend: B observations, 2 options, M own parameters, L grades, S kinds of people.

`outcome` is 0 where the first won, 1 where the second won, 2 for a tie. A `grade` runs from 0 to
L - 1, higher is better for the first.
"""

import numpy as np
from jaxtyping import Float, Int

from penchant.feedback import choice, cumulative
from penchant.feedback.cumulative import Link
from penchant.feedback.derivatives import Curvature, Score, outer
from penchant.feedback.thresholds import Symmetric, Thresholds
from penchant.numerics.arrays import Array, align, constant, namespace, softmax, stack


def bradley_terry_log_prob(
    utilities: Float[Array, "B 2 *S"], outcome: Int[Array, " B"]
) -> Float[Array, " B *S"]:
    """log p(winner) = log sigmoid(u_winner - u_loser), without ties (Bradley and Terry 1952)."""
    return choice.log_prob(utilities, _both(outcome), outcome)


def bradley_terry_score(utilities: Float[Array, "B 2 *S"], outcome: Int[Array, " B"]) -> Score:
    """First derivatives."""
    return choice.score(utilities, _both(outcome), outcome)


def bradley_terry_curvature(
    utilities: Float[Array, "B 2 *S"], outcome: Int[Array, " B"]
) -> Curvature:
    """Minus the second derivatives."""
    return choice.curvature(utilities, _both(outcome), outcome)


def bradley_terry_probabilities(utilities: Float[Array, "B 2 *S"]) -> Float[Array, "B 2 *S"]:
    """That the first wins, that the second wins."""
    return softmax(utilities, axis=1)


def davidson_log_prob(
    utilities: Float[Array, "B 2 *S"],
    outcome: Int[Array, " B"],
    parameters: Float[Array, "#B 1 *#S"],
) -> Float[Array, " B *S"]:
    """Log-probability of a win or a tie (Davidson 1970).

    p(tie) is proportional to nu sqrt(w_1 w_2), a win to w = exp(u): three answers of worth u_1,
    u_2 and (u_1 + u_2) / 2 + log nu. The own parameter is log nu; at minus infinity no tie ever
    happens, and this is Bradley-Terry.
    """
    return choice.log_prob(*_three_answers(utilities, outcome, parameters), outcome)


def davidson_score(
    utilities: Float[Array, "B 2 *S"],
    outcome: Int[Array, " B"],
    parameters: Float[Array, "#B 1 *#S"],
) -> Score:
    """First derivatives."""
    s = choice.score(*_three_answers(utilities, outcome, parameters), outcome).utilities
    return Score(utilities=s[:, :2] + 0.5 * s[:, 2:], parameters=s[:, 2:])


def davidson_curvature(
    utilities: Float[Array, "B 2 *S"],
    outcome: Int[Array, " B"],
    parameters: Float[Array, "#B 1 *#S"],
) -> Curvature:
    """Minus the second derivatives."""
    c = choice.curvature(*_three_answers(utilities, outcome, parameters), outcome).utilities
    tie = c[:, 2:, 2:]
    return Curvature(
        utilities=c[:, :2, :2] + 0.5 * (c[:, :2, 2:] + c[:, 2:, :2]) + 0.25 * tie,
        cross=c[:, :2, 2:] + 0.5 * tie,
        parameters=tie,
    )


def davidson_probabilities(
    utilities: Float[Array, "B 2 *S"], parameters: Float[Array, "#B 1 *#S"]
) -> Float[Array, "B 3 *S"]:
    """That the first wins, that the second wins, that they tie."""
    return softmax(_with_tie(utilities, parameters), axis=1)


def graded_log_prob(
    utilities: Float[Array, "B 2 *S"],
    grade: Int[Array, " B"],
    parameters: Float[Array, "#B M *#S"],
    *,
    thresholds: Thresholds,
    link: Link = "logit",
) -> Float[Array, " B *S"]:
    """Log-probability of a graded comparison such as "much better" (Agresti 1992).

    p(grade <= l) = F(tau_l - (u_1 - u_2)). With `Symmetric` thresholds the answer does not depend
    on which option came first; `Ordered` ones allow for such a bias.
    """
    return cumulative.log_prob(
        _gap(utilities), grade[:, None], parameters, thresholds=thresholds, link=link
    )[:, 0]


def graded_score(
    utilities: Float[Array, "B 2 *S"],
    grade: Int[Array, " B"],
    parameters: Float[Array, "#B M *#S"],
    *,
    thresholds: Thresholds,
    link: Link = "logit",
) -> Score:
    """First derivatives."""
    s = cumulative.score(
        _gap(utilities), grade[:, None], parameters, thresholds=thresholds, link=link
    )
    return Score(utilities=_signs(s.utilities) * s.utilities, parameters=s.parameters)


def graded_curvature(
    utilities: Float[Array, "B 2 *S"],
    grade: Int[Array, " B"],
    parameters: Float[Array, "#B M *#S"],
    *,
    thresholds: Thresholds,
    link: Link = "logit",
) -> Curvature:
    """Minus the second derivatives."""
    c = cumulative.curvature(
        _gap(utilities), grade[:, None], parameters, thresholds=thresholds, link=link
    )
    signs = _signs(c.utilities[:, 0])
    return Curvature(
        utilities=outer(signs, signs) * c.utilities,
        cross=signs[:, :, None] * c.cross,
        parameters=c.parameters,
    )


def graded_probabilities(
    utilities: Float[Array, "B 2 *S"],
    parameters: Float[Array, "#B M *#S"],
    *,
    thresholds: Thresholds,
    link: Link = "logit",
) -> Float[Array, "B L *S"]:
    """The probability of every grade."""
    return cumulative.probabilities(_gap(utilities), parameters, thresholds=thresholds, link=link)[
        :, 0
    ]


def rao_kupper_log_prob(
    utilities: Float[Array, "B 2 *S"],
    outcome: Int[Array, " B"],
    parameters: Float[Array, "#B 1 *#S"],
    *,
    link: Link = "logit",
) -> Float[Array, " B *S"]:
    """Log-probability of a win or a tie (Rao and Kupper 1967; Glenn and David 1960 for probit).

    p(first wins) = F(u_1 - u_2 - eta), and a tie is what remains: gaps below the threshold eta
    are not noticed. The own parameter is log eta; at minus infinity this is Bradley-Terry.
    """
    return graded_log_prob(
        utilities, _grade_of(outcome), parameters, thresholds=Symmetric(3), link=link
    )


def rao_kupper_score(
    utilities: Float[Array, "B 2 *S"],
    outcome: Int[Array, " B"],
    parameters: Float[Array, "#B 1 *#S"],
    *,
    link: Link = "logit",
) -> Score:
    """First derivatives."""
    return graded_score(
        utilities, _grade_of(outcome), parameters, thresholds=Symmetric(3), link=link
    )


def rao_kupper_curvature(
    utilities: Float[Array, "B 2 *S"],
    outcome: Int[Array, " B"],
    parameters: Float[Array, "#B 1 *#S"],
    *,
    link: Link = "logit",
) -> Curvature:
    """Minus the second derivatives."""
    return graded_curvature(
        utilities, _grade_of(outcome), parameters, thresholds=Symmetric(3), link=link
    )


def rao_kupper_probabilities(
    utilities: Float[Array, "B 2 *S"],
    parameters: Float[Array, "#B 1 *#S"],
    *,
    link: Link = "logit",
) -> Float[Array, "B 3 *S"]:
    """That the first wins, that the second wins, that they tie."""
    xp = namespace(utilities)
    p = graded_probabilities(utilities, parameters, thresholds=Symmetric(3), link=link)
    return xp.stack([p[:, 2], p[:, 0], p[:, 1]], axis=1)


def _three_answers(
    utilities: Float[Array, "B 2 *S"],
    outcome: Int[Array, " B"],
    parameters: Float[Array, "#B 1 *#S"],
) -> tuple[Array, Array]:
    answers = _with_tie(utilities, parameters)
    return answers, namespace(outcome).broadcast_to(outcome[:, None] >= 0, (len(outcome), 3))


def _with_tie(
    utilities: Float[Array, "B 2 *S"], parameters: Float[Array, "#B 1 *#S"]
) -> Float[Array, "B 3 *S"]:
    middle = 0.5 * (utilities[:, 0] + utilities[:, 1])
    tie = middle + align(parameters, utilities)[:, 0]
    return stack([utilities[:, 0], utilities[:, 1], tie], axis=1)


def _both(outcome: Int[Array, " B"]) -> Array:
    return namespace(outcome).broadcast_to(outcome[:, None] >= 0, (len(outcome), 2))


def _gap(utilities: Float[Array, "B 2 *S"]) -> Float[Array, "B 1 *S"]:
    return utilities[:, :1] - utilities[:, 1:]


def _signs(like: Float[Array, "B 1 *S"]) -> Float[Array, "1 2 *#S"]:
    return align(constant(np.array([[1.0, -1.0]]), like), like)


def _grade_of(outcome: Int[Array, " B"]) -> Int[Array, " B"]:
    """Second won, tie, first won: the three grades from the first option's side."""
    return constant(np.array([2, 0, 1]), outcome)[outcome]
