"""What a fit says of itself."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class FitReport:
    """log_likelihood, null_log_likelihood (all options alike): nats over all rows, weighted.
    "All options alike" means worths of zero and a channel's own parameters (ties, thresholds) at
    the answers' shares. rows: observations; people: groups that share a taste; parameters: all
    that were estimated; effective_parameters: how many the data rather than a prior determined,
    M - tr(Cov P) with P the prior's precision, None without a prior.
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
    effective_parameters: float | None = None
    prior: str | None = None
    warnings: tuple[str, ...] = ()

    @property
    def aic(self) -> float:
        """2 M - 2 log L (Akaike 1974), M all `parameters`."""
        return 2.0 * self.parameters - 2.0 * self.log_likelihood

    @property
    def bic(self) -> float:
        """M log B - 2 log L over B rows (Schwarz 1978), M all `parameters`."""
        return self.parameters * math.log(max(self.rows, 1)) - 2.0 * self.log_likelihood

    @property
    def effective_aic(self) -> float:
        """AIC with M those that the data determined (Moody 1992); without a prior, AIC."""
        return 2.0 * self.determined - 2.0 * self.log_likelihood

    @property
    def effective_bic(self) -> float:
        """BIC with M those that the data determined; without a prior, BIC."""
        return self.determined * math.log(max(self.rows, 1)) - 2.0 * self.log_likelihood

    @property
    def determined(self) -> float:
        """M, or with a prior how many of them the data determined."""
        return self.parameters if self.effective_parameters is None else self.effective_parameters

    @property
    def rho_squared(self) -> float:
        """1 - log L / log L_0 (McFadden 1974)."""
        return 1.0 - self.log_likelihood / self.null_log_likelihood

    @property
    def adjusted_rho_squared(self) -> float:
        """1 - (log L - M) / log L_0 (Ben-Akiva and Lerman 1985), M what the data determined."""
        return 1.0 - (self.log_likelihood - self.determined) / self.null_log_likelihood
