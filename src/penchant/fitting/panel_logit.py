"""The panel mixed logit's log-likelihood, people's scores and curvature, in plain NumPy.

log L_g = log 1/S sum_s prod_(b of g) p(y_b | taste_s) (Revelt and Train 1998). Scores follow from
Fisher's identity: the mean over draws, weighted by how well each explains the person, of the
score that the person would have if that draw were their taste.

`panel_logit_fused.py` is the same in compiled form; this one serves where numba is absent and as
the reference that a law holds the fast one to.

Legend: N rows of differences, B choices, G groups (people), D features, V varying and F fixed
ones, P parameters of spread, C blocks of draws, S draws, Z = C S, M = D + P,
K = D (D + 1) / 2 pairs.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from penchant.data.batch import FlatChoices
from penchant.errors import DataError
from penchant.numerics.arrays import Array
from penchant.populations.normal import TasteDraws


@dataclass(frozen=True, kw_only=True, eq=False)
class PersonPass:
    """Of one person's answers if a draw were their taste: log p and its derivatives in the tastes,
    the second ones with the sign turned, by pairs of the lower triangle (none if not asked)."""

    log_prob: Float[Array, " S"]
    slope: Float[Array, "D S"]
    information: Float[Array, "K S"]


@runtime_checkable
class PanelPeople(Protocol):
    """The answers of people, one person at a time; `weight` says how many such people there are."""

    @property
    def weight(self) -> Float[Array, " G"]: ...

    @property
    def num_groups(self) -> int: ...

    @property
    def num_features(self) -> int:
        """D, the tastes (and whatever all people share that is fitted beside them)."""
        ...

    def take_groups(self, groups: Int[Array, " H"]) -> "PanelPeople":
        """These people only, in this order."""
        ...

    def person(
        self, g: int, taste: Float[Array, "D S"], *, has_information: bool = True
    ) -> PersonPass:
        """What person g's answers say of these tastes."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class PanelChoices:
    """Choices as differences: features of each option not chosen minus those of the chosen one.

    p(y) = 1 / (1 + sum exp(difference' taste)): one exponential and one row of features less per
    choice. `differences[menu_start[b]:menu_start[b + 1]]` belong to choice b, choices
    `group_start[g]:group_start[g + 1]` to person g; `weight` says how many such people there are.
    """

    differences: Float[Array, "N D"]
    menu_start: Int[Array, " B1"]
    group_start: Int[Array, " G1"]
    weight: Float[Array, " G"]

    @property
    def num_groups(self) -> int:
        return len(self.weight)

    @property
    def num_features(self) -> int:
        return int(self.differences.shape[1])

    @classmethod
    def from_flat(cls, flat: FlatChoices) -> "PanelChoices":
        """Rows of weight zero are left out; people without rows keep their place.

        Raises `DataError` where a person's rows have different weights.
        """
        num_groups = len(flat.group_start) - 1
        group = np.repeat(np.arange(num_groups), np.diff(flat.group_start))
        weight = people_weight(group, flat.weight, flat.row, num_groups)
        kept = flat.weight > 0
        counts = np.bincount(group[kept], minlength=num_groups)
        size = np.diff(flat.menu_start)
        is_rest = np.repeat(kept, size)
        is_rest[flat.chosen] = False
        chosen_of = np.repeat(flat.chosen, size)
        differences = flat.features[is_rest] - flat.features[chosen_of[is_rest]]
        return cls(
            differences=differences,
            menu_start=np.concatenate([[0], np.cumsum(size[kept] - 1)]),
            group_start=np.concatenate([[0], np.cumsum(counts)]),
            weight=weight,
        )

    def person(
        self, g: int, taste: Float[Array, "D S"], *, has_information: bool = True
    ) -> PersonPass:
        """What person g's choices say of these tastes."""
        rows, columns = np.tril_indices(self.num_features if has_information else 0)
        log_prob, slope = np.zeros(taste.shape[1]), np.zeros(taste.shape)
        information = np.zeros((len(rows), taste.shape[1]))
        for b in range(self.group_start[g], self.group_start[g + 1]):
            x = self.differences[self.menu_start[b] : self.menu_start[b + 1]]
            utility = x @ taste
            top = np.maximum(utility.max(axis=0, initial=0.0), 0.0)
            odds = np.exp(utility - top)
            norm = np.exp(-top) + odds.sum(axis=0)
            log_prob -= top + np.log(norm)
            share = odds / norm
            mean = x.T @ share
            slope -= mean
            if has_information:
                information += (x[:, rows] * x[:, columns]).T @ share - mean[rows] * mean[columns]
        return PersonPass(log_prob=log_prob, slope=slope, information=information)

    def null_log_likelihood(self) -> float:
        """Of choices at random."""
        weight = np.repeat(self.weight, np.diff(self.group_start))
        return -float(weight @ np.log(1.0 + np.diff(self.menu_start)))

    def information_at_zero(self) -> Float[Array, "D D"]:
        """About one taste for all, where nothing is worth anything."""
        size, x = np.diff(self.menu_start), self.differences
        menu = np.repeat(np.arange(len(size)), size)
        weight = np.repeat(self.weight, np.diff(self.group_start)) / (1.0 + size)
        total = np.stack(
            [np.bincount(menu, weights=column, minlength=len(size)) for column in x.T], axis=1
        )
        return (x * weight[menu][:, None]).T @ x - (
            total * (weight / (1.0 + size))[:, None]
        ).T @ total

    def take_groups(self, groups: Int[Array, " H"]) -> "PanelChoices":
        """These people only, in this order."""
        counts = np.diff(self.group_start)[groups]
        choices = _ranges(self.group_start[groups], counts)
        size = np.diff(self.menu_start)[choices]
        rows = _ranges(self.menu_start[choices], size)
        return PanelChoices(
            differences=self.differences[rows],
            menu_start=np.concatenate([[0], np.cumsum(size)]),
            group_start=np.concatenate([[0], np.cumsum(counts)]),
            weight=self.weight[groups],
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class PanelPass:
    """log L_g and its derivative in theta, person by person, without weights."""

    log_likelihood: Float[Array, " G"]
    scores: Float[Array, "G M"]


@dataclass(frozen=True, kw_only=True, eq=False)
class PanelMoments:
    """What the Hessian needs of the data, summed over the people who share a block of draws.

    first[c, d, s] = sum_g w_gs h_gd and second[c, k, s] = sum_g w_gs (h h' - A)_de for the pairs
    (d, e) of the lower triangle: h is a person's score in the tastes themselves, A the
    information of their choices, w_gs the weight of draw s after their answers.
    """

    first: Float[Array, "C D S"]
    second: Float[Array, "C K S"]


def people_weight(
    group: Int[Array, " B"], weight: Float[Array, " B"], row: Int[Array, " B"], num_groups: int
) -> Float[Array, " G"]:
    """How many such people each stands for: the weight that their rows have in common.

    Rows of weight zero do not count. Raises `DataError` where a person's rows differ.
    """
    kept = weight > 0
    counts = np.bincount(group[kept], minlength=num_groups)
    total = np.bincount(group[kept], weights=weight[kept], minlength=num_groups)
    mean = total / np.maximum(counts, 1)
    uneven = kept & (np.abs(weight - mean[group]) > 1e-9 * mean[group])
    if uneven.any():
        place = int(np.argmax(uneven))
        raise DataError(
            f"row {int(row[place])} has weight {weight[place]:g} where this person's "
            f"rows have weight {mean[group][place]:g} on average; a model of random "
            "coefficients weighs people, not rows. Give all rows of a person the same weight "
            "(or zero), or fit one taste for all, which takes any (of a reward model: --judges "
            "one, personal=False)."
        )
    return mean


def panel_pass(
    choices: PanelPeople,
    draws: TasteDraws,
    block: Int[Array, " G"],
    num_draws: int,
    log_weight: Float[Array, "G S"] | None = None,
) -> PanelPass:
    """Log-likelihood and scores of every person, whose draws are those of block[g].

    log_weight: of each draw, where they do not come from the population itself but from a proposal.
    """
    num_features = choices.num_features
    log_likelihood = np.zeros(choices.num_groups)
    scores = np.zeros((choices.num_groups, num_features + len(draws.draw)))
    for g in range(choices.num_groups):
        person = _person(
            choices, draws, g, int(block[g]), num_draws, log_weight, has_information=False
        )
        log_likelihood[g] = person.log_likelihood
        slope = person.slope.copy()
        values = draws.values[block[g], :, :num_draws]
        if draws.price >= 0:
            # The price's coefficient multiplies every taste.
            slope[draws.varying[draws.price]] = (values * slope[draws.varying]).sum(axis=0)
        slope[draws.varying] *= draws.slopes[block[g], :, :num_draws]
        scores[g, :num_features] = slope @ person.weight
        basis = draws.basis[block[g], :, :num_draws]
        slope = slope[draws.varying]
        scores[g, num_features:] = (slope[draws.coefficient] * basis[draws.draw]) @ person.weight
    return PanelPass(log_likelihood=log_likelihood, scores=scores)


def panel_moments(
    choices: PanelPeople,
    draws: TasteDraws,
    block: Int[Array, " G"],
    num_draws: int,
    log_weight: Float[Array, "G S"] | None = None,
) -> PanelMoments:
    """The sums over people that the Hessian is made of, weighted by `choices.weight`."""
    num_features = choices.num_features
    rows, columns = np.tril_indices(num_features)
    first = np.zeros((len(draws.values), num_features, num_draws))
    second = np.zeros((len(draws.values), len(rows), num_draws))
    for g in range(choices.num_groups):
        person = _person(
            choices, draws, g, int(block[g]), num_draws, log_weight, has_information=True
        )
        weight = choices.weight[g] * person.weight
        first[block[g]] += weight * person.slope
        outer = person.slope[rows] * person.slope[columns] - person.information
        second[block[g]] += weight * outer
    return PanelMoments(first=first, second=second)


def hessian_of_moments(
    draws: TasteDraws, moments: PanelMoments, num_draws: int
) -> Float[Array, "M M"]:
    """sum over draws of E[J'(h h' - A) J + h'd2 taste], from the sums over people.

    A taste d moves with its own location and spreads, c_d = (1, basis ..), and in
    willingness-to-pay space with the price's, c_p, as well. So the Hessian is
    sum_de W_de c_d c_e' plus the bends, with W a D x D matrix for each draw.
    """
    first, matrix = _unpack(moments, num_draws)
    num_features = len(first)
    slopes, bends = np.ones_like(first), np.zeros_like(first)
    slopes[draws.varying] = _flat(draws.slopes, num_draws)
    bends[draws.varying] = _flat(draws.bends, num_draws)
    tastes = _flat(draws.values, num_draws)
    by_row = matrix
    matrix = matrix * slopes[:, None] * slopes
    if draws.price >= 0:
        # All tastes vary in willingness-to-pay space, in their own order.
        price, mine = draws.price, draws.varying
        pull = (by_row[:, mine] * tastes).sum(axis=1)
        pull[mine] += first[mine]
        with_price = slopes * pull
        with_price[price] = (tastes * pull[mine]).sum(axis=0)
        matrix[price, :] = matrix[:, price] = with_price
    basis, bend_basis = _flat(draws.basis, num_draws), _flat(draws.bend_basis, num_draws)
    places = [[d] for d in range(num_features)]
    moves: list[list[Array]] = [[np.ones(first.shape[1])] for _ in range(num_features)]
    curls: list[list[Array]] = [[np.ones(first.shape[1])] for _ in range(num_features)]
    for p, (v, q) in enumerate(zip(draws.coefficient, draws.draw)):
        d = int(draws.varying[v])
        places[d].append(num_features + p)
        moves[d].append(basis[q])
        curls[d].append(bend_basis[q])
    stacked = [np.stack(rows) for rows in moves]
    size = num_features + len(draws.draw)
    hessian = np.zeros((size, size))
    for d in range(num_features):
        for e in range(d + 1):
            part = (stacked[d] * matrix[d, e]) @ stacked[e].T
            hessian[np.ix_(places[d], places[e])] = part
            hessian[np.ix_(places[e], places[d])] = part.T
        if bends[d].any():
            curl = np.stack(curls[d])
            hessian[np.ix_(places[d], places[d])] += (curl * (first[d] * bends[d])) @ curl.T
    return hessian


def _unpack(moments: PanelMoments, num_draws: int) -> tuple[Float[Array, "D Z"], Array]:
    """first [D, Z] and second as a full symmetric matrix [D, D, Z]."""
    first = _flat(moments.first, num_draws)
    second = _flat(moments.second, num_draws)
    rows, columns = np.tril_indices(len(first))
    matrix = np.empty((len(first), len(first), second.shape[1]))
    matrix[rows, columns] = second
    matrix[columns, rows] = second
    return first, matrix


def _flat(array: Float[Array, "C A S"], num_draws: int) -> Float[Array, "A Z"]:
    """Blocks side by side, without the padding."""
    part = np.swapaxes(array[:, :, :num_draws], 0, 1).astype(np.float64)
    return part.reshape(part.shape[0], -1)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Person:
    log_likelihood: float
    weight: Float[Array, " S"]
    slope: Float[Array, "D S"]
    information: Float[Array, "K S"]


def _person(
    choices: PanelPeople,
    draws: TasteDraws,
    g: int,
    block: int,
    num_draws: int,
    log_weight: Float[Array, "G S"] | None,
    *,
    has_information: bool,
) -> _Person:
    taste = np.empty((choices.num_features, num_draws))
    taste[draws.fixed] = draws.fixed_values[:, None]
    taste[draws.varying] = draws.values[block, :, :num_draws]
    found = choices.person(g, taste, has_information=has_information)
    log_prob = found.log_prob if log_weight is None else found.log_prob + log_weight[g, :num_draws]
    top = log_prob.max()
    weight = np.exp(log_prob - top)
    total = weight.sum()
    return _Person(
        log_likelihood=float(top + np.log(total / num_draws)),
        weight=weight / total,
        slope=found.slope,
        information=found.information,
    )


def _ranges(start: Int[Array, " B"], size: Int[Array, " B"]) -> Int[Array, " N"]:
    """The concatenation of arange(start_b, start_b + size_b)."""
    shift = np.repeat(start - np.concatenate([[0], np.cumsum(size)[:-1]]), size)
    return shift + np.arange(size.sum())
