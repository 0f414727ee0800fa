"""What a vector register is to numba and LLVM: its type, and the instructions all else is made of.

Kernels want no more of it than the width of a register.
"""

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]  # it ships no types
from numba import types
from numba.core import cgutils
from numba.extending import models, register_model

# Everything below handles numba's and LLVM's own untyped values, hence Any throughout.


class LanesType(types.Type):
    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        self.width = 512 // dtype.bitwidth
        super().__init__(name=f"Lanes({dtype})")


SINGLE, DOUBLE = LanesType(types.float32), LanesType(types.float64)


def lanes_of(dtype: Any) -> LanesType:
    return SINGLE if dtype == types.float32 else DOUBLE


def vector_of(lanes: LanesType) -> Any:
    scalar = ir.FloatType() if lanes is SINGLE or lanes == SINGLE else ir.DoubleType()
    return ir.VectorType(scalar, lanes.width)


def int_vector_of(lanes: LanesType) -> Any:
    return ir.VectorType(ir.IntType(lanes.dtype.bitwidth), lanes.width)


@register_model(LanesType)
class LanesModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: LanesType) -> None:
        super().__init__(dmm, fe_type, vector_of(fe_type))


def constant(vector: Any, value: float) -> Any:
    return ir.Constant(vector, [value] * vector.count)


def broadcast(builder: Any, lanes: LanesType, scalar: Any) -> Any:
    vector, index = vector_of(lanes), ir.IntType(32)
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, ir.Constant(index, 0))
    zeros = ir.Constant(ir.VectorType(index, lanes.width), [0] * lanes.width)
    return builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), zeros)


def fused_multiply_add(builder: Any, a: Any, b: Any, c: Any) -> Any:
    # "contract" lets LLVM fuse the two where the processor can; calling llvm.fma would become a
    # slow library call where it cannot.
    return builder.fadd(builder.fmul(a, b, flags=("contract",)), c, flags=("contract",))


def element(context: Any, builder: Any, array_type: Any, array: Any, place: Any) -> Any:
    struct = context.make_array(array_type)(context, builder, array)
    return cgutils.get_item_pointer(context, builder, array_type, struct, place, wraparound=False)


def load_lanes(builder: Any, lanes: LanesType, pointer: Any) -> Any:
    value = builder.load(builder.bitcast(pointer, vector_of(lanes).as_pointer()))
    # NumPy aligns to single numbers, not to vectors; LLVM would otherwise assume 64 bytes.
    value.align = lanes.dtype.bitwidth // 8
    return value


def store_lanes(builder: Any, lanes: LanesType, value: Any, pointer: Any) -> None:
    pointer = builder.bitcast(pointer, vector_of(lanes).as_pointer())
    builder.store(value, pointer, align=lanes.dtype.bitwidth // 8)


def shuffle(builder: Any, a: Any, b: Any, places: list[int]) -> Any:
    index = ir.IntType(32)
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(index, len(places)), places))
