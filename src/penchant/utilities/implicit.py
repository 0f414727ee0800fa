"""What a language model's own probabilities say a response is worth to it.

A preference loss on a policy is a likelihood of feedback on these utilities: direct preference
optimisation is Bradley and Terry's, and rankings, ties, grades and kinds of people come with the
likelihoods of `feedback` and the populations of `populations`.

Legend: B prompts, K responses, T tokens, S kinds of people (one adapter each).
"""

from jaxtyping import Bool, Float

from penchant.numerics.arrays import Array, align, log1m_exp, namespace


def log_ratio_utility(
    logp: Float[Array, "B K T *S"],
    reference: Float[Array, "B K T *#S"],
    is_scored: Bool[Array, "B K T"],
    *,
    strength: float = 0.1,
    mean: bool = False,
) -> Float[Array, "B K *S"]:
    """u = beta sum_t (log pi - log pi_reference), the reward that pi is optimal for.

    Rafailov et al. (2023): up to a constant of the prompt, which no comparison within it sees.
    strength: beta, nats of utility per nat of log-ratio. is_scored: the response's tokens that the
    model wrote; what a tool answered is not scored (Xiong et al. 2024). mean: over tokens instead
    of their sum.
    """
    xp = namespace(logp)
    scored = align(is_scored, logp)
    apart = xp.where(scored, logp, 0.0) - xp.where(scored, reference, 0.0)
    total = xp.sum(apart, axis=2)
    return strength * (total / _lengths(is_scored, total) if mean else total)


def mean_log_utility(
    logp: Float[Array, "B K T *S"], is_scored: Bool[Array, "B K T"], *, strength: float = 2.0
) -> Float[Array, "B K *S"]:
    """u = beta mean_t log pi: no reference, length divided out (SimPO, Meng et al. 2024)."""
    xp = namespace(logp)
    total = xp.sum(xp.where(align(is_scored, logp), logp, 0.0), axis=2)
    return strength * total / _lengths(is_scored, total)


def log_odds_utility(
    logp: Float[Array, "B K T *S"], is_scored: Bool[Array, "B K T"]
) -> Float[Array, "B K *S"]:
    """u = log p / (1 - p), log p the mean over tokens (ORPO, Hong et al. 2024)."""
    log_p = mean_log_utility(logp, is_scored, strength=1.0)
    return log_p - log1m_exp(-log_p)


def _lengths(is_scored: Bool[Array, "B K T"], total: Float[Array, "B K *S"]) -> Array:
    xp = namespace(total)
    num = xp.sum(xp.astype(is_scored, total.dtype), axis=2)
    return align(xp.where(num > 0.0, num, 1.0), total)
