"""Machine instructions on 64-bit words that Python does not name."""

from numba import types
from numba.extending import intrinsic


@intrinsic
def popcount(typing_context, word):
    """Number of set bits of a uint64."""

    def generate(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate
