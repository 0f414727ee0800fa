"""Pairs by the kind of error that their worse answer makes, in shares that are asked for.

Legend: B pairs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool

from penchant.errors import ConfigError, DataError
from penchant.numerics.arrays import Array
from penchant.policies.language.pairs import Pairs, some_pairs


def as_long(pairs: Pairs, most_apart: int = 0) -> Bool[Array, " B"]:
    """Pairs whose answers differ in length by `most_apart` tokens at most: of others a policy may
    learn the length in place of the error."""
    sizes = np.array([[len(one), len(other)] for one, other in zip(pairs.first, pairs.second)])
    return np.abs(sizes[:, 0] - sizes[:, 1]) <= most_apart


def error_pairs(
    pairs: Pairs,
    kind: Sequence[str],
    shares: Mapping[str, float],
    num: int,
    generator: np.random.Generator,
) -> Pairs:
    """`num` of the pairs, each once, so many of each kind of error as its share says (KnowPO, Zhang
    et al. 2024: errors of ignoring a context beside those of believing an irrelevant one).

    kind: of each pair. shares: above 0 or 0, in any unit; kinds that it does not name are left out.
    Rounded so that they sum to `num`, the largest remainders first. Raises `ConfigError` for shares
    that are none, `DataError` where a kind has fewer pairs than it should give.
    """
    names, size = list(shares), np.array(list(shares.values()), dtype=float)
    if not (np.isfinite(size).all() and (size >= 0.0).all() and size.sum() > 0.0) or num < 1:
        raise ConfigError(
            f"got shares {dict(shares)} of {num} pairs; expected 0 or more each, one of them above "
            "0, and a pair or more."
        )
    exact = num * size / size.sum()
    asked = np.floor(exact).astype(int)
    asked[np.argsort(asked - exact, kind="stable")[: num - asked.sum()]] += 1
    kinds = np.asarray(kind)
    chosen = []
    for name, often in zip(names, asked.tolist()):
        mine = np.flatnonzero(kinds == name)
        if len(mine) < often:
            raise DataError(
                f"there are {len(mine)} pairs of the kind {name!r} and {often} were asked for; "
                "expected as many or more. Ask for fewer, or lower its share."
            )
        chosen.append(generator.choice(mine, often, replace=False))
    found = some_pairs(pairs, generator.permutation(np.concatenate(chosen)))
    # Anew: a person of whom no pair is left would be an example of nothing.
    return replace(found, person=np.unique(found.person, return_inverse=True)[1])
