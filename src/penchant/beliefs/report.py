"""What a fit says of itself."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class FitReport:
    """log_likelihood, null_log_likelihood (all options alike): nats over all rows, weighted.
    rows: observations; people: groups that share a taste; parameters: free ones, estimated.
    seconds: wall time of the fit. gradient: largest absolute entry at the end, per parameter.
    prior: None, or in words the prior that was added and why. warnings: plain sentences."""

    log_likelihood: float
    null_log_likelihood: float
    rows: int
    people: int
    parameters: int
    converged: bool
    iterations: int
    seconds: float
    method: str
    prior: str | None = None
    warnings: tuple[str, ...] = ()

    @property
    def aic(self) -> float:
        """2 M - 2 log L (Akaike 1974)."""
        return 2.0 * self.parameters - 2.0 * self.log_likelihood

    @property
    def bic(self) -> float:
        """M log B - 2 log L over B rows (Schwarz 1978)."""
        return self.parameters * math.log(max(self.rows, 1)) - 2.0 * self.log_likelihood

    @property
    def rho_squared(self) -> float:
        """1 - log L / log L_0 (McFadden 1974)."""
        return 1.0 - self.log_likelihood / self.null_log_likelihood

    @property
    def adjusted_rho_squared(self) -> float:
        """1 - (log L - M) / log L_0 (Ben-Akiva and Lerman 1985)."""
        return 1.0 - (self.log_likelihood - self.parameters) / self.null_log_likelihood
