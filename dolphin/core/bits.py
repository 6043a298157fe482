"""The bits of a float as an integer and back, without going through memory."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic


@intrinsic
def float_bits(typingctx, value):  # type: ignore[no-untyped-def]
    """The IEEE-754 bits of a float64 as uint64."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return builder.bitcast(args[0], ir.IntType(64))

    return types.uint64(types.float64), codegen


@intrinsic
def bits_float(typingctx, value):  # type: ignore[no-untyped-def]
    """The float64 with the given IEEE-754 bits (uint64)."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.uint64), codegen
