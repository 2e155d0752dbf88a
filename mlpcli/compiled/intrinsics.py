"""LLVM intrinsics for compiled loops: calls of C functions by address, and atomic counters."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from mlpcli.compiled.codes import NO_TRANS, ROW_MAJOR, TRANS

WORD_BYTES = 8


def _item(context, builder, array_type, array, index):
    """Pointer to an item of a contiguous array."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [index])


@intrinsic
def atomic_add(typing, array, index, value):
    """Atomically add to an int64 counter and return its previous value (acquire-release order)."""

    def generate(context, builder, signature, arguments):
        place = _item(context, builder, signature.args[0], *arguments[:2])
        return builder.atomic_rmw("add", place, arguments[2], "acq_rel")

    return types.int64(array, types.int64, types.int64), generate


@intrinsic
def atomic_load(typing, array, index):
    """Atomically read an int64 counter (acquire order)."""

    def generate(context, builder, signature, arguments):
        place = _item(context, builder, signature.args[0], *arguments)
        return builder.load_atomic(place, "acquire", WORD_BYTES)

    return types.int64(array, types.int64), generate


@intrinsic
def call_sleep(typing, address):
    """Call the function at `address` with 0: a uint32, the duration of the sleep."""

    def generate(context, builder, signature, arguments):
        kind = ir.FunctionType(ir.IntType(32), [ir.IntType(32)]).as_pointer()
        builder.call(builder.inttoptr(arguments[0], kind), [ir.IntType(32)(0)])
        return context.get_dummy_value()

    return types.void(types.intp), generate


def _gemm_with(bits):
    """An intrinsic that calls cblas_sgemm or cblas_dgemm, by the dtype of the arrays, with integers of `bits` bits."""

    @intrinsic
    def call_gemm(typing, address, trans_a, trans_b, m, n, k, A, lda, B, ldb, C, ldc, adds):
        """`C` (m, n) = A (m, k) @ B (k, n), all row-major, by the cblas function at `address`; `adds`: C += A @ B.

        `trans_a`: A is stored as (k, m); `trans_b`: B is stored as (n, k). `lda`, `ldb`, `ldc`: leading dimensions.
        """

        def generate(context, builder, signature, arguments):
            address, trans_a, trans_b, m, n, k, a, lda, b, ldb, c, ldc, adds = arguments
            enum, number, real = ir.IntType(32), ir.IntType(bits), context.get_value_type(C.dtype)
            a, b, c = (
                context.make_array(kind)(context, builder, array).data for kind, array in ((A, a), (B, b), (C, c))
            )
            m, n, k, lda, ldb, ldc = (
                builder.trunc(value, number) if bits < value.type.width else value for value in (m, n, k, lda, ldb, ldc)
            )
            op_a, op_b = (
                builder.select(cgutils.as_bool_bit(builder, is_transposed), enum(TRANS), enum(NO_TRANS))
                for is_transposed in (trans_a, trans_b)
            )
            beta = builder.select(cgutils.as_bool_bit(builder, adds), real(1.0), real(0.0))
            values = [
                enum(ROW_MAJOR), op_a, op_b, m, n, k, real(1.0), a, lda, b, ldb, beta, c, ldc,
            ]  # fmt: skip
            function = ir.FunctionType(ir.VoidType(), [value.type for value in values])
            builder.call(builder.inttoptr(address, function.as_pointer()), values)
            return context.get_dummy_value()

        integer, boolean = types.intp, types.boolean
        return types.void(
            integer, boolean, boolean, integer, integer, integer, A, integer, B, integer, C, integer, boolean
        ), generate

    return call_gemm


call_gemm32, call_gemm64 = _gemm_with(32), _gemm_with(64)
