"""Over-optimisation: what a proxy reward promises and what the gold one pays, as one leans on it.

Legend: P prompts, K candidates of each, drawn from the reference policy; N settings of a curve.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from penchant.errors import ConfigError
from penchant.numerics.arrays import Array, softmax


@dataclass(frozen=True, kw_only=True, eq=False)
class ProxyGoldCurve:
    """Means over prompts at each setting. kl: nats from the reference policy."""

    setting: Float[Array, " N"]
    kl: Float[Array, " N"]
    proxy: Float[Array, " N"]
    gold: Float[Array, " N"]

    @property
    def lost(self) -> float:
        """Gold reward given away from its top to the last setting; 0 where the last is the top."""
        return float(self.gold.max() - self.gold[-1])


def best_of_n_curve(
    proxy: Float[Array, "P K"], gold: Float[Array, "P K"], sizes: Sequence[int]
) -> ProxyGoldCurve:
    """The candidate of highest proxy among n drawn with replacement, in expectation, exactly.

    The r-th lowest of K is the best of n draws with probability (r / K)^n - ((r - 1) / K)^n;
    candidates of one proxy share their probabilities, since nothing tells them apart.
    kl is log n - (n - 1) / n, which it is for n far below K (Gao, Schulman and Hilton 2023).

    Raises `ConfigError` for sizes below one.
    """
    if min(sizes) < 1:
        raise ConfigError(f"got sizes {list(sizes)}; expected one candidate or more.")
    order = np.argsort(proxy, axis=1, kind="stable")
    climbing, paid = (np.take_along_axis(reward, order, axis=1) for reward in (proxy, gold))
    ranked = [climbing.mean(axis=0), _shared_by_ties(climbing, paid).mean(axis=0)]
    upper = np.arange(1, proxy.shape[1] + 1) / proxy.shape[1]
    lower = upper - 1.0 / proxy.shape[1]
    share = np.array([upper**n - lower**n for n in sizes])
    size = np.array(sizes, dtype=np.float64)
    return ProxyGoldCurve(
        setting=size, kl=np.log(size) - (size - 1) / size, proxy=share @ ranked[0],
        gold=share @ ranked[1],
    )  # fmt: skip


def _shared_by_ties(
    climbing: Float[Array, "P K"], paid: Float[Array, "P K"]
) -> Float[Array, "P K"]:
    """The mean of `paid` over the candidates of the prompt whose sorted proxy is the same."""
    starts = np.ones(climbing.shape, dtype=bool)
    starts[:, 1:] = climbing[:, 1:] != climbing[:, :-1]
    tie = np.cumsum(starts.ravel()) - 1
    mean = np.bincount(tie, weights=paid.ravel()) / np.bincount(tie)
    return mean[tie].reshape(paid.shape)


def tilted_curve(
    proxy: Float[Array, "P K"], gold: Float[Array, "P K"], betas: Sequence[float]
) -> ProxyGoldCurve:
    """The policy that maximises E proxy - beta KL, in closed form: pi = softmax(proxy / beta).

    On the candidates, which stand for the reference policy; kl = log K - H(pi), at most log K.

    Raises `ConfigError` for a beta that is not positive.
    """
    if not min(betas) > 0:
        raise ConfigError(f"got betas {list(betas)}; expected positive ones.")
    rows = []
    for beta in betas:
        policy = softmax(proxy / beta, axis=1)
        entropy = -np.sum(policy * np.log(np.maximum(policy, 1e-300)), axis=1)
        means = [float((policy * reward).sum(axis=1).mean()) for reward in (proxy, gold)]
        rows.append((beta, np.log(proxy.shape[1]) - float(entropy.mean()), *means))
    setting, kl, promised, paid = np.array(rows).T
    return ProxyGoldCurve(setting=setting, kl=kl, proxy=promised, gold=paid)
