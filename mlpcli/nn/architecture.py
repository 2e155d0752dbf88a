"""The shape of a perceptron: its sizes, the parts that stand beside its layers, and the tensors they are made of.

Plain layers are `z = Wx + b, a = f(z)`. Beside them may stand a front (embeddings of numbers and of categories, a
factor for each input), slopes of the activation that are learnt, layer normalization, and connections around hidden
layers. `members` is how many such networks are trained side by side and averaged.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Annotated, Literal

from mlpcli.options import Setting, options

Kind = Literal["weights", "biases", "scale", "slopes", "norm", "periodic", "embedding"]
KINDS: tuple[Kind, ...] = ("weights", "biases", "scale", "slopes", "norm", "periodic", "embedding")

# Beyond any memory; a larger number comes from a damaged file.
MOST = 1 << 60


@options
class Periodic:
    """Each number also as cosines of learnt frequencies, mixed down: PBLD of RealMLP (Holzmueller et al. 2024)."""

    name: Literal["periodic"] = "periodic"
    frequencies: Annotated[int, Setting("Cosines of each number.", ge=1, le=4096)] = 16
    outputs: Annotated[int, Setting("Inputs made of the cosines of a number, beside it.", ge=1, le=4096)] = 3
    sigma: Annotated[float, Setting("Deviation of the initial frequencies: how quickly inputs may wiggle.", gt=0)] = 0.1
    min_distinct: Annotated[int, Setting("Columns with fewer distinct training values get no cosines.", ge=0)] = 0


@dataclass(frozen=True)
class Front:
    """What stands between the inputs and the first layer; nothing, by default.

    `numbers` are the inputs that `periodic` takes, `blocks` the (start, stop) of one-hot inputs that are replaced by
    `embedding` learnt numbers each; `is_scaled` says that every entry to the first layer has a learnt factor. Where
    `sees_cosines` (members,) is given, a member sees the cosines but not the `bins`, the (start, stop) of inputs that
    say the same in another way, or the other way round: what they get wrong then differs. What none of the members
    sees is no entry to the first layer; what only some see takes groups of members, see `nn.groups`.
    """

    is_scaled: bool = False
    periodic: Periodic | None = None
    numbers: tuple[int, ...] = ()
    blocks: tuple[tuple[int, int], ...] = ()
    embedding: int = 0
    bins: tuple[int, int] = (0, 0)
    sees_cosines: tuple[bool, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether the inputs go to the first layer as they are."""
        return not (self.is_scaled or self.numbers or self.blocks)

    @property
    def has_cosines(self) -> bool:
        """Whether a member sees cosines."""
        is_seen = not self.sees_cosines or any(self.sees_cosines)
        return self.periodic is not None and bool(self.numbers) and is_seen

    @property
    def n_periodic(self) -> int:
        """Entries made of cosines."""
        return len(self.numbers) * self.periodic.outputs if self.periodic is not None and self.has_cosines else 0

    def kept(self, n_inputs: int) -> tuple[int, ...]:
        """The inputs that go to the first layer as they are."""
        ranges = [*self.blocks, self.bins] if self.sees_cosines and all(self.sees_cosines) else self.blocks
        left_out = {index for start, stop in ranges for index in range(start, stop)}
        return tuple(index for index in range(n_inputs) if index not in left_out)

    def width(self, n_inputs: int) -> int:
        """Entries to the first layer: inputs as they are, then what comes of numbers, then the embeddings."""
        return len(self.kept(n_inputs)) + self.n_periodic + len(self.blocks) * self.embedding


@dataclass(frozen=True)
class Network:
    """The shape of a perceptron; with `Parameters` it is the whole function.

    `sizes` n -> N -> ... -> M; `activation` for hidden layers and `output_activation` are keys of ACTIVATIONS;
    `dropout` is the share of hidden neurons switched off in each training step. With `learns_slopes` a hidden layer
    gives z + s (f(z) - z), s being learnt for each neuron; with `is_normalized` its W h has mean 0 and variance 1 over
    the neurons of a row, times a learnt gain, before the bias; with `is_residual` it adds what came in, where the
    sizes agree.
    """

    sizes: tuple[Annotated[int, Setting("Entries or neurons.", le=MOST)], ...]
    activation: str
    output_activation: str
    dropout: Annotated[float, Setting("Share of hidden neurons switched off.", ge=0, lt=1)] = 0.0
    members: Annotated[int, Setting("Networks side by side.", le=MOST)] = 1
    front: Front = Front()
    learns_slopes: bool = False
    is_normalized: bool = False
    is_residual: bool = False

    @property
    def n_layers(self) -> int:
        """Layers with weights."""
        return len(self.sizes) - 1

    @property
    def widths(self) -> tuple[int, ...]:
        """Entries to each layer, and the outputs: `sizes`, but for what the front makes of the inputs."""
        return (self.front.width(self.sizes[0]), *self.sizes[1:])

    @property
    def is_plain(self) -> bool:
        """Whether it is one network of layers and nothing else."""
        has_more = self.learns_slopes or self.is_normalized or self.is_residual
        return self.members == 1 and self.front.is_empty and not has_more

    def part(self, members: Sequence[int]) -> "Network":
        """Some of the members as a network of their own."""
        own = tuple(self.front.sees_cosines[member] for member in members if self.front.sees_cosines)
        return replace(self, members=len(members), front=replace(self.front, sees_cosines=own))

    def member(self, number: int) -> "Network":
        """One member as a network of its own."""
        return self.part((number,))

    def activation_of(self, layer: int) -> str:
        """Name of the activation behind layer `layer` (from 0)."""
        return self.output_activation if layer == self.n_layers - 1 else self.activation

    def adds_input(self, layer: int) -> bool:
        """Whether hidden layer `layer` adds what came in; never the first, whose inputs may be folded away."""
        widths = self.widths
        return self.is_residual and 0 < layer < self.n_layers - 1 and widths[layer] == widths[layer + 1]


@dataclass(frozen=True)
class Tensor:
    """One array of the parameters: its name, the shape it has in one member, and what kind of parameter it is."""

    name: str
    shape: tuple[int, ...]
    kind: Kind

    @property
    def fan_in(self) -> int:
        """Inputs of each neuron, for a matrix of weights."""
        return self.shape[-1]


def tensors(network: Network) -> tuple[Tensor, ...]:
    """Every array of the parameters, in the order in which they lie: weights first, then biases, then the rest."""
    widths, n_hidden, front = network.widths, network.n_layers - 1, network.front
    found = [Tensor(f"W{layer}", (n_out, n_in), "weights") for layer, (n_in, n_out) in enumerate(pairwise(widths), 1)]
    found += [Tensor(f"b{layer}", (n_out,), "biases") for layer, n_out in enumerate(widths[1:], 1)]
    if front.is_scaled:
        found.append(Tensor("scale", (widths[0],), "scale"))
    if network.learns_slopes:
        found += [Tensor(f"slope{layer}", (widths[layer],), "slopes") for layer in range(1, n_hidden + 1)]
    if network.is_normalized:
        found += [Tensor(f"gain{layer}", (widths[layer],), "norm") for layer in range(1, n_hidden + 1)]
    if front.periodic is not None and front.has_cosines:
        n, cosines, mixed = len(front.numbers), front.periodic.frequencies, front.periodic.outputs
        found += [Tensor("frequency", (n, cosines), "periodic"), Tensor("phase", (n, cosines), "periodic")]
        found += [Tensor("mixing", (n, cosines, mixed), "periodic"), Tensor("offset", (n, mixed), "periodic")]
    for number, (start, stop) in enumerate(front.blocks, 1):
        found.append(Tensor(f"table{number}", (stop - start, front.embedding), "embedding"))
    return tuple(found)
