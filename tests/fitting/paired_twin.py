"""A slow Newton fit of pairs with dense matrices: what every fast path must agree with."""

import numpy as np

from penchant.data.pair_counts import PairCounts, count_votes
from penchant.fitting.paired_information import PairedPoint
from penchant.fitting.paired_terms import outcome_terms
from penchant.numerics.graph import connectivity


def fit_slowly(counts, *, ties="half", link="logit", prior=None, start=None):
    """The point of highest posterior, mean zero within each island, by damped dense Newton."""
    N = counts.num_items
    found = connectivity(
        counts.first, counts.second, counts.first_wins + counts.ties,
        counts.second_wins + counts.ties, N,
    )  # fmt: skip
    has_tie = ties != "half"
    theta = np.zeros(N + 1) if start is None else start.copy()
    for _ in range(100):
        value, gradient, information = log_posterior(theta, counts, ties, link, prior)
        step = np.linalg.pinv(information, hermitian=True, rcond=1e-12) @ gradient
        if not has_tie:
            step[N] = 0.0
        size = 1.0
        while log_posterior(theta + size * step, counts, ties, link, prior)[0] < value - 1e-9:
            size /= 2
        theta = theta + size * step
        if 0.5 * step @ gradient < 1e-14:
            break
    strengths = theta[:N].copy()
    for part in range(found.num_islands):
        inside = found.island == part
        # Mean 0 is that of the items which a weak prior leaves free, if any.
        free = inside & ~prior.held if prior is not None and prior.anchor.any() else inside
        free = free if free.any() else inside
        strengths[inside] -= strengths[free].mean()
    return PairedPoint(
        counts=counts, strengths=strengths, island=found.island, ties=ties, link=link,
        tie_parameter=float(theta[N]) if has_tie else -np.inf, prior=prior,
    )  # fmt: skip


def log_posterior(theta, counts, ties, link, prior):
    """Value, gradient and information over strengths, then the tie parameter, densely."""
    N = counts.num_items
    tie = theta[N] if ties != "half" else -np.inf
    gap = theta[counts.first] - theta[counts.second]
    terms = outcome_terms(gap, tie, ties=ties, link=link)
    votes = np.stack([counts.first_wins, counts.second_wins, counts.ties])
    incidence = np.zeros((len(gap), N + 1))
    incidence[np.arange(len(gap)), counts.first] = 1.0
    incidence[np.arange(len(gap)), counts.second] = -1.0
    value = (votes * terms.log_prob)[votes > 0].sum()
    gradient = incidence.T @ (votes * terms.score).sum(axis=0)
    gradient[N] = (votes * terms.tie_score).sum()
    information = incidence.T @ ((votes * terms.curvature).sum(axis=0)[:, None] * incidence)
    border = incidence.T @ (votes * terms.cross).sum(axis=0)
    information[N] += border
    information[:, N] += border
    information[N, N] = (votes * terms.tie_curvature).sum()
    if prior is not None:
        value += prior.value(theta[:N])
        gradient[:N] += prior.gradient(theta[:N])
        information[:N, :N] += prior.information()
    return value, gradient, information


def outcome_probabilities(gap, tie=-np.inf, ties="half"):
    """That the first wins, the second wins, they tie."""
    p = np.exp(outcome_terms(gap, tie, ties=ties).log_prob).T
    if ties == "half":
        p[:, 2] = 0.0
    return p / p.sum(axis=1, keepdims=True)


def simulated_votes(truth, num_votes, generator, *, ties="half", tie=-np.inf, odds=None):
    """Places of first and second and outcomes of votes between items drawn by their odds."""
    N = len(truth)
    odds = np.ones(N) if odds is None else odds
    first, second = np.triu_indices(N, 1)
    weight = odds[first] * odds[second]
    pair = generator.choice(len(first), num_votes, p=weight / weight.sum())
    swap = generator.random(num_votes) < 0.5
    one = np.where(swap, second[pair], first[pair])
    two = np.where(swap, first[pair], second[pair])
    p = outcome_probabilities(truth[one] - truth[two], tie, ties)
    outcome = (generator.random(num_votes)[:, None] > p.cumsum(axis=1)).sum(axis=1).clip(0, 2)
    return one, two, outcome


def simulated_counts(truth, num_votes, generator, **world) -> PairCounts:
    names = tuple(f"i{n}" for n in range(len(truth)))
    return count_votes(names, *simulated_votes(truth, num_votes, generator, **world))
