"""Networks in C: one function each, whose layers alternate between two buffers."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mlpcli.export.c.names import declared, floats

Layer = Mapping[str, Any]


class Networks:
    """`text` has the functions of all networks and their weights, `names` the names of the functions.

    `factors` multiply the outputs of networks that count more than once in the mean. A sigmoid output is left to the
    caller, who computes it in double precision: near 1 float32 loses the digits of 1 - a.
    """

    def __init__(self, networks: Sequence[Mapping[str, Any]], n_in: int) -> None:
        self._arrays: list[str] = []
        self.names = [f"network_{number}" for number in range(1, len(networks) + 1)]
        self.factors = [f"{float(one['count'])!r} * " if one["count"] > 1 else "" for one in networks]
        written = [self._function(name, network, n_in) for name, network in zip(self.names, networks, strict=True)]
        self.n_out = written[0][1]
        self.text = "".join(self._arrays) + "".join(f"\n{text}" for text, _ in written)

    def _function(self, name: str, network: Mapping[str, Any], n_in: int) -> tuple[str, int]:
        """A function and its number of outputs."""
        function = _Function(self, name, n_in)
        function.chain(network["layers"])
        if network["output"] == "softmax":
            function.softmax()
        elif network["output"] not in ("identity", "sigmoid"):
            function.activation({"function": network["output"], "slope": None})
        return function.text(), function.width

    def array(self, kind: str, items: Iterable[str]) -> str:
        """Define an array; returns its name."""
        name = f"array_{len(self._arrays) + 1}"
        self._arrays.append(declared(f"static const {kind} {name}", list(items)))
        return name


class _Function:
    """The function of one network: the buffer of the current values, their number, and the lines so far."""

    def __init__(self, owner: Networks, name: str, n_in: int) -> None:
        self._owner, self._name = owner, name
        self._here, self.width, self._max_width = "x", n_in, 1
        self._lines: list[str] = []
        self._n_skips = 0

    def text(self) -> str:
        """The source of the function."""
        lines = [*self._lines, f"memcpy(out, {self._here}, {self.width} * sizeof *out);"]
        buffers = [name for name in ("a", "b") if any(_uses(line, name) for line in lines)]
        declarations = [f"float {name}[{self._max_width}];" for name in buffers]
        declarations += ["int i;"] if any("(i = 0" in line for line in lines) else []
        body = "".join(f"    {line}\n" for line in [*declarations, *lines])
        return f"static void {self._name}(const float *x, float *out)\n{{\n{body}}}\n"

    def chain(self, layers: Iterable[Layer]) -> None:
        """Append the lines of layers in order."""
        for layer in layers:
            getattr(self, layer["layer"])(layer)

    def dense(self, layer: Layer) -> None:
        """W x + b with weights in input-major order, so that the compiler vectorizes over outputs."""
        n_in, n_out = self.width, len(layer["W"])
        weights = self._owner.array("float", floats(w for column in zip(*layer["W"], strict=True) for w in column))
        biases = self._owner.array("float", floats(layer["b"] or [0.0] * n_out))
        there = self._other(n_out)
        self._lines.append(f"dense({self._here}, {n_in}, {weights}, {biases}, {n_out}, {there});")
        self._go(there, n_out)

    def activation(self, layer: Layer) -> None:
        """f(z), in place unless it has slopes."""
        function, slope = layer["function"], layer["slope"]
        if function == "identity":
            return
        there = self._here if slope is None and self._here != "x" else self._other(self.width)
        loop = f"for (i = 0; i < {self.width}; i++)\n        {there}[i] = f_{function}({self._here}[i]);"
        self._lines.append(loop)
        if slope is not None:
            slopes = self._owner.array("float", floats(slope))
            self._lines.append(f"sloped({self._here}, {slopes}, {self.width}, {there});")
        self._go(there, self.width)

    def softmax(self, layer: Layer | None = None) -> None:
        """exp(z) / sum(exp(z))."""
        self._own()
        self._lines.append(f"softmax({self.width}, {self._here});")

    def layer_norm(self, layer: Layer) -> None:
        """Layer normalization, in place."""
        self._own()
        gain, shift = (self._owner.array("float", floats(layer[name])) for name in ("gain", "shift"))
        self._lines.append(f"layer_norm({gain}, {shift}, {self.width}, {layer['epsilon']!r}, {self._here});")

    def scale(self, layer: Layer) -> None:
        """x times a factor for each input, in place."""
        self._own()
        factors = self._owner.array("float", floats(layer["factors"]))
        self._lines.append(f"scaled({factors}, {self.width}, {self._here});")

    def select(self, layer: Layer) -> None:
        """The values at the indices."""
        self._select(layer["indices"], self._other(len(layer["indices"])))

    def _select(self, indices: Sequence[int], there: str) -> None:
        name = self._owner.array("int", map(str, indices))
        self._lines.append(f"selected({self._here}, {name}, {len(indices)}, {there});")
        self._go(there, len(indices))

    def periodic(self, layer: Layer) -> None:
        """x, followed by the periodic embeddings of some columns."""
        n_columns, n_waves, n_out = len(layer["columns"]), len(layer["phase"][0]), len(layer["offset"][0])
        there = self._other(self.width + n_columns * n_out)
        columns = self._owner.array("int", map(str, layer["columns"]))
        frequency, phase, offset = (
            self._owner.array("float", floats(v for row in layer[name] for v in row))
            for name in ("frequency", "phase", "offset")
        )
        mixing = self._owner.array("float", floats(v for table in layer["mixing"] for row in table for v in row))
        self._lines.append(
            f"periodic({self._here}, {self.width}, {columns}, {n_columns}, {frequency}, {phase}, {n_waves}, {mixing}, "
            f"{offset}, {n_out}, {there});"
        )
        self._go(there, self.width + n_columns * n_out)

    def embed(self, layer: Layer) -> None:
        """The passthrough values, followed by the embedding of each category."""
        kept, size = layer["kept"], len(layer["tables"][0][0])
        width = len(kept) + size * len(layer["tables"])
        here, there, end = self._here, self._other(width), len(kept)
        if kept:
            self._select(kept, there)
        for first, table in zip(layer["firsts"], layer["tables"], strict=True):
            name = self._owner.array("float", floats(v for row in table for v in row))
            self._lines.append(f"embedded({here} + {first}, {name}, {len(table)}, {size}, {there} + {end});")
            end += size
        self._go(there, width)

    def residual(self, layer: Layer) -> None:
        """x plus the layers of x."""
        self._n_skips += 1
        skip, width = f"skip_{self._n_skips}", self.width
        self._lines += [f"float {skip}[{width}];", f"memcpy({skip}, {self._here}, {width} * sizeof *{skip});"]
        self.chain(layer["layers"])
        self._lines.append(f"added({skip}, {width}, {self._here});")

    def _own(self) -> None:
        """Copy the values to a buffer if they are still the read-only input."""
        if self._here == "x":
            there = self._other(self.width)
            self._lines.append(f"memcpy({there}, x, {self.width} * sizeof *x);")
            self._go(there, self.width)

    def _other(self, width: int) -> str:
        self._max_width = max(self._max_width, width)
        return "b" if self._here == "a" else "a"

    def _go(self, there: str, width: int) -> None:
        self._here, self.width = there, width


def _uses(line: str, name: str) -> bool:
    """Whether a line mentions a buffer."""
    return any(f"{before}{name}{after}" in line for before in "( " for after in ",[); ")
