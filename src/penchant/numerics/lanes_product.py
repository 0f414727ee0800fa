"""Matrix products in vector registers: tiles of four rows by four registers, summed in place.

As in `lanes.py`, everything is called from compiled functions only.
"""

from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from penchant.numerics.lanes import compiled
from penchant.numerics.lanes_code import (
    broadcast,
    element,
    fused_multiply_add,
    lanes_of,
    load_lanes,
    store_lanes,
)

# Numba's and LLVM's own untyped values again, hence Any throughout.


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
        lanes = lanes_of(a.dtype)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            kinds = signature.args
            number = args[7].type
            size = number(lanes.dtype.bitwidth // 8)
            here = [[number(n * lanes.width)] for n in range(width)]

            def row_length(kind: Any, array: Any) -> Any:
                struct = context.make_array(kind)(context, builder, array)
                return builder.sdiv(cgutils.unpack_tuple(builder, struct.strides)[0], size)

            a_start = element(context, builder, kinds[2], args[2], [args[3], args[4]])
            b_start = element(context, builder, kinds[8], args[8], [args[9], args[10]])
            out_start = element(context, builder, kinds[11], args[11], [args[12], args[10]])
            first = element(context, builder, kinds[0], args[0], [args[1]])
            b_length, out_length = row_length(kinds[8], args[8]), row_length(kinds[11], args[11])
            a_rows = [
                builder.gep(a_start, [builder.mul(number(m), args[5])]) for m in range(height)
            ]
            sums = []
            for m in range(height):
                begin = builder.load(builder.gep(first, [number(m)]))
                value = broadcast(builder, lanes, begin)
                sums.append([cgutils.alloca_once_value(builder, value) for _ in range(width)])
            with cgutils.for_range(builder, args[7]) as loop:
                row = builder.gep(b_start, [builder.mul(loop.index, b_length)])
                loaded = [load_lanes(builder, lanes, builder.gep(row, place)) for place in here]
                step = [builder.mul(loop.index, args[6])]
                for m in range(height):
                    factor = builder.load(builder.gep(a_rows[m], step))
                    factor = broadcast(builder, lanes, factor)
                    for n in range(width):
                        value = fused_multiply_add(
                            builder, factor, loaded[n], builder.load(sums[m][n])
                        )
                        builder.store(value, sums[m][n])
            for m in range(height):
                row = builder.gep(out_start, [builder.mul(number(m), out_length)])
                for n in range(width):
                    value = builder.load(sums[m][n])
                    store_lanes(builder, lanes, value, builder.gep(row, here[n]))
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
