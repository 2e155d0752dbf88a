"""The layers of a perceptron from what a config asks for."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mlpcli.nn.activations import ACTIVATIONS
from mlpcli.nn.chain import AnyLayer, Residual
from mlpcli.nn.initializers import ByFan, Initializer
from mlpcli.nn.layers import Activation, Dense, Dropout, LayerNorm


@dataclass(frozen=True)
class HiddenSpec:
    """What hidden layers are made of, beside their sizes; `start` "auto" goes by the activation."""

    start: Initializer | str = "auto"
    dropout: float = 0.0
    is_learnt: bool = False
    is_normalized: bool = False
    is_residual: bool = False


def perceptron(
    n_in: int, hidden: Sequence[int], n_out: int, activations: Sequence[str], output: str, spec: HiddenSpec
) -> tuple[AnyLayer, ...]:
    """Dense, normalization, activation, dropout for each hidden size, and the Dense that makes the logits.

    `activations` is one for each hidden layer; `n_in` what goes into the first one. A hidden layer adds its input where
    the widths agree, but never the first, whose inputs may be scaled.
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
    """How the weights below an activation begin; only those of the last layer may begin at zero, without bias noise."""
    if isinstance(start, str):
        name = ACTIVATIONS[function].initializer if function in ACTIVATIONS else "glorot_uniform"
        return ByFan(name=name if start == "auto" else start)  # type: ignore[arg-type]
    if isinstance(start, ByFan):
        return replace(start, bias_scale=0.0) if is_last else replace(start, zero_last=False)
    return start
