"""Errors by voter for everything that votes are fitted by: scores, contexts, covariates, ties.

Legend: B rows, V voters, N items, E edges, P parameters, R columns of the root.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import DataError
from penchant.feedback.gap import GapResponse
from penchant.fitting.vote_density import VoteDensity
from penchant.fitting.vote_rows import VoteRows
from penchant.numerics.arrays import Array
from penchant.numerics.bordered import Factor

_COLUMNS_AT_ONCE = 512


@dataclass(frozen=True, kw_only=True, eq=False)
class Sandwich:
    """H^-1 R R' H^-1 in place of H^-1: `root` R R' = V / (V - 1) sum_v s_v s_v' + the prior's own.

    s_v is the sum of a voter's scores (Liang and Zeger 1986); a prior counts as one more witness,
    whose score varies as its precision says. Asked as a `Factor` is.
    """

    factor: Factor
    root: Any  # sparse [P, R]; scipy.sparse is imported lazily

    def covariance(self, places: Int[Array, " A"]) -> Float[Array, "A A"]:
        """Rows and columns `places`."""
        unit = np.zeros((self.factor.num_places, len(places)))
        unit[places, np.arange(len(places))] = 1.0
        return self.quadratic(unit)

    def quadratic(self, combination: Float[Array, "P A"]) -> Float[Array, "A A"]:
        """The covariance of combinations of parameters."""
        influence = self.root.T @ self.factor.solve(combination)
        return np.asarray(influence.T @ influence)

    def variances(self) -> Float[Array, " P"]:
        """The diagonal."""
        total = np.zeros(self.factor.num_places)
        for start in range(0, self.root.shape[1], _COLUMNS_AT_ONCE):
            columns = self.root[:, start : start + _COLUMNS_AT_ONCE].toarray()
            total += (self.factor.solve(columns) ** 2).sum(axis=1)
        return total


def sandwich(density: VoteDensity, found: GapResponse, factor: Factor) -> Sandwich:
    """Of rows that know their voters, with the response and the information taken apart there.

    Raises `DataError` where fewer than two voters voted.
    """
    from scipy.sparse import csr_array, diags_array, hstack

    voted = np.diff(density.rows.voter_start) > 0
    num_voters = int(voted.sum())
    if num_voters < 2:
        raise DataError(
            f"{num_voters} voter cast all votes; expected at least two to see how much voters "
            "differ. Use errors by curvature, which trust that votes are independent."
        )
    scores = _scores(density, found) * np.sqrt(num_voters / (num_voters - 1))
    own = diags_array(np.sqrt(density.precision)).tocsr()[:, np.flatnonzero(density.precision)]
    parts = [scores.T, own]
    if density.prior is not None:
        wide = np.zeros((density.num_parameters, int(density.prior.held.sum())))
        wide[: density.num_items] = density.prior.root()
        parts.append(csr_array(wide))
    return Sandwich(factor=factor, root=hstack(parts, format="csr"))


def effective_voters(rows: VoteRows) -> Float[Array, " N"]:
    """(sum_v n_v)^2 / sum_v n_v^2 of the votes n_v that voters cast on each item."""
    busy = _by_voter_and_edge(rows, rows.weight)
    edge = np.arange(len(rows.edge_first))
    from scipy.sparse import csr_array

    touch = csr_array(
        (
            np.ones(2 * len(edge)),
            (np.tile(edge, 2), np.concatenate([rows.edge_first, rows.edge_second])),
        ),
        (len(edge), rows.num_items),
    )
    cast = (busy @ touch).tocsr()
    squares = np.asarray(cast.multiply(cast).sum(axis=0)).ravel()
    whole = np.asarray(cast.sum(axis=0)).ravel() ** 2
    return np.divide(whole, squares, out=np.zeros_like(whole), where=squares > 0)


def _scores(density: VoteDensity, found: GapResponse) -> Any:
    """[V, P] sparse: the derivatives of each voter's log-likelihood."""
    from scipy.sparse import csr_array, hstack

    rows = density.rows
    slope = found.slope * rows.weight
    own = found.own_slope * rows.weight[:, None]
    rest = np.concatenate([rows.covariates * slope[:, None], own], axis=1)
    core = _by_voter_and_edge(rows, slope) @ density.incidence
    return hstack([core, csr_array(rows.by_voter(rest))], format="csr")


def _by_voter_and_edge(rows: VoteRows, values: Float[Array, " B"]) -> Any:
    from scipy.sparse import coo_array

    shape = (rows.num_voters, len(rows.edge_first))
    return coo_array((values, (rows.voter, rows.edge)), shape).tocsr()
