"""Points that fill a cube evenly: integrals over tastes converge faster with them than by chance.

Legend: C blocks of points, R dimensions, S points of a block.
"""

import numpy as np
from jaxtyping import Float

from penchant.errors import ConfigError
from penchant.numerics.arrays import Array

DRAW_KINDS = ("halton", "sobol", "mlhs", "random")


def draw_uniforms(
    kind: str, num_blocks: int, num_dimensions: int, num_draws: int, rng: np.random.Generator
) -> Float[Array, "C R S"]:
    """Blocks of points in the open unit cube, each even by itself and different from the others.

    "halton": van der Corput sequences in the first R primes (Halton 1960), their digits randomly
    permuted in each block, then a random shift modulo one (Cranley and Patterson 1976). High
    primes are correlated over a few hundred points (Braaten and Weller 1979); with one permutation
    for all blocks, that correlation is the same in all of them and an estimate learns it.
    "sobol": Sobol (1967) with the directions of Joe and Kuo (2008), moved in each block by a
    random shift of its binary digits (Owen 1995), which keeps its nets.
    "mlhs": modified Latin hypercube (Hess, Train and Polak 2006): a regular grid, moved by one
    random shift and shuffled, in each dimension.
    "random": independent points.

    Raises `ConfigError` for an unknown kind or a number below one.
    """
    if min(num_blocks, num_draws) < 1 or num_dimensions < 0:
        raise ConfigError(
            f"{num_blocks} blocks of {num_draws} draws in {num_dimensions} dimensions were asked "
            "for; expected at least one block and one draw."
        )
    shape = (num_blocks, num_dimensions, num_draws)
    if kind == "random":
        points = rng.random(shape)
    elif kind == "mlhs":
        grid = (np.arange(num_draws) + rng.random((num_blocks, num_dimensions, 1))) / num_draws
        points = rng.permuted(grid, axis=2)
    elif kind == "halton":
        points = _halton(*shape, rng)
    elif kind == "sobol":
        points = _sobol(*shape, rng)
    else:
        raise ConfigError(
            f"there are no quasi-random draws called {kind!r}; expected one of {DRAW_KINDS}."
        )
    # The corners of the cube would become infinite normals.
    return np.clip(points, 1e-12, 1.0 - 1e-12)


def _halton(
    num_blocks: int, num_dimensions: int, num_draws: int, rng: np.random.Generator
) -> Float[Array, "C R S"]:
    points = np.empty((num_blocks, num_dimensions, num_draws))
    for row, prime in enumerate(_first_primes(num_dimensions)):
        num_digits = int(np.ceil(np.log(num_draws + 1) / np.log(prime)))
        # Below the last digit that tells points apart, a shift serves as well as permutations.
        value = np.repeat(rng.random((num_blocks, 1)), num_draws, axis=1)
        digits, rest = [], np.arange(num_draws)
        for _ in range(num_digits):
            rest, digit = np.divmod(rest, prime)
            digits.append(digit)
        for digit in reversed(digits):
            order = np.tile(np.arange(float(prime)), (num_blocks, 1))
            value += rng.permuted(order, axis=1)[:, digit]
            value /= prime
        points[:, row] = value
    return points


def _first_primes(count: int) -> list[int]:
    # The n-th prime is below n (log n + log log n) from the sixth on (Rosser 1941).
    limit = int(count * (np.log(count + 5) + np.log(np.log(count + 5)))) + 13
    is_prime = np.ones(limit, dtype=bool)
    is_prime[:2] = False
    for number in range(2, int(limit**0.5) + 1):
        is_prime[number * number :: number] = False
    return [int(prime) for prime in np.flatnonzero(is_prime)[:count]]


def _sobol(
    num_blocks: int, num_dimensions: int, num_draws: int, rng: np.random.Generator
) -> Float[Array, "C R S"]:
    if num_dimensions == 0:
        return np.zeros((num_blocks, 0, num_draws))
    # SciPy's statistics take half a second to import; no other kind of draw needs them.
    from scipy.stats import qmc

    power = max(int(np.ceil(np.log2(num_draws))), 0)
    points = qmc.Sobol(d=num_dimensions, scramble=False).random_base2(power)[:num_draws]
    digits = np.round(points.T * 2.0**32).astype(np.uint64)
    shift = rng.integers(0, 2**32, size=(num_blocks, num_dimensions, 1), dtype=np.uint64)
    return ((digits ^ shift) + 0.5) / 2.0**32
