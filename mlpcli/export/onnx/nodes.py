"""Builder for the nodes of an ONNX graph; values are referred to by name, and their types are recorded."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

# Operators with a boolean result.
_PREDICATES = frozenset({"Less", "Greater", "LessOrEqual", "GreaterOrEqual", "Equal", "IsNaN", "Not", "And", "Or"})


class Nodes:
    """Inputs, constants, nodes and outputs of a graph; `dtype` is the type of the weights."""

    def __init__(self, onnx: Any, dtype: str) -> None:
        self._onnx, self.dtype = onnx, np.dtype(dtype)
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self._types: dict[str, np.dtype[Any]] = {}
        self._known: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def add(self, operator: str, *arguments: str, domain: str = "", **attributes: Any) -> str:
        """Add a node; returns the name of its result."""
        name = f"v{len(self.nodes) + 1}"
        self.nodes.append(self._onnx.helper.make_node(operator, [*arguments], [name], domain=domain, **attributes))
        if operator in _PREDICATES:
            dtype: np.dtype[Any] = np.dtype(np.bool_)
        elif operator == "Cast":
            dtype = np.dtype(self._onnx.helper.tensor_dtype_to_np_dtype(attributes["to"]))
        elif operator == "ArgMax":
            dtype = np.dtype(np.int64)
        elif operator == "LabelEncoder":
            dtype = np.dtype(np.int64 if "values_int64s" in attributes else np.float32)
        else:
            dtype = self._types[arguments[1 if operator == "Where" else 0]]
        self._types[name] = dtype
        return name

    def const(self, values: NDArray[Any]) -> str:
        """The name of a constant; equal constants are stored once."""
        key = (
            values.dtype.str,
            values.shape,
            repr(values.tolist()).encode() if values.dtype == object else values.tobytes(),
        )
        if key not in self._known:
            name = self._known[key] = f"c{len(self.constants) + 1}"
            self.constants.append(self._onnx.numpy_helper.from_array(values, name))
            self._types[name] = values.dtype
        return self._known[key]

    def weights(self, values: Any) -> str:
        """A constant in the precision of the weights."""
        return self.const(np.ascontiguousarray(values, self.dtype))

    def numbers(self, values: Any) -> str:
        """A constant in double precision."""
        return self.const(np.ascontiguousarray(values, np.float64))

    def like(self, value: float, other: str) -> str:
        """A constant of the type of another value."""
        return self.const(np.asarray(value, self._types[other]))

    def double(self, value: str) -> str:
        """A value, cast to double precision."""
        return value if self.dtype_of(value) == np.float64 else self.add("Cast", value, to=self.type_of(np.float64))

    def column(self, matrix: str, index: int) -> str:
        """A column of a matrix (n_rows, 1)."""
        return self.add("Gather", matrix, self.const(np.asarray([index])), axis=1)

    def columns(self, matrix: str, first: int, n_columns: int) -> str:
        """Consecutive columns of a matrix (n_rows, n_columns)."""
        return self.add("Gather", matrix, self.const(np.arange(first, first + n_columns)), axis=1)

    def sort(self, matrix: str, width: int) -> tuple[str, str]:
        """The sorted numbers of each row of a matrix (n_rows, width), and the indices that sort them."""
        ordered, n = self.add("TopK", matrix, self.const(np.asarray([width])), axis=1, largest=0), len(self.nodes)
        order = f"v{n}_order"
        self.nodes[-1].output.append(order)
        self._types[order] = np.dtype(np.int64)
        return ordered, order

    def dtype_of(self, value: str) -> np.dtype[Any]:
        """The type of a value."""
        return self._types[value]

    def type_of(self, dtype: DTypeLike) -> int:
        """The ONNX code of a type."""
        return int(self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def input(self, name: str, dtype: DTypeLike) -> str:
        """A graph input for a column of the table (n_rows, 1); returns its name."""
        if any(one.name == name for one in self.inputs):
            return name
        self.inputs.append(self._onnx.helper.make_tensor_value_info(name, self.type_of(dtype), ["rows", 1]))
        self._types[name] = np.dtype(dtype)
        return name

    def output(self, name: str, value: str, dtype: DTypeLike, shape: Sequence[int | None]) -> None:
        """Make a value a graph output; None in `shape` is the number of rows."""
        self.nodes.append(self._onnx.helper.make_node("Identity", [value], [name]))
        sizes = ["rows" if size is None else size for size in shape]
        self.outputs.append(self._onnx.helper.make_tensor_value_info(name, self.type_of(dtype), sizes))
