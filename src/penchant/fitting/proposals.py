"""Where to look for a person's taste: around the taste that best explains their answers.

Draws from the whole population mostly fall where the likelihood of a person's answers is nothing:
with ten random coefficients and eight choices, 500 of them are worth three. Draws from a mixture
of the population with a normal around the person's posterior mode, weighted by population over
mixture density, are worth some 200 (importance sampling; Geweke 1989, and Pinheiro and Bates 1995
for this use).

Legend: G groups (people), R random coefficients, V features whose taste varies, C blocks, S draws.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.fitting.panel_logit import PanelChoices, PanelPeople
from penchant.numerics.arrays import Array
from penchant.populations.normal import (
    CENSORED,
    CONSTANT,
    EXPONENTIAL,
    SHARED,
    TasteRecipe,
)

# Share of the information in a person's answers that narrows their proposal: its tails must be
# wider than the posterior's, which costs little in few dimensions and much in many. Errors of
# estimates with 256 draws, in standard errors, at shares 1/4 and 1/2: Swissmetro with one random
# coefficient 0.003 and 0.06, with four 0.42 and 0.45; ten simulated ones 0.20 and 0.11.
_LEAST_TRUST, _MOST_TRUST, _TRUST_PER_COEFFICIENT = 0.25, 0.5, 0.0625
_MODE_STEPS = 30


@dataclass(frozen=True, kw_only=True, eq=False)
class Proposals:
    """Deviates of person g: centre[g] + root[g] @ draws, root lower triangular.

    Rows of coefficients that are no function of a normal deviate are zero and unit rows.
    """

    centre: Float[Array, "G R"]
    root: Float[Array, "G R R"]

    @cached_property
    def inverse(self) -> Float[Array, "G R R"]:
        """root^-1."""
        return np.linalg.inv(self.root)

    def take(self, people: slice) -> "Proposals":
        """Those of a range of people."""
        return Proposals(centre=self.centre[people], root=self.root[people])

    @classmethod
    def of_population(cls, num_groups: int, size: int) -> "Proposals":
        """Deviates that are the draws themselves."""
        return cls(
            centre=np.zeros((num_groups, size)), root=np.tile(np.eye(size), (num_groups, 1, 1))
        )

    def deviates(
        self, draws: Float[Array, "G R S"], is_kin: Bool[Array, " R"], num_draws: int
    ) -> tuple[Float[Array, "G R S"], Float[Array, "G S"]]:
        """Deviates from standard normal draws, and log of population over mixture density."""
        z = self.centre[:, :, None] + self.root @ draws
        own = draws.copy()
        wide = num_wide(num_draws)
        z[:, :, :wide] = draws[:, :, :wide]
        own[:, :, :wide] = self.inverse @ (draws[:, :, :wide] - self.centre[:, :, None])
        change = 0.5 * (z**2 - own**2)[:, is_kin].sum(axis=1)
        volume = np.log(np.diagonal(self.root, axis1=1, axis2=2)[:, is_kin]).sum(axis=1)
        share = wide / num_draws
        with np.errstate(divide="ignore"):
            return z, -np.logaddexp(np.log(share), np.log1p(-share) + change - volume[:, None])


def num_wide(num_draws: int) -> int:
    """How many of a person's draws come from the whole population, in steps of 16.

    A quarter: then no draw weighs more than four times what it would in a population sample, even
    where a proposal is in the wrong place (Owen and Zhou 2000).
    """
    return 16 * max(1, num_draws // 64) if num_draws >= 48 else 0


def propose(
    choices: PanelChoices,
    varying_x: Float[Array, "N V"],
    fixed_utility: Float[Array, " N"],
    recipe: TasteRecipe,
    price: int,
    before: Float[Array, "G R"] | None = None,
) -> Proposals:
    """A proposal for each person from the mode and curvature of their posterior.

    before: where the modes were for a theta nearby; the search starts there.
    """
    shared = recipe.values.mean(axis=(0, 2))
    size = len(recipe.is_kin)
    mode = np.zeros((choices.num_groups, size)) if before is None else before.copy()
    precision = np.zeros((choices.num_groups, size, size))
    arguments = (
        varying_x, fixed_utility, choices.menu_start, choices.group_start, recipe.code, recipe.row,
        recipe.sign, recipe.location, recipe.root, shared, price, recipe.is_kin, _MODE_STEPS,
        0, choices.num_groups, mode, precision,
    )  # fmt: skip
    try:
        from penchant.fitting.proposals_fused import posterior_modes as fused

        fused(*arguments)
    except ImportError:
        posterior_modes(*arguments)
    return _around(mode, precision, recipe)


def _around(
    mode: Float[Array, "G R"], precision: Float[Array, "G R R"], recipe: TasteRecipe
) -> Proposals:
    """Wider than the posteriors that have these modes and curvatures."""
    identity = np.eye(mode.shape[1])
    trust = _LEAST_TRUST + _TRUST_PER_COEFFICIENT * (int(recipe.is_kin.sum()) - 1)
    trust = min(trust, _MOST_TRUST)
    covariance = np.linalg.inv(identity + trust * (precision - identity))
    return Proposals(centre=mode, root=np.linalg.cholesky(covariance))


def propose_to(
    people: PanelPeople,
    recipe: TasteRecipe,
    varying: Int[Array, " V"],
    fixed: Int[Array, " F"],
    fixed_values: Float[Array, " F"],
    price: int,
    before: Float[Array, "G R"] | None = None,
) -> Proposals:
    """`propose` to people who give answers of any kind. Where an answer's density is not concave,
    its curvature is taken to be so."""
    shared, size = recipe.values.mean(axis=(0, 2)), len(recipe.is_kin)
    mode = np.zeros((people.num_groups, size)) if before is None else before.copy()
    precision = np.tile(np.eye(size), (people.num_groups, 1, 1))
    rows, columns = np.tril_indices(people.num_features)
    taste = np.empty((people.num_features, 1))
    taste[fixed, 0] = fixed_values
    information = np.empty((people.num_features,) * 2)
    arguments = (recipe.code, recipe.row, recipe.sign, recipe.location, recipe.root, shared,
                 price, recipe.is_kin)  # fmt: skip

    def density(g: int, z: Float[Array, " R"]) -> float:
        taste[varying, 0] = _taste_and_slopes(z, *arguments)[0]
        found = people.person(g, taste, has_information=False)
        return float(found.log_prob[0]) - 0.5 * float(z @ z)

    for g in range(people.num_groups):
        for _ in range(_MODE_STEPS):
            taste[varying, 0], jacobian = _taste_and_slopes(mode[g], *arguments)
            found = people.person(g, taste)
            information[rows, columns] = information[columns, rows] = found.information[:, 0]
            bent = jacobian.T @ information[np.ix_(varying, varying)] @ jacobian
            values, vectors = np.linalg.eigh(bent)
            precision[g] = np.eye(size) + (vectors * np.maximum(values, 0.0)) @ vectors.T
            step = np.linalg.solve(precision[g], jacobian.T @ found.slope[varying, 0] - mode[g])
            if np.abs(step).max() < 0.05:
                break
            here = float(found.log_prob[0]) - 0.5 * float(mode[g] @ mode[g])
            length = 1.0
            while not density(g, mode[g] + length * step) >= here and length >= 1e-6:
                length *= 0.25
            if length < 1e-6:
                break
            mode[g] += length * step
    return _around(mode, precision, recipe)


def posterior_modes(
    x: Float[Array, "N V"],
    fixed_utility: Float[Array, " N"],
    menu_start: Array,
    group_start: Array,
    code: Array,
    row: Array,
    sign: Array,
    location: Array,
    root: Array,
    shared: Array,
    price: int,
    is_kin: Array,
    max_steps: int,
    begin: int,
    end: int,
    mode: Float[Array, "G R"],
    precision: Float[Array, "G R R"],
) -> None:
    """The twin of the fused loop of that name: fills `mode` and `precision`."""
    for g in range(begin, end):
        choices = range(group_start[g], group_start[g + 1])
        menus = [slice(menu_start[b], menu_start[b + 1]) for b in choices]

        def taste(z: Array) -> tuple[Array, Array]:
            return _taste_and_slopes(z, code, row, sign, location, root, shared, price, is_kin)

        def density(z: Array, menus: list[slice] = menus) -> float:
            utility = x @ taste(z)[0] + fixed_utility
            likelihood = sum(float(np.logaddexp.reduce([0.0, *utility[menu]])) for menu in menus)
            return -0.5 * float(z @ z) - likelihood

        steps = 0
        while True:
            worth, jacobian = taste(mode[g])
            slope, information = np.zeros(x.shape[1]), np.zeros((x.shape[1],) * 2)
            for menu in menus:
                utility = x[menu] @ worth + fixed_utility[menu]
                share = np.exp(utility - np.logaddexp.reduce([0.0, *utility]))
                mean = share @ x[menu]
                slope -= mean
                information += (x[menu].T * share) @ x[menu] - np.outer(mean, mean)
            precision[g] = np.eye(len(is_kin)) + jacobian.T @ information @ jacobian
            step = np.linalg.solve(precision[g], jacobian.T @ slope - mode[g])
            steps += 1
            if np.abs(step).max() < 0.05 or steps >= max_steps:
                break
            here, length = density(mode[g]), 1.0
            while not density(mode[g] + length * step) >= here and length >= 1e-6:
                length *= 0.25
            if length < 1e-6:
                break
            mode[g] += length * step


def _taste_and_slopes(
    z: Array, code: Array, row: Array, sign: Array, location: Array, root: Array, shared: Array,
    price: int, is_kin: Array,
) -> tuple[Float[Array, " V"], Float[Array, "V R"]]:  # fmt: skip
    """Tastes at the deviates z, and their derivatives in the normal ones."""
    index = location + np.where(code == CONSTANT, 0.0, (root @ z)[row])
    shape = np.where(code == EXPONENTIAL, np.exp(np.minimum(index, 50.0)), index)
    shape = np.where(code == CENSORED, np.maximum(shape, 0.0), shape)
    change = np.where(code == EXPONENTIAL, shape, np.ones(len(code)))
    change = np.where(code == CENSORED, index > 0, change)
    taste = np.where(code == SHARED, shared, sign * shape)
    change = np.where((code == SHARED) | (code == CONSTANT), 0.0, sign * change)
    jacobian = change[:, None] * root[row] * is_kin
    if price < 0:
        return taste, jacobian
    scale = np.exp(taste[price]) if code[price] == CONSTANT else abs(taste[price])
    jacobian = scale * jacobian
    jacobian[price] = 0.0
    taste = scale * taste
    taste[price] = -scale
    if code[price] != CONSTANT:
        jacobian += np.outer(taste, root[row[price]])
    return taste, jacobian
