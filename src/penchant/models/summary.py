"""A fitted model as a table: estimates, errors, fit, and tests, for reading and for papers."""

import math
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float

from penchant.beliefs.belief import Belief
from penchant.beliefs.report import FitReport
from penchant.errors import ConfigError
from penchant.metrics.intervals import Z95
from penchant.models.table import Table, p_cell
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True)
class Coefficient:
    """One line of the table. se: from the curvature; robust_se: sandwich clustered by person;
    z, p: of the hypothesis that the parameter is zero, by the robust error; low, high: 95 %. With
    no more people than parameters there is no robust error, and they go by `se`.

    Of posterior draws: their mean, standard deviation and quantiles; no robust error, z and p."""

    name: str
    estimate: float
    se: float
    robust_se: float
    z: float
    p: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class LikelihoodRatio:
    """2 (log L_1 - log L_0) against chi-squared with the difference in parameters."""

    statistic: float
    degrees: int
    p: float


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What `print` shows; `text`, `markdown`, `latex`, `html` and `plain` give it elsewhere."""

    title: str
    coefficients: tuple[Coefficient, ...]
    fit: FitReport

    def __str__(self) -> str:
        return self.text()

    def text(self) -> str:
        """Aligned columns for a terminal."""
        return self.table().text()

    def markdown(self) -> str:
        """A GitHub table and a list of facts."""
        return self.table().markdown()

    def latex(self) -> str:
        """A tabular for a paper; needs the booktabs package."""
        return self.table().latex()

    def html(self) -> str:
        """A plain table, class `penchant-summary`."""
        return self.table().html()

    def table(self) -> Table:
        """The coefficients as cells, with what is to be said of the fit below."""
        return Table(
            title=self.title,
            headings=_HEADINGS,
            rows=tuple((c.name, *_cells(c)) for c in self.coefficients),
            facts=tuple(_facts(self.fit)),
            notes=self.fit.warnings,
        )

    def plain(self) -> dict[str, object]:
        """Numbers only, ready for JSON."""
        fit = self.fit
        return {
            "model": self.title,
            "coefficients": [
                {k: v for k, v in asdict(c).items() if k not in ("z", "p")}
                for c in self.coefficients
            ],
            "fit": {
                "log_likelihood": fit.log_likelihood,
                "rows": fit.rows,
                "people": fit.people,
                "parameters": fit.parameters,
                "aic": fit.aic,
                "bic": fit.bic,
                **_effective(fit),
                "converged": fit.converged,
                "seconds": fit.seconds,
            },
            "warnings": list(fit.warnings),
        }


def summarise(belief: Belief, title: str) -> Summary:
    """The table of a belief. Raises `ConfigError` if the belief carries no report of a fit."""
    if belief.report is None:
        raise ConfigError("this belief carries no fit report; summaries need one made by fit().")
    if belief.draws is not None:
        drawn = zip(belief.parameter_names, belief.theta, belief.draws.T, strict=True)
        posterior = tuple(_of_draws(name, float(mean), draws) for name, mean, draws in drawn)
        return Summary(title=title, coefficients=posterior, fit=belief.report)
    size = len(belief.theta)
    nothing = np.full((size, size), np.nan)
    classical = np.diag(nothing if belief.covariance is None else belief.covariance)
    has_robust = bool(belief.group_names) or belief.report.people > belief.report.determined
    robust = np.diag(nothing if belief.robust_covariance is None else belief.robust_covariance)
    rows = [
        _coefficient(name, float(estimate), math.sqrt(max(c, 0)), math.sqrt(max(r, 0)), has_robust)
        if np.isfinite(c) and np.isfinite(r)
        else _coefficient(name, float(estimate), math.nan, math.nan, has_robust)
        for name, estimate, c, r in zip(belief.parameter_names, belief.theta, classical, robust)
    ]
    return Summary(title=title, coefficients=tuple(rows), fit=belief.report)


def likelihood_ratio(smaller: Belief, larger: Belief) -> LikelihoodRatio:
    """Does the larger of two nested models fit better than chance? (Wilks 1938)

    Where the smaller model lies on the boundary of the larger (a variance of zero, a class less)
    the true p is smaller than the one given. Raises `ConfigError` where the larger model has no
    more parameters, or the two were fitted on different numbers of rows.
    """
    one, two = smaller.report, larger.report
    if one is None or two is None or one.rows != two.rows or two.parameters <= one.parameters:
        raise ConfigError(
            "a likelihood-ratio test needs two fits on the same rows, the second with more "
            f"parameters; got {one and (one.rows, one.parameters)} and "
            f"{two and (two.rows, two.parameters)} (rows, parameters)."
        )
    from scipy.special import chdtrc

    degrees = two.parameters - one.parameters
    statistic = 2.0 * (two.log_likelihood - one.log_likelihood)
    p = float(chdtrc(degrees, max(statistic, 0.0)))
    return LikelihoodRatio(statistic=statistic, degrees=degrees, p=p)


_HEADINGS = ("estimate", "se", "robust se", "z", "p", "2.5 %", "97.5 %")


def _coefficient(
    name: str, estimate: float, se: float, robust_se: float, has_robust: bool
) -> Coefficient:
    error = robust_se if has_robust else se
    z = estimate / error if error > 0 else math.nan
    return Coefficient(
        name=name,
        estimate=estimate,
        se=se,
        robust_se=robust_se if has_robust else math.nan,
        z=z,
        p=math.erfc(abs(z) / math.sqrt(2.0)) if math.isfinite(z) else math.nan,
        low=estimate - Z95 * error,
        high=estimate + Z95 * error,
    )


def _of_draws(name: str, mean: float, draws: Float[Array, " N"]) -> Coefficient:
    low, high = np.quantile(draws, (0.025, 0.975))
    return Coefficient(
        name=name,
        estimate=mean,
        se=float(draws.std(ddof=1)),
        robust_se=math.nan,
        z=math.nan,
        p=math.nan,
        low=float(low),
        high=float(high),
    )


def _cells(c: Coefficient) -> list[str]:
    """What there is not, such as the robust error of a posterior, is a dash."""
    figures = (c.estimate, c.se, c.robust_se, c.low, c.high)
    estimate, se, robust, low, high = ("-" if math.isnan(x) else f"{x:.4g}" for x in figures)
    z, p = ("-", "-") if math.isnan(c.z) else (f"{c.z:.2f}", p_cell(c.p))
    return [estimate, se, robust, z, p, low, high]


def _facts(fit: FitReport) -> list[tuple[str, str]]:
    state = "yes" if fit.converged else "NO"
    facts = [
        ("rows, people", f"{fit.rows:,}, {fit.people:,}"),
        ("parameters", _counted(fit)),
        ("log-likelihood", f"{fit.log_likelihood:.3f} (all alike: {fit.null_log_likelihood:.3f})"),
        ("AIC, BIC", f"{fit.aic:.1f}, {fit.bic:.1f}"),
        *_effective_facts(fit),
        ("rho-squared", f"{fit.rho_squared:.4f} (adjusted {fit.adjusted_rho_squared:.4f})"),
        ("converged", f"{state} ({fit.method}, {fit.iterations} steps, {fit.seconds:.3f} s)"),
    ]
    return facts + ([("prior", fit.prior)] if fit.prior else [])


def _counted(fit: FitReport) -> str:
    if fit.effective_parameters is None:
        return f"{fit.parameters}"
    return f"{fit.parameters}, of which the data determine {fit.effective_parameters:.1f}"


def _effective(fit: FitReport) -> dict[str, float]:
    """What counts only the parameters that the data determined, where a prior determined some."""
    if fit.effective_parameters is None:
        return {}
    return {
        "effective_parameters": fit.effective_parameters,
        "effective_aic": fit.effective_aic,
        "effective_bic": fit.effective_bic,
    }


def _effective_facts(fit: FitReport) -> list[tuple[str, str]]:
    if fit.effective_parameters is None:
        return []
    return [("effective AIC, BIC", f"{fit.effective_aic:.1f}, {fit.effective_bic:.1f}")]
