"""Eight numbers side by side: arithmetic that is one vector instruction (or two), whatever the optimiser thinks.

A kernel that keeps eight chains in the columns of `(n, WIDTH)` arrays reads `row(x, i)`, calculates with it as with a
number, and writes `put(x, i, value)`. Loops over lanes would leave the vectorising to LLVM, which gives up where it cannot
prove that arrays do not overlap, and which knows no vector form of log, sin and cos: these are polynomials here.
"""

import math
import operator

import numpy as np
from numba import njit, types
from numba.core import cgutils
from numba.core.cgutils import ir
from numba.core.typeconv import Conversion
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, lower_cast, models, register_model

WIDTH = 8


class Lanes(types.Type):
    """WIDTH float64 or, for bit patterns, WIDTH uint64; a scalar of that kind turns into WIDTH copies."""

    def __init__(self, element):
        self.element = element
        super().__init__(name=f"Lanes({element})")

    def can_convert_from(self, typingctx, other):
        return Conversion.safe if other == self.element else None


NUMBERS, WORDS = Lanes(types.float64), Lanes(types.uint64)
_REGISTER = {NUMBERS: ir.VectorType(ir.DoubleType(), WIDTH), WORDS: ir.VectorType(ir.IntType(64), WIDTH)}


@register_model(Lanes)
class _Model(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, _REGISTER[kind])


@lower_cast(types.Float, Lanes)
@lower_cast(types.Integer, Lanes)
def _copies(context, builder, scalar_type, kind, value):
    one = builder.insert_element(ir.Constant(_REGISTER[kind], ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    mask = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)
    return builder.shuffle_vector(one, ir.Constant(_REGISTER[kind], ir.Undefined), mask)


def _offer(operation, instructions):
    """Let `operation` work on lanes by an instruction for each kind."""

    @infer_global(operation)
    class _Signature(AbstractTemplate):
        def generic(self, arguments, keywords):
            kind = next((a for a in arguments if isinstance(a, Lanes)), None)
            if kind in instructions and all(a == kind or a == kind.element for a in arguments):
                return signature(kind, *(kind for _ in arguments))

    def lower(context, builder, sig, values):
        # a b + c may round once.
        flags = ("contract",) if sig.return_type == NUMBERS else ()
        return getattr(builder, instructions[sig.return_type])(*values, flags=flags)

    for first, second in ((Lanes, Lanes), (Lanes, types.Any), (types.Any, Lanes)):
        lower_builtin(operation, first, second)(lower)


_offer(operator.add, {NUMBERS: "fadd", WORDS: "add"})
_offer(operator.sub, {NUMBERS: "fsub", WORDS: "sub"})
_offer(operator.mul, {NUMBERS: "fmul"})
_offer(operator.truediv, {NUMBERS: "fdiv"})
_offer(operator.and_, {WORDS: "and_"})
_offer(operator.or_, {WORDS: "or_"})
_offer(operator.xor, {WORDS: "xor"})
_offer(operator.lshift, {WORDS: "shl"})
_offer(operator.rshift, {WORDS: "lshr"})


def _place(context, builder, array_type, array, index):
    data = context.make_array(array_type)(context, builder, array).data
    kind = NUMBERS if array_type.dtype == types.float64 else WORDS
    start = builder.gep(data, [builder.mul(index, ir.Constant(index.type, WIDTH))])
    return builder.bitcast(start, _REGISTER[kind].as_pointer())


@intrinsic
def row(typingctx, array, index):
    """Row `index` of a contiguous `(n, WIDTH)` array, as lanes; the index is not checked."""
    kind = NUMBERS if array.dtype == types.float64 else WORDS

    def generate(context, builder, sig, values):
        return builder.load(_place(context, builder, array, values[0], values[1]), align=8)

    return kind(array, types.intp), generate


@intrinsic
def put(typingctx, array, index, value):
    """Write lanes to row `index` of a contiguous `(n, WIDTH)` array; the index is not checked."""

    def generate(context, builder, sig, values):
        builder.store(values[2], _place(context, builder, array, values[0], values[1]), align=8)

    kind = NUMBERS if array.dtype == types.float64 else WORDS
    return types.void(array, types.intp, kind), generate


@intrinsic
def lanes(typingctx, value):
    """WIDTH copies of a number."""
    return NUMBERS(NUMBERS), lambda context, builder, sig, values: values[0]


def _reinterpreted(result, source):
    @intrinsic
    def cast(typingctx, value):
        return result(source), lambda context, builder, sig, values: builder.bitcast(values[0], _REGISTER[result])

    return cast


bits, number = _reinterpreted(WORDS, NUMBERS), _reinterpreted(NUMBERS, WORDS)  # bit patterns of numbers, and back


@intrinsic
def where(typingctx, condition, first, second):
    """`first` in the lanes where `condition` is not zero, `second` elsewhere."""

    def generate(context, builder, sig, values):
        zero = ir.Constant(_REGISTER[WORDS], [0] * WIDTH)
        return builder.select(builder.icmp_unsigned("!=", values[0], zero), values[1], values[2])

    return NUMBERS(WORDS, NUMBERS, NUMBERS), generate


@intrinsic
def root(typingctx, value):
    """The square root."""

    def generate(context, builder, sig, values):
        function = ir.FunctionType(_REGISTER[NUMBERS], [_REGISTER[NUMBERS]])
        return builder.call(cgutils.get_or_insert_function(builder.module, function, f"llvm.sqrt.v{WIDTH}f64"), values)

    return NUMBERS(NUMBERS), generate


@njit
def scratch(n):
    """An unset float64 array `(n, WIDTH)` on a boundary of 64 bytes: no row lies across two cache lines."""
    flat = np.empty((n + 1) * WIDTH)
    skipped = (-flat.ctypes.data % 64) // 8
    return flat[skipped : skipped + n * WIDTH].reshape(n, WIDTH)


@njit(inline="always")
def draw(streams):
    """The next 64-bit word of each of WIDTH xoshiro256+ streams `(4, WIDTH)`, advanced in place."""
    s0, s1, s2, s3 = row(streams, 0), row(streams, 1), row(streams, 2), row(streams, 3)
    word = s0 + s3
    s2 = s2 ^ s0
    s3 = s3 ^ s1
    put(streams, 0, s0 ^ s3)
    put(streams, 1, s1 ^ s2)
    put(streams, 2, s2 ^ (s1 << np.uint64(17)))
    put(streams, 3, (s3 << np.uint64(45)) | (s3 >> np.uint64(19)))
    return word


_ONE = np.uint64(0x3FF0000000000000)  # bits of 1.0
_TWO_52 = np.uint64(0x4330000000000000)  # bits of 2⁵²: an integer below it, in the last bits, adds itself


@njit(inline="always")
def uniform(word):
    """Uniform numbers in (0, 1], multiples of 2⁻⁵², from the upper bits of words."""
    return 2.0 - number((word >> np.uint64(12)) | _ONE)


_ROOT_HALF = np.uint64(0x3FE6A09E667F3BCD)
_BIAS = np.uint64(1 << 62)
_LOG_SERIES = tuple(2.0 / k for k in range(21, 1, -2))


@njit(inline="always")
def log(x):
    """The natural logarithm of positive normal numbers, to 2⁻⁵² of its size.

    x = 2ᵉ m with m between √½ and √2, and log m = 2 artanh s = 2 s (1 + s²/3 + s⁴/5 + …), s = (m − 1)/(m + 1), |s| < 0.172.
    """
    exponent = (bits(x) - _ROOT_HALF + _BIAS) >> np.uint64(52)
    m = number(bits(x) - (exponent << np.uint64(52)) + _BIAS)
    e = number(exponent | _TWO_52) - (2.0**52 + 1024)
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    tail = lanes(0.0)
    for coefficient in _LOG_SERIES:
        tail = tail * z + coefficient
    return e * math.log(2) + (s * z * tail + (s + s))


_SIN_SERIES = tuple((-1) ** k / math.factorial(2 * k + 1) for k in range(8, 0, -1))
_COS_SERIES = tuple((-1) ** k / math.factorial(2 * k) for k in range(8, 0, -1))
_QUARTER = math.pi / 2
_QUARTER_REST = 6.123233995736766e-17  # π/2 less its float64
_ROUNDER = 1.5 * 2.0**52  # adding it leaves the nearest integer in the last bits
_SIGN = np.uint64(62)


@njit(inline="always")
def sine_cosine(angle):
    """Sine and cosine of angles up to some 10⁴, to 2⁻⁵² (absolute, for larger angles as far as π/2 is known there)."""
    shifted = angle * (1 / _QUARTER) + _ROUNDER
    turns = shifted - _ROUNDER
    y = angle - turns * _QUARTER - turns * _QUARTER_REST
    z = y * y
    sine, cosine = lanes(0.0), lanes(0.0)
    for coefficient in _SIN_SERIES:
        sine = sine * z + coefficient
    for coefficient in _COS_SERIES:
        cosine = cosine * z + coefficient
    sine, cosine = y * z * sine + y, cosine * z + 1.0
    quadrant = bits(shifted)
    odd = quadrant & np.uint64(1)
    flipped = ((quadrant & np.uint64(2)) << _SIGN, ((quadrant + np.uint64(1)) & np.uint64(2)) << _SIGN)
    return number(bits(where(odd, cosine, sine)) ^ flipped[0]), number(bits(where(odd, sine, cosine)) ^ flipped[1])


@njit(inline="always")
def wrapped(angle):
    """The same angles between −π and π."""
    return angle - ((angle * (0.5 / math.pi) + _ROUNDER) - _ROUNDER) * (2 * math.pi)


@njit(inline="always")
def normals(streams):
    """Two lanes of independent standard normal numbers. Source: Box and Muller 1958 (10.1214/aoms/1177706645)."""
    radius = root(-2.0 * log(uniform(draw(streams))))
    sine, cosine = sine_cosine((2 * math.pi) * uniform(draw(streams)))
    return radius * cosine, radius * sine
