"""Build the layers of a perceptron from the options of a config."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mlpcli.nn.activations import ACTIVATIONS
from mlpcli.nn.chain import AnyLayer, Residual
from mlpcli.nn.initializers import ByFan, Initializer
from mlpcli.nn.layers import Activation, Dense, Dropout, LayerNorm


@dataclass(frozen=True)
class HiddenSpec:
    """Options of hidden layers, except their sizes; `start` "auto" selects an initializer by the activation."""

    start: Initializer | str = "auto"
    dropout: float = 0.0
    is_learnt: bool = False
    is_normalized: bool = False
    is_residual: bool = False


def perceptron(
    n_in: int, hidden: Sequence[int], n_out: int, activations: Sequence[str], output: str, spec: HiddenSpec
) -> tuple[AnyLayer, ...]:
    """Dense, normalization, activation and dropout for each hidden size, then the Dense of the logits.

    `activations` has one for each hidden layer; `n_in` is the width of the first one's input. With residual
    connections, every hidden layer but the first adds its input if the widths are equal.
    """
    layers, below = list[AnyLayer](), n_in
    for number, (width, function) in enumerate(zip(hidden, activations, strict=True)):
        block: list[AnyLayer] = [
            Dense(width=width, has_bias=not spec.is_normalized, start=_start(spec.start, function, is_last=False))
        ]
        block += [LayerNorm()] if spec.is_normalized else []
        block.append(Activation(function=function, is_learnt=spec.is_learnt))
        block += [Dropout(rate=spec.dropout, stream=number)] if spec.dropout else []
        layers += [Residual(layers=tuple(block))] if spec.is_residual and number and width == below else block
        below = width
    return (*layers, Dense(width=n_out, start=_start(spec.start, output, is_last=True)))


def _start(start: Initializer | str, function: str, is_last: bool) -> Initializer:
    """The initializer of the Dense before an activation: `zero_last` only in the last layer, `bias_scale` in others."""
    if isinstance(start, str):
        name = ACTIVATIONS[function].initializer if function in ACTIVATIONS else "glorot_uniform"
        return ByFan(name=name if start == "auto" else start)  # type: ignore[arg-type]
    if isinstance(start, ByFan):
        return replace(start, bias_scale=0.0) if is_last else replace(start, zero_last=False)
    return start
