"""What compiled loops need and Python has no word for: calls by address, and counters that threads share.

Each is one or two machine instructions, written in LLVM's language.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from mlpcli.compiled.codes import AS_IT_IS, ROW_MAJOR, TURNED_OVER

WORD_BYTES = 8


def _item(context, builder, array_type, array, index):
    """The address of an item of a contiguous array."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [index])


@intrinsic
def atomic_add(typing, array, index, value):
    """Add to a counter (int64) at once for all threads; returns what it was. What was written before, others see."""

    def generate(context, builder, signature, arguments):
        place = _item(context, builder, signature.args[0], *arguments[:2])
        return builder.atomic_rmw("add", place, arguments[2], "acq_rel")

    return types.int64(array, types.int64, types.int64), generate


@intrinsic
def atomic_load(typing, array, index):
    """A counter (int64) as it is now, and all that was written before it became so."""

    def generate(context, builder, signature, arguments):
        place = _item(context, builder, signature.args[0], *arguments)
        return builder.load_atomic(place, "acquire", WORD_BYTES)

    return types.int64(array, types.int64), generate


@intrinsic
def call_sleep(typing, address, duration):
    """Call the function at `address`, which takes an unsigned 32-bit number: how long this thread is to sleep."""

    def generate(context, builder, signature, arguments):
        kind = ir.FunctionType(ir.IntType(32), [ir.IntType(32)]).as_pointer()
        builder.call(builder.inttoptr(arguments[0], kind), [arguments[1]])
        return context.get_dummy_value()

    return types.void(types.intp, types.uint32), generate


def _gemm_with(bits):
    """The call of cblas_sgemm or cblas_dgemm with integers of so many bits, by the dtype of the arrays."""

    @intrinsic
    def call_gemm(typing, address, turns_a, turns_b, m, n, k, A, step_a, B, step_b, C, step_c):
        """`C` (m, n) = A (m, k) @ B (k, n) by the function at `address`.

        `turns_a` and `turns_b` say whether a matrix lies in memory turned over; the steps are from one of its lines
        there to the next.
        """

        def generate(context, builder, signature, arguments):
            address, turns_a, turns_b, m, n, k, a, step_a, b, step_b, c, step_c = arguments
            enum, number, real = ir.IntType(32), ir.IntType(bits), context.get_value_type(C.dtype)
            a, b, c = (
                context.make_array(kind)(context, builder, array).data for kind, array in ((A, a), (B, b), (C, c))
            )
            m, n, k, step_a, step_b, step_c = (
                builder.trunc(value, number) if bits < value.type.width else value
                for value in (m, n, k, step_a, step_b, step_c)
            )
            turn_a, turn_b = (
                builder.select(cgutils.as_bool_bit(builder, turned), enum(TURNED_OVER), enum(AS_IT_IS))
                for turned in (turns_a, turns_b)
            )
            values = [
                enum(ROW_MAJOR), turn_a, turn_b, m, n, k, real(1.0), a, step_a, b, step_b, real(0.0), c, step_c,
            ]  # fmt: skip
            function = ir.FunctionType(ir.VoidType(), [value.type for value in values])
            builder.call(builder.inttoptr(address, function.as_pointer()), values)
            return context.get_dummy_value()

        whole, flag = types.intp, types.boolean
        return types.void(whole, flag, flag, whole, whole, whole, A, whole, B, whole, C, whole), generate

    return call_gemm


call_gemm32, call_gemm64 = _gemm_with(32), _gemm_with(64)
