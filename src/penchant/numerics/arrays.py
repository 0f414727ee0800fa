"""The only place that branches on the array library: NumPy or torch, exact in the tails.

Every function takes either kind of array and gives back the same kind. Torch is never imported
here: a tensor that comes in has brought it along. SciPy is imported by the normal tails alone.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

# NumPy or torch: named here so that no annotation elsewhere imports torch.
Array = Any

_LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)
_SQRT_HALF = math.sqrt(0.5)


def is_torch(x: Array) -> bool:
    """Whether x is a torch tensor; asks without importing torch."""
    return type(x).__module__.partition(".")[0] == "torch"


def namespace(*arrays: Array) -> Any:
    """The array-API namespace of the arrays, which all come from one library."""
    from array_api_compat import array_namespace

    return array_namespace(*arrays)


def stop_gradient(x: Array) -> Array:
    """x as a constant: autograd does not look behind it. NumPy has nothing to stop."""
    return x.detach() if is_torch(x) else x


def constant(values: Any, like: Array) -> Array:
    """NumPy or Python values as an array of the library and device of `like`.

    Floats take the dtype of `like`; integers and truth values keep theirs.
    """
    values = np.asarray(values)
    is_float = values.dtype.kind == "f"
    if not is_torch(like):
        return values.astype(like.dtype) if is_float and like.dtype.kind == "f" else values
    import torch

    tensor = torch.as_tensor(values, device=like.device)
    return tensor.to(like.dtype) if is_float and like.is_floating_point() else tensor


def align(x: Array, like: Array) -> Array:
    """x with axes of length one appended until it has as many axes as `like`."""
    return x.reshape(tuple(x.shape) + (1,) * (like.ndim - x.ndim))


def stack(arrays: Sequence[Array], axis: int) -> Array:
    """The arrays, broadcast against each other, along a new axis."""
    xp = namespace(*arrays)
    return xp.stack(xp.broadcast_arrays(*arrays), axis=axis)


def mask_options(
    utilities: Float[Array, "B K *S"], offered: Bool[Array, "B K"], fill: float
) -> Float[Array, "B K *S"]:
    """The utilities with `fill` in place of those of options that were not offered."""
    return namespace(utilities).where(align(offered, utilities), utilities, fill)


def take_option(
    utilities: Shaped[Array, "B K *S"], index: Int[Array, " B"]
) -> Shaped[Array, " B *S"]:
    """The entry of one option in each row."""
    xp = namespace(utilities)
    rows = xp.arange(utilities.shape[0], **_device(utilities))
    return utilities[rows, index]


def take_options(
    utilities: Shaped[Array, "B K *S"], index: Int[Array, "B L"]
) -> Shaped[Array, "B L *S"]:
    """Several entries of each row, in the order of the index."""
    xp = namespace(utilities)
    rows = xp.arange(utilities.shape[0], **_device(utilities))
    return utilities[rows[:, None], index]


def marks(index: Int[Array, "*B"], size: int) -> Bool[Array, "*B K"]:
    """True at the index, False elsewhere; nothing at a negative index."""
    return index[..., None] == namespace(index).arange(size, **_device(index))


def one_hot(index: Int[Array, "*B"], size: int, like: Array) -> Float[Array, "*B K"]:
    """Ones at the index, zeros elsewhere, in the dtype of `like`; nothing at a negative index."""
    return namespace(like).astype(marks(index, size), like.dtype)


def add_rows(
    target: Float[Array, "B ..."], row: Int[Array, " N"], values: Float[Array, "N ..."]
) -> Float[Array, "B ..."]:
    """A copy of the target with values added to its rows; a row named twice gets both."""
    if is_torch(target):
        return target.index_add(0, row, values)
    total = target.copy()
    np.add.at(total, row, values)
    return total


def put_options(
    target: Float[Array, "B K *S"], row: Int[Array, "*#N"], index: Int[Array, "*#N"], values: Array
) -> Float[Array, "B K *S"]:
    """A copy of the target with the entries [row, index], all different, replaced."""
    changed = target.clone() if is_torch(target) else target.copy()
    changed[row, index] = values
    return changed


def log_sum_exp(x: Float[Array, "..."], axis: int) -> Float[Array, "..."]:
    """log sum exp(x) along an axis; minus infinity for a sum of nothing but minus infinities."""
    xp = namespace(x)
    top = stop_gradient(xp.max(x, axis=axis, keepdims=True))
    top = xp.where(xp.isfinite(top), top, 0.0)
    total = xp.sum(xp.exp(x - top), axis=axis)
    # log(0) would warn in NumPy and give NaN gradients in torch, so it is never taken.
    is_empty = total == 0.0
    log_total = xp.log(xp.where(is_empty, 1.0, total)) + xp.squeeze(top, axis=axis)
    return xp.where(is_empty, -math.inf, log_total)


def log_cum_sum_exp(x: Float[Array, "..."], axis: int) -> Float[Array, "..."]:
    """Running log sum exp(x) along an axis."""
    if is_torch(x):
        return x.logcumsumexp(dim=axis)
    return np.logaddexp.accumulate(x, axis=axis)


def softmax(x: Float[Array, "..."], axis: int) -> Float[Array, "..."]:
    """exp(x) / sum exp(x) along an axis; zeros where all of x is minus infinity."""
    xp = namespace(x)
    top = xp.max(x, axis=axis, keepdims=True)
    weights = xp.exp(x - stop_gradient(xp.where(xp.isfinite(top), top, 0.0)))
    total = xp.sum(weights, axis=axis, keepdims=True)
    return weights / xp.where(total == 0.0, 1.0, total)


def log_sigmoid(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """log(1 / (1 + exp(-x))), exact in both tails."""
    if is_torch(x):
        import torch

        return torch.nn.functional.logsigmoid(x)
    return np.minimum(x, 0.0) - np.log1p(np.exp(-np.abs(x)))


def sigmoid(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """1 / (1 + exp(-x)), exact in both tails."""
    if is_torch(x):
        return x.sigmoid()
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, small) / (1.0 + small)


def log1m_exp(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """log(1 - exp(-x)) for x > 0, minus infinity at 0 (Maechler 2012: two branches, one exact)."""
    xp = namespace(x)
    is_small = x < math.log(2.0)
    near = xp.where(is_small, x, 1.0)
    is_zero = near == 0.0
    near = xp.log(-xp.expm1(-xp.where(is_zero, 1.0, near)))
    far = xp.log1p(-xp.exp(-xp.where(is_small, 1.0, x)))
    return xp.where(is_small, xp.where(is_zero, -math.inf, near), far)


def xlogy(x: Float[Array, "..."], y: Float[Array, "..."]) -> Float[Array, "..."]:
    """x log(y), and 0 where x is 0 whatever y is."""
    xp = namespace(x, y)
    is_zero = x == 0.0
    return xp.where(is_zero, 0.0, x * xp.log(xp.where(is_zero, 1.0, y)))


def ndtr(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Phi(x), the standard normal distribution function."""
    return _special(x).ndtr(x)


def log_ndtr(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """log Phi(x), exact in both tails."""
    return _special(x).log_ndtr(x)


def inverse_mills(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """phi(x) / Phi(x), the derivative of log Phi(x), exact in both tails."""
    return math.sqrt(2 / math.pi) / _special(x).erfcx(-_SQRT_HALF * x)


def log_normal_density(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """log phi(x) of the standard normal."""
    return -0.5 * x * x - _LOG_SQRT_2PI


def ndtri_exp(log_p: Float[Array, "..."]) -> Float[Array, "..."]:
    """The x with log Phi(x) = log_p, for log_p < 0 of any size; differentiable once in torch."""
    xp = namespace(log_p)
    target = stop_gradient(log_p)
    # Three starts: the plain inverse, its mirror image where Phi(x) nears 1, and the leading
    # terms of the tail, sqrt(-2 log_p - log(-2 log_p) - log 2 pi), where exp(log_p) underflows.
    middle = xp.clip(target, -600.0, -1e-300)
    low = _special(target).ndtri(xp.exp(middle))
    high = -_special(target).ndtri(-xp.expm1(middle))
    size = -2.0 * xp.clip(target, -math.inf, -600.0)
    tail = -xp.sqrt(size - xp.log(size) - math.log(2 * math.pi))
    x = xp.where(target < -600.0, tail, xp.where(target < -1.0, low, high))
    for _ in range(3):
        x = x + xp.where(target < -1.0, (target - log_ndtr(x)) / inverse_mills(x), 0.0)
    if not is_torch(log_p):
        return x
    # The step below is zero in value; it carries d x / d log_p = Phi(x) / phi(x).
    return x + (log_p - target) / inverse_mills(x)


def _special(x: Array) -> Any:
    if is_torch(x):
        import torch

        return torch.special
    from scipy import special

    return special


def _device(x: Array) -> dict[str, Any]:
    return {"device": x.device} if is_torch(x) else {}
