"""Sixteen floats at a time: explicit vector registers for the fused loops.

Numba hands LLVM scalar code and hopes; without SVML a call of `exp` is never vectorised. These
intrinsics state the vectors outright, so that a loop over draws costs what the machine can do: the
panel logit runs within a factor of two of the peak of its arithmetic units. A `Lanes` value is 512
bits (16 single or 8 double precision numbers); processors with narrower registers split it.

Everything here is called from compiled functions only, and this module imports numba: only the
`*_fused.py` files import it. Numba's disk cache does not see changes made here: after editing,
delete the `__pycache__` of the rooms whose kernels use it.
"""

import inspect
import math
from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]  # it ships no types
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from penchant.numerics.lanes_code import (
    SINGLE,
    broadcast,
    constant,
    element,
    fused_multiply_add,
    int_vector_of,
    lanes_of,
    load_lanes,
    shuffle,
    store_lanes,
    vector_of,
)

# Everything below handles numba's and LLVM's own untyped values, hence Any throughout.


def compiled(function: Callable[..., Any]) -> Any:
    """Compile on first call and keep the machine code on disk.

    Unwraps first: while testing, an import hook wraps functions in shape checks that no compiler
    could read.
    """
    return njit(cache=True, nogil=True)(inspect.unwrap(function))


@intrinsic
def load(typingctx: Any, array: Any, row: Any, column: Any) -> Any:
    """array[row, column:column + width] of a C-ordered matrix."""
    lanes = lanes_of(array.dtype)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = element(context, builder, signature.args[0], args[0], list(args[1:]))
        return load_lanes(builder, lanes, pointer)

    return lanes(array, types.intp, types.intp), codegen


@intrinsic
def store(typingctx: Any, array: Any, row: Any, column: Any, value: Any) -> Any:
    """array[row, column:column + width] = value."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = element(context, builder, signature.args[0], args[0], list(args[1:3]))
        store_lanes(builder, value, args[3], pointer)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, value), codegen


@intrinsic
def spread(typingctx: Any, scalar: Any) -> Any:
    """The same number in every lane."""
    lanes = lanes_of(scalar)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return broadcast(builder, lanes, args[0])

    return lanes(scalar), codegen


def _binary(name: str) -> Any:
    @intrinsic
    def operation(typingctx: Any, a: Any, b: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return getattr(builder, name)(*args)

        return a(a, a), codegen

    return operation


add, subtract, multiply, divide = (_binary(name) for name in ("fadd", "fsub", "fmul", "fdiv"))


@intrinsic
def positive_part(typingctx: Any, x: Any) -> Any:
    """max(x, 0)."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        zero = constant(vector_of(x), 0.0)
        return builder.select(builder.fcmp_ordered(">", args[0], zero), args[0], zero)

    return x(x), codegen


@intrinsic
def maximum(typingctx: Any, a: Any, b: Any) -> Any:
    """The larger of the two, lane by lane; b where either is NaN."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", *args), *args)

    return a(a, a), codegen


@intrinsic
def is_positive(typingctx: Any, x: Any) -> Any:
    """1 where x > 0, else 0."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        zero, one = constant(vector_of(x), 0.0), constant(vector_of(x), 1.0)
        return builder.select(builder.fcmp_ordered(">", args[0], zero), one, zero)

    return x(x), codegen


@intrinsic
def multiply_add(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    """a * b + c, rounded once where the processor can."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return fused_multiply_add(builder, *args)

    return a(a, a, a), codegen


# 2**f on [-1/2, 1/2]. Single: the polynomial of least relative error that is exact at 0 (1.1e-7,
# one unit in the last place). Double: Taylor's, whose first term left out is 2e-18.
_POWERS_SINGLE = (1.0, 0.693147, 0.24022242, 0.05550734, 0.00967152, 0.00132647)
_POWERS_DOUBLE = tuple(math.log(2.0) ** k / math.factorial(k) for k in range(15))


@intrinsic
def exp2(typingctx: Any, x: Any, limit: Any) -> Any:
    """2**x, with x clamped to [-limit, limit]; limit at most 126 (single), 1022 (double).

    Adding 1.5 * 2**23 (2**52) rounds x to an integer that stands in the low bits of the sum; these
    are shifted into the exponent of a polynomial in the remainder. About 12 instructions for all
    lanes together.
    """
    single = x == SINGLE
    powers = _POWERS_SINGLE if single else _POWERS_DOUBLE
    magic, mantissa_bits = (1.5 * 2**23, 23) if single else (1.5 * 2**52, 52)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vector, integers = vector_of(x), int_vector_of(x)
        value, high = args[0], broadcast(builder, x, args[1])
        low = builder.fneg(high)
        value = builder.select(builder.fcmp_ordered("<", value, high), value, high)
        value = builder.select(builder.fcmp_ordered(">", value, low), value, low)
        shifted = builder.fadd(value, constant(vector, magic))
        rest = builder.fsub(value, builder.fsub(shifted, constant(vector, magic)))
        result = constant(vector, powers[-1])
        for power in powers[-2::-1]:
            result = fused_multiply_add(builder, result, rest, constant(vector, power))
        exponent = builder.shl(
            builder.bitcast(shifted, integers), constant(integers, mantissa_bits)
        )
        return builder.bitcast(builder.add(builder.bitcast(result, integers), exponent), vector)

    return x(x, x.dtype), codegen


@intrinsic
def exponent(typingctx: Any, x: Any) -> Any:
    """floor(log2 x) as floating-point numbers; x is positive and normal."""
    bits, bias = (23, 127) if x == SINGLE else (52, 1023)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        integers = int_vector_of(x)
        power = builder.lshr(builder.bitcast(args[0], integers), constant(integers, bits))
        return builder.sitofp(builder.sub(power, constant(integers, bias)), vector_of(x))

    return x(x), codegen


@intrinsic
def mantissa(typingctx: Any, x: Any) -> Any:
    """x / 2**exponent(x), which is in [1, 2)."""
    bits, one = (23, 0x3F800000) if x == SINGLE else (52, 0x3FF0000000000000)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        integers = int_vector_of(x)
        fraction = builder.and_(
            builder.bitcast(args[0], integers), constant(integers, (1 << bits) - 1)
        )
        return builder.bitcast(builder.or_(fraction, constant(integers, one)), vector_of(x))

    return x(x), codegen


@intrinsic
def total(typingctx: Any, x: Any) -> Any:
    """The sum over lanes, added up in double precision and always in the same order."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        index = ir.IntType(32)
        parts = [builder.extract_element(args[0], ir.Constant(index, i)) for i in range(x.width)]
        if x == SINGLE:
            parts = [builder.fpext(part, ir.DoubleType()) for part in parts]
        while len(parts) > 1:
            parts = [builder.fadd(a, b) for a, b in zip(parts[::2], parts[1::2])]
        return parts[0]

    return types.float64(x), codegen


@intrinsic
def transpose(
    typingctx: Any, flat: Any, at: Any, shift: Any, out: Any, rows: Any, first_row: Any, first: Any
) -> Any:
    """out[rows[first_row + j], first + i] = flat[at[first + i] + shift + j], i and j over lanes.

    A square of `flat` as wide as a register, each row from a place of its own, turned in registers:
    numbers of one record become numbers of one column. `flat` may be single where `out` is double.
    """
    lanes = lanes_of(out.dtype)
    width = lanes.width

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds, number = signature.args, args[2].type
        loaded = []
        for i in range(width):
            lane = builder.add(args[6], number(i))
            start = builder.load(element(context, builder, kinds[1], args[1], [lane]))
            start = builder.add(start, args[2])
            pointer = element(context, builder, kinds[0], args[0], [start])
            source = lanes_of(kinds[0].dtype)
            single = ir.VectorType(vector_of(source).element, width)
            value = builder.load(builder.bitcast(pointer, single.as_pointer()))
            value.align = source.dtype.bitwidth // 8
            wider = vector_of(source).element != vector_of(lanes).element
            loaded.append(builder.fpext(value, vector_of(lanes)) if wider else value)
        half = width // 2
        while half:
            # Swap the off-diagonal halves of every square of twice `half`.
            turned = list(loaded)
            for i in (i for i in range(width) if not i & half):
                a, b = loaded[i], loaded[i + half]
                above = [j if not j & half else width + j - half for j in range(width)]
                below = [j + half if not j & half else width + j for j in range(width)]
                turned[i] = shuffle(builder, a, b, above)
                turned[i + half] = shuffle(builder, a, b, below)
            loaded, half = turned, half // 2
        for j in range(width):
            place = builder.add(args[5], number(j))
            row = builder.load(element(context, builder, kinds[4], args[4], [place]))
            pointer = element(context, builder, kinds[3], args[3], [row, args[6]])
            store_lanes(builder, lanes, loaded[j], pointer)
        return context.get_dummy_value()

    place = types.intp
    return types.void(flat, at, place, out, rows, place, place), codegen


@intrinsic
def prefetch(typingctx: Any, flat: Any, place: Any) -> Any:
    """Ask for the cache line of flat[place], a place that need not exist; nothing is waited for."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        struct = context.make_array(signature.args[0])(context, builder, args[0])
        pointer = builder.bitcast(builder.gep(struct.data, [args[1]]), ir.IntType(8).as_pointer())
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, number, number, number])
        name = "llvm.prefetch.p0i8"
        function = cgutils.get_or_insert_function(builder.module, kind, name)
        # To be read (0), wanted in all caches (3), data rather than instructions (1).
        builder.call(function, [pointer, number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(flat, types.intp), codegen
