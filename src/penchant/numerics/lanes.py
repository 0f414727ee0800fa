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
from numba.extending import intrinsic, models, register_model

# Everything below handles numba's and LLVM's own untyped values, hence Any throughout.


def compiled(function: Callable[..., Any]) -> Any:
    """Compile on first call and keep the machine code on disk.

    Unwraps first: while testing, an import hook wraps functions in shape checks that no compiler
    could read.
    """
    return njit(cache=True, nogil=True)(inspect.unwrap(function))


class LanesType(types.Type):
    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        self.width = 512 // dtype.bitwidth
        super().__init__(name=f"Lanes({dtype})")


SINGLE, DOUBLE = LanesType(types.float32), LanesType(types.float64)


def _lanes_of(dtype: Any) -> LanesType:
    return SINGLE if dtype == types.float32 else DOUBLE


def _vector(lanes: LanesType) -> Any:
    scalar = ir.FloatType() if lanes is SINGLE or lanes == SINGLE else ir.DoubleType()
    return ir.VectorType(scalar, lanes.width)


def _int_vector(lanes: LanesType) -> Any:
    return ir.VectorType(ir.IntType(lanes.dtype.bitwidth), lanes.width)


@register_model(LanesType)
class LanesModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: LanesType) -> None:
        super().__init__(dmm, fe_type, _vector(fe_type))


def _constant(vector: Any, value: float) -> Any:
    return ir.Constant(vector, [value] * vector.count)


def _broadcast(builder: Any, lanes: LanesType, scalar: Any) -> Any:
    vector, index = _vector(lanes), ir.IntType(32)
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, ir.Constant(index, 0))
    zeros = ir.Constant(ir.VectorType(index, lanes.width), [0] * lanes.width)
    return builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), zeros)


def _multiply_add(builder: Any, a: Any, b: Any, c: Any) -> Any:
    # "contract" lets LLVM fuse the two where the processor can; calling llvm.fma would become a
    # slow library call where it cannot.
    return builder.fadd(builder.fmul(a, b, flags=("contract",)), c, flags=("contract",))


def _element(context: Any, builder: Any, array_type: Any, array: Any, place: Any) -> Any:
    struct = context.make_array(array_type)(context, builder, array)
    return cgutils.get_item_pointer(context, builder, array_type, struct, place, wraparound=False)


def _load(builder: Any, lanes: LanesType, pointer: Any) -> Any:
    value = builder.load(builder.bitcast(pointer, _vector(lanes).as_pointer()))
    # NumPy aligns to single numbers, not to vectors; LLVM would otherwise assume 64 bytes.
    value.align = lanes.dtype.bitwidth // 8
    return value


def _store(builder: Any, lanes: LanesType, value: Any, pointer: Any) -> None:
    pointer = builder.bitcast(pointer, _vector(lanes).as_pointer())
    builder.store(value, pointer, align=lanes.dtype.bitwidth // 8)


@intrinsic
def load(typingctx: Any, array: Any, row: Any, column: Any) -> Any:
    """array[row, column:column + width] of a C-ordered matrix."""
    lanes = _lanes_of(array.dtype)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _element(context, builder, signature.args[0], args[0], list(args[1:]))
        return _load(builder, lanes, pointer)

    return lanes(array, types.intp, types.intp), codegen


@intrinsic
def store(typingctx: Any, array: Any, row: Any, column: Any, value: Any) -> Any:
    """array[row, column:column + width] = value."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _element(context, builder, signature.args[0], args[0], list(args[1:3]))
        _store(builder, value, args[3], pointer)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, value), codegen


@intrinsic
def spread(typingctx: Any, scalar: Any) -> Any:
    """The same number in every lane."""
    lanes = _lanes_of(scalar)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _broadcast(builder, lanes, args[0])

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
        zero = _constant(_vector(x), 0.0)
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
        zero, one = _constant(_vector(x), 0.0), _constant(_vector(x), 1.0)
        return builder.select(builder.fcmp_ordered(">", args[0], zero), one, zero)

    return x(x), codegen


@intrinsic
def multiply_add(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    """a * b + c, rounded once where the processor can."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _multiply_add(builder, *args)

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
        vector, integers = _vector(x), _int_vector(x)
        value, high = args[0], _broadcast(builder, x, args[1])
        low = builder.fneg(high)
        value = builder.select(builder.fcmp_ordered("<", value, high), value, high)
        value = builder.select(builder.fcmp_ordered(">", value, low), value, low)
        shifted = builder.fadd(value, _constant(vector, magic))
        rest = builder.fsub(value, builder.fsub(shifted, _constant(vector, magic)))
        result = _constant(vector, powers[-1])
        for power in powers[-2::-1]:
            result = _multiply_add(builder, result, rest, _constant(vector, power))
        exponent = builder.shl(
            builder.bitcast(shifted, integers), _constant(integers, mantissa_bits)
        )
        return builder.bitcast(builder.add(builder.bitcast(result, integers), exponent), vector)

    return x(x, x.dtype), codegen


@intrinsic
def exponent(typingctx: Any, x: Any) -> Any:
    """floor(log2 x) as floating-point numbers; x is positive and normal."""
    bits, bias = (23, 127) if x == SINGLE else (52, 1023)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        integers = _int_vector(x)
        power = builder.lshr(builder.bitcast(args[0], integers), _constant(integers, bits))
        return builder.sitofp(builder.sub(power, _constant(integers, bias)), _vector(x))

    return x(x), codegen


@intrinsic
def mantissa(typingctx: Any, x: Any) -> Any:
    """x / 2**exponent(x), which is in [1, 2)."""
    bits, one = (23, 0x3F800000) if x == SINGLE else (52, 0x3FF0000000000000)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        integers = _int_vector(x)
        fraction = builder.and_(
            builder.bitcast(args[0], integers), _constant(integers, (1 << bits) - 1)
        )
        return builder.bitcast(builder.or_(fraction, _constant(integers, one)), _vector(x))

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
    lanes = _lanes_of(out.dtype)
    width = lanes.width

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds, number = signature.args, args[2].type
        loaded = []
        for i in range(width):
            lane = builder.add(args[6], number(i))
            start = builder.load(_element(context, builder, kinds[1], args[1], [lane]))
            start = builder.add(start, args[2])
            pointer = _element(context, builder, kinds[0], args[0], [start])
            source = _lanes_of(kinds[0].dtype)
            single = ir.VectorType(_vector(source).element, width)
            value = builder.load(builder.bitcast(pointer, single.as_pointer()))
            value.align = source.dtype.bitwidth // 8
            wider = _vector(source).element != _vector(lanes).element
            loaded.append(builder.fpext(value, _vector(lanes)) if wider else value)
        half = width // 2
        while half:
            # Swap the off-diagonal halves of every square of twice `half`.
            turned = list(loaded)
            for i in (i for i in range(width) if not i & half):
                a, b = loaded[i], loaded[i + half]
                above = [j if not j & half else width + j - half for j in range(width)]
                below = [j + half if not j & half else width + j for j in range(width)]
                turned[i] = _shuffle(builder, a, b, above)
                turned[i + half] = _shuffle(builder, a, b, below)
            loaded, half = turned, half // 2
        for j in range(width):
            place = builder.add(args[5], number(j))
            row = builder.load(_element(context, builder, kinds[4], args[4], [place]))
            pointer = _element(context, builder, kinds[3], args[3], [row, args[6]])
            _store(builder, lanes, loaded[j], pointer)
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


def _shuffle(builder: Any, a: Any, b: Any, places: list[int]) -> Any:
    index = ir.IntType(32)
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(index, len(places)), places))


def _matmul_tile(height: int, width: int) -> Any:
    """A tile of out = start + a @ b, `height` rows by `width` registers, summed in registers."""

    @intrinsic
    def tile(
        typingctx: Any,
        start: Any,
        start_at: Any,
        a: Any,
        a_row: Any,
        a_column: Any,
        row_step: Any,
        sum_step: Any,
        count: Any,
        b: Any,
        b_row: Any,
        column: Any,
        out: Any,
        out_row: Any,
    ) -> Any:
        lanes = _lanes_of(a.dtype)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            kinds = signature.args
            number = args[7].type
            size = number(lanes.dtype.bitwidth // 8)
            here = [[number(n * lanes.width)] for n in range(width)]

            def row_length(kind: Any, array: Any) -> Any:
                struct = context.make_array(kind)(context, builder, array)
                return builder.sdiv(cgutils.unpack_tuple(builder, struct.strides)[0], size)

            a_start = _element(context, builder, kinds[2], args[2], [args[3], args[4]])
            b_start = _element(context, builder, kinds[8], args[8], [args[9], args[10]])
            out_start = _element(context, builder, kinds[11], args[11], [args[12], args[10]])
            first = _element(context, builder, kinds[0], args[0], [args[1]])
            b_length, out_length = row_length(kinds[8], args[8]), row_length(kinds[11], args[11])
            a_rows = [
                builder.gep(a_start, [builder.mul(number(m), args[5])]) for m in range(height)
            ]
            sums = []
            for m in range(height):
                begin = builder.load(builder.gep(first, [number(m)]))
                value = _broadcast(builder, lanes, begin)
                sums.append([cgutils.alloca_once_value(builder, value) for _ in range(width)])
            with cgutils.for_range(builder, args[7]) as loop:
                row = builder.gep(b_start, [builder.mul(loop.index, b_length)])
                loaded = [_load(builder, lanes, builder.gep(row, place)) for place in here]
                step = [builder.mul(loop.index, args[6])]
                for m in range(height):
                    factor = builder.load(builder.gep(a_rows[m], step))
                    factor = _broadcast(builder, lanes, factor)
                    for n in range(width):
                        value = _multiply_add(builder, factor, loaded[n], builder.load(sums[m][n]))
                        builder.store(value, sums[m][n])
            for m in range(height):
                row = builder.gep(out_start, [builder.mul(number(m), out_length)])
                for n in range(width):
                    value = builder.load(sums[m][n])
                    _store(builder, lanes, value, builder.gep(row, here[n]))
            return context.get_dummy_value()

        place = types.intp
        arguments = (start, place, a, *[place] * 5, b, place, place, out, place)
        return types.void(*arguments), codegen

    return tile


_tile4, _tile2, _tile1 = _matmul_tile(4, 4), _matmul_tile(2, 4), _matmul_tile(1, 4)


@compiled
def matmul(
    start: Any,
    start_at: int,
    a: Any,
    a_row: int,
    a_column: int,
    row_step: int,
    sum_step: int,
    rows: int,
    count: int,
    b: Any,
    b_row: int,
    columns: int,
    out: Any,
    out_row: int,
) -> None:
    """out[out_row + m, :columns] = start[start_at + m] + sum_k a_mk b[b_row + k, :columns].

    a_mk is a.flat[m row_step + k sum_step], counted from a[a_row, a_column].
    `a` is read from [a_row, a_column] on with any two strides, so that the same product serves a
    matrix and its transpose. `columns` is a multiple of 4 registers (64 single, 32 double).
    """
    width = 4 * (64 // a.itemsize)
    for s in range(0, columns, width):
        m = 0
        while m + 4 <= rows:
            at = a_column + m * row_step
            _tile4(
                start, start_at + m, a, a_row, at, row_step, sum_step, count,
                b, b_row, s, out, out_row + m,
            )  # fmt: skip
            m += 4
        while m + 2 <= rows:
            at = a_column + m * row_step
            _tile2(
                start, start_at + m, a, a_row, at, row_step, sum_step, count,
                b, b_row, s, out, out_row + m,
            )  # fmt: skip
            m += 2
        if m < rows:
            at = a_column + m * row_step
            _tile1(
                start, start_at + m, a, a_row, at, row_step, sum_step, count,
                b, b_row, s, out, out_row + m,
            )  # fmt: skip
