"""The log-likelihood of votes in scores, scores by context, covariates and tie strength.

gap_b = s_i - s_j + d_ci - d_cj + x_b' beta, in which s are the items' scores, d what a context
adds to them and x the covariates of the pair. theta holds s, then d for every item met in every
context, then beta, then the likelihood's own parameters.

Legend: B rows, E edges, N items, K places of theta before beta, C covariates, M own parameters,
R = C + M, P = K + R parameters.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.feedback.gap import GapModel, GapResponse
from penchant.fitting.paired_prior import StrengthPrior
from penchant.fitting.vote_rows import VoteRows
from penchant.numerics.arrays import Array
from penchant.numerics.bordered import BorderedLayout, Factor, factorise

# Rows at a time, so that what a likelihood makes of them stays in cache.
_STEP = 8192
# Up to here one dense matrix is faster than blocks.
_DENSE = 1200

Respond = Callable[[Float[Array, " B"], Float[Array, " M"]], GapResponse]


@dataclass(frozen=True, kw_only=True, eq=False)
class Slope:
    """Value and gradient of the log-posterior at one point, and its information taken apart."""

    value: float
    log_likelihood: float
    gradient: Float[Array, " P"]
    factor: Factor


@dataclass(frozen=True, kw_only=True, eq=False)
class VoteDensity:
    """sum_b w_b log p(y_b | gap_b) less half of each precision times its squared parameter.

    deviation_context, deviation_item: which d there are. island: per item, the number of the set
    of items that it can be compared with; scores are determined up to a constant in each.
    prior: a further one on scores alone, where no finite score fits.
    most_dense: solve for up to so many parameters at once, whatever touches what.
    """

    rows: VoteRows
    model: GapModel
    precision: Float[Array, " P"]
    island: Int[Array, " N"]
    deviation_context: Int[Array, " D"]
    deviation_item: Int[Array, " D"]
    prior: StrengthPrior | None = None
    most_dense: int = 0

    @property
    def num_items(self) -> int:
        return self.rows.num_items

    @property
    def num_core(self) -> int:
        """K: scores and deviations."""
        return self.num_items + len(self.deviation_item)

    @property
    def num_covariates(self) -> int:
        return self.rows.covariates.shape[1]

    @property
    def num_parameters(self) -> int:
        return self.num_core + self.num_covariates + self.model.num_own

    def core_gap(self, theta: Float[Array, " P"]) -> Float[Array, " B"]:
        """The gap of each row."""
        core = self.num_core
        gap = (self.incidence @ theta[:core])[self.rows.edge]
        if self.num_covariates:
            gap = gap + self.rows.covariates @ theta[core : core + self.num_covariates]
        return gap

    def own(self, theta: Float[Array, " P"]) -> Float[Array, " M"]:
        """The likelihood's own parameters."""
        return theta[len(theta) - self.model.num_own :]

    def respond(self, gap: Float[Array, " B"], own: Float[Array, " M"]) -> GapResponse:
        """The model's own response, a few rows at a time."""
        return in_steps(
            lambda rows: self.model.respond(gap[rows], self.rows.answer[rows], own[None]), len(gap)
        )

    def evaluate(self, theta: Float[Array, " P"], respond: Respond | None = None) -> Slope:
        """Value, gradient and information; `respond` in place of the model's own response.

        Raises `numpy.linalg.LinAlgError` where the information is not positive definite.
        """
        found = (respond or self.respond)(self.core_gap(theta), self.own(theta))
        log_likelihood = float(self.rows.weight @ found.value)
        return Slope(
            value=log_likelihood + self.log_prior(theta),
            log_likelihood=log_likelihood,
            gradient=self.gradient(theta, found),
            factor=self.factorise(found),
        )

    def log_prior(self, theta: Float[Array, " P"]) -> float:
        """The log-density of the prior, up to a constant."""
        value = -0.5 * float(self.precision @ theta**2)
        return value if self.prior is None else value + self.prior.value(theta[: self.num_items])

    def gradient(self, theta: Float[Array, " P"], found: GapResponse) -> Float[Array, " P"]:
        """Of the log-posterior, from the response of each row."""
        weight = self.rows.weight
        slopes = self.gather(found.slope * weight, found.own_slope * weight[:, None])
        slopes = slopes - self.precision * theta
        if self.prior is not None:
            slopes[: self.num_items] += self.prior.gradient(theta[: self.num_items])
        return slopes

    def gather(
        self, slope: Float[Array, " B"], own_slope: Float[Array, "B M"]
    ) -> Float[Array, " P"]:
        """From d / d gap and d / d own of each row to d / d theta."""
        return np.concatenate(
            [
                self.incidence.T @ self.rows.by_edge(slope),
                self.rows.covariates.T @ slope,
                own_slope.sum(axis=0),
            ]
        )

    def factorise(self, found: GapResponse, less: Array | None = None) -> Factor:
        """The information of these rows and the prior, taken apart.

        less: a sparse matrix [P, P] that it lacks, because something of the voters is not known.
        Of it only what lies within blocks and border is taken away.
        """
        from scipy.sparse import diags_array

        core = self.num_core
        matrix, cross, corner = self._information(found)
        matrix = (matrix + diags_array(self.precision[:core]) + self._prior_information).tocsr()
        corner = corner + np.diag(self.precision[core:])
        if less is not None:
            matrix = (matrix - less[:core][:, :core]).tocsr()
            cross = cross - less[:core][:, core:].toarray()
            corner = corner - less[core:][:, core:].toarray()
        ridge_group = np.full(core, -1)
        ridge_group[: self.num_items] = self.island
        return factorise(self.layout, matrix, cross, corner, ridge_group)

    def information(self, found: GapResponse) -> Float[Array, "P P"]:
        """The information of the rows alone, in one matrix."""
        matrix, cross, corner = self._information(found)
        return np.block([[matrix.toarray(), cross], [cross.T, corner]])

    def _information(self, found: GapResponse) -> tuple[Array, Array, Array]:
        """Of the rows: scores and deviations (sparse), those by the rest, and the rest."""
        from scipy.sparse import diags_array

        weight, covariates = self.rows.weight, self.rows.covariates
        bend = found.bend * weight
        columns = np.concatenate(
            [covariates * bend[:, None], found.cross * weight[:, None]], axis=1
        )
        by_edge = np.empty((len(self.rows.edge_first), columns.shape[1]))
        for number, column in enumerate(columns.T):
            by_edge[:, number] = self.rows.by_edge(column)
        corner = np.empty((columns.shape[1], columns.shape[1]))
        cut = self.num_covariates
        corner[:cut] = covariates.T @ columns
        corner[cut:, :cut] = corner[:cut, cut:].T
        corner[cut:, cut:] = (found.own_bend * weight[:, None, None]).sum(axis=0)
        incidence = self.incidence
        matrix = incidence.T @ (diags_array(self.rows.by_edge(bend)) @ incidence)
        return matrix, incidence.T @ by_edge, corner

    @cached_property
    def incidence(self) -> Array:
        """[E, K] sparse: +1 at what the first brings to the gap, -1 at the second."""
        from scipy.sparse import csr_array

        rows = self.rows
        edges = np.arange(len(rows.edge_first))
        place = [rows.edge_first, rows.edge_second]
        row, sign = [edges, edges], [1.0, -1.0]
        if len(self.deviation_item):
            key = self.deviation_context * self.num_items + self.deviation_item
            known = np.flatnonzero(rows.edge_context >= 0)
            for side, one in ((rows.edge_first, 1.0), (rows.edge_second, -1.0)):
                wanted = rows.edge_context[known] * self.num_items + side[known]
                place.append(self.num_items + np.searchsorted(key, wanted))
                row.append(known)
                sign.append(one)
        values = np.concatenate([np.full(len(r), s) for r, s in zip(row, sign)])
        shape = (len(edges), self.num_core)
        return csr_array((values, (np.concatenate(row), np.concatenate(place))), shape)

    @cached_property
    def _prior_information(self) -> Array:
        """[K, K] sparse: what the further prior says of the scores."""
        from scipy.sparse import csr_array

        if self.prior is None:
            return csr_array((self.num_core, self.num_core))
        own = csr_array(self.prior.information()).tocoo()
        return csr_array((own.data, (own.row, own.col)), (self.num_core, self.num_core))

    @cached_property
    def layout(self) -> BorderedLayout:
        """Small problems in one piece; else islands, or contexts, as blocks beside the border."""
        places = np.arange(self.num_parameters)
        if self.num_parameters <= max(_DENSE, self.most_dense):
            return BorderedLayout(blocks=(), border=places)
        from scipy.sparse.csgraph import connected_components

        # Deviations touch each other within a context; without any, scores do within an island.
        start = self.num_items if len(self.deviation_item) else 0
        inside = self.incidence[:, start:]
        count, label = connected_components(inside.T @ inside, directed=False)
        order = np.argsort(label, kind="stable")
        blocks = np.split(start + order, np.cumsum(np.bincount(label, minlength=count))[:-1])
        border = np.concatenate([places[:start], places[self.num_core :]])
        return BorderedLayout(blocks=tuple(blocks), border=border)


def in_steps(respond: Callable[[slice], GapResponse], count: int) -> GapResponse:
    """A response made a few rows at a time."""
    parts = [respond(slice(start, start + _STEP)) for start in range(0, count, _STEP)]
    return GapResponse(
        **{
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in ("value", "slope", "bend", "own_slope", "cross", "own_bend")
        }
    )


def deviations(
    rows: VoteRows, has_context: Bool[Array, " E"] | None = None
) -> tuple[Int[Array, " D"], Int[Array, " D"]]:
    """The (context, item) pairs that met, sorted: which deviations the data speak of."""
    known = rows.edge_context >= 0 if has_context is None else has_context
    context = np.concatenate([rows.edge_context[known]] * 2)
    item = np.concatenate([rows.edge_first[known], rows.edge_second[known]])
    key = np.unique(context * rows.num_items + item)
    return key // rows.num_items, key % rows.num_items
