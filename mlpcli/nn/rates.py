"""How fast each kind of parameter learns: factors of the learning rate, and the NTK parametrization as such factors."""

from math import prod, sqrt
from typing import Annotated

from mlpcli.nn.architecture import Network, Tensor, tensors
from mlpcli.nn.blocks import Stretch
from mlpcli.nn.optimizers import SGD, Optimizer
from mlpcli.options import Setting, options


@options
class Rates:
    """Factors of the learning rate by kind of parameter."""

    weights: Annotated[float, Setting("Of the weights.", ge=0)] = 1.0
    biases: Annotated[float, Setting("Of the biases.", ge=0)] = 1.0
    scale: Annotated[float, Setting("Of the factors in front of the inputs.", ge=0)] = 1.0
    slopes: Annotated[float, Setting("Of the learnt slopes of activations.", ge=0)] = 1.0
    norm: Annotated[float, Setting("Of gain and shift of layer normalization.", ge=0)] = 1.0
    periodic: Annotated[float, Setting("Of the cosines made of numbers.", ge=0)] = 1.0
    embedding: Annotated[float, Setting("Of the embeddings of categories.", ge=0)] = 1.0


def stretches(network: Network, optimizer: Optimizer, rates: Rates, is_ntk: bool) -> tuple[Stretch, ...]:
    """The flat vector in parts of one rate each; neighbours that are alike are one part."""
    found: list[Stretch] = []
    start = 0
    for tensor in tensors(network):
        stop = start + network.members * prod(tensor.shape)
        rate: float = getattr(rates, tensor.kind)
        slowing, epsilon = _ntk(tensor, optimizer) if is_ntk else (1.0, 1.0)
        factors = (rate * slowing, rate, epsilon)
        last = found[-1] if found else None
        if last is not None and (last.rate, last.decay_rate, last.epsilon) == factors:
            found[-1] = Stretch(last.start, stop, *factors)
        else:
            found.append(Stretch(start, stop, *factors))
        start = stop
    return tuple(found)


def _ntk(tensor: Tensor, optimizer: Optimizer) -> tuple[float, float]:
    """Factors of rate and epsilon that make plain weights w = v / sqrt(fan_in) move as v would (Jacot et al. 2018).

    The gradient of v is that of w over sqrt(fan_in). Steps that divide by the size of the gradient lose this factor, so
    w moves 1 / sqrt(fan_in) as far as v; plain gradient steps keep it, which makes 1 / fan_in.
    """
    if tensor.kind != "weights":
        return 1.0, 1.0
    if isinstance(optimizer, SGD):
        return 1.0 / tensor.fan_in, 1.0
    return 1.0 / sqrt(tensor.fan_in), sqrt(tensor.fan_in)
