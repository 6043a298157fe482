"""The bits of a float as an integer and back, without going through memory."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic


def _float_bits(typingctx, value):  # type: ignore[no-untyped-def]

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return builder.bitcast(args[0], ir.IntType(64))

    return types.uint64(types.float64), codegen


def _bits_float(typingctx, value):  # type: ignore[no-untyped-def]

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.uint64), codegen


#: ``float_bits(x)``: the IEEE-754 bits of a float64 as uint64.
float_bits: Any = intrinsic(_float_bits)

#: ``bits_float(u)``: the float64 with the given IEEE-754 bits.
bits_float: Any = intrinsic(_bits_float)
