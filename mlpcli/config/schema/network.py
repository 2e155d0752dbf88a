"""The section `model`: the network n -> N -> ... -> M, its members, and how numbers and categories enter it."""

from typing import Annotated, Literal

from pydantic import Discriminator

from mlpcli.config.schema.shorthand import COUNTED, named, named_or_text
from mlpcli.nn.initializers import VARIANCE_SCALINGS, Initializer, InitializerName
from mlpcli.options import Setting, options

HiddenActivation = Literal[
    "identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "softplus", "silu", "gelu", "mish"
]
OutputActivation = Literal[
    "auto", "identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "softplus", "silu", "gelu", "mish",
    "exp", "softmax",
]  # fmt: skip
Layer = Annotated[int, Setting("Neurons of a layer.", ge=1, le=1_000_000)]


@options
class Members:
    """Networks trained side by side, whose answers are averaged; a number alone is the count."""

    count: Annotated[int, Setting("How many networks.", ge=1, le=64)] = 1
    rows: Annotated[
        Literal["all", "bootstrap", "folds"],
        Setting(
            "What each trains on: all rows; as many drawn with replacement; all but its own fold, which then serves as "
            "validation rows (data.validation may only say how: {group}, {time}, {hash} or {copies})."
        ),
    ] = "all"
    folds: Annotated[
        int | None,
        Setting("Folds that members leave out, where several are to share one; null gives each its own.", ge=2),
    ] = None
    views: Annotated[
        Literal["same", "alternate"],
        Setting(
            "alternate: half of the members see numbers as learnt cosines (numeric_embedding), the others as bins "
            "(preprocess.encoding), so that their errors differ."
        ),
    ] = "same"


@options
class Periodic:
    """Each number also as cosines of learnt frequencies, mixed down: PBLD of RealMLP (Holzmueller et al. 2024)."""

    name: Literal["periodic"] = "periodic"
    frequencies: Annotated[int, Setting("Cosines of each number.", ge=1, le=4096)] = 16
    outputs: Annotated[int, Setting("Inputs made of the cosines of a number, beside it.", ge=1, le=4096)] = 3
    sigma: Annotated[float, Setting("Deviation of the initial frequencies: how quickly inputs may wiggle.", gt=0)] = 0.1
    min_distinct: Annotated[int, Setting("Columns with fewer distinct training values get no cosines.", ge=0)] = 0


@options
class CategoryEmbedding:
    """A column with many levels enters as a few learnt numbers; at the end these become plain weights."""

    size: Annotated[int, Setting("Learnt numbers of each level.", ge=1, le=1024)] = 8
    above: Annotated[int, Setting("Columns with more one-hot inputs than this are embedded.", ge=1)] = 8


@options
class ModelConfig:
    """The network n -> N -> ... -> M."""

    layers: Annotated[
        tuple[Literal["auto"] | Layer, ...],
        Setting("Sizes from inputs to outputs; auto at either end comes from the data."),
    ] = ("auto", 64, 64, "auto")
    activation: Annotated[
        HiddenActivation | tuple[HiddenActivation, ...],
        Setting("Activation of the hidden layers; a list has one for each of them."),
    ] = "relu"
    output_activation: Annotated[
        OutputActivation, Setting("Activation of the last layer; auto is the loss's canonical partner.")
    ] = "auto"
    initializer: Annotated[
        InitializerName | Annotated[Initializer, Discriminator("name")],
        named_or_text("auto", *VARIANCE_SCALINGS),
        Setting("How weights start; auto goes by the activation."),
    ] = "auto"
    output_bias: Annotated[
        Literal["auto", "initializer"],
        Setting(
            "How the biases of the last layer start: auto adds to what the initializer draws the constant answer of "
            "least loss (mean, median, quantile, log of the mean for poisson, log shares of the classes); initializer "
            "adds nothing."
        ),
    ] = "auto"
    dropout: Annotated[float, Setting("Fraction of hidden neurons switched off at each training step.", ge=0, lt=1)] = (
        0.0
    )
    members: Annotated[Members, COUNTED, Setting("Networks trained side by side and averaged.")] = Members()
    parametrization: Annotated[
        Literal["standard", "ntk"],
        Setting("ntk slows the weights of wide layers, so that one learning rate suits every width."),
    ] = "standard"
    scale_inputs: Annotated[bool, Setting("A learnt factor for each input; at the end it becomes plain weights.")] = (
        False
    )
    numeric_embedding: Annotated[
        Periodic | None, named("periodic"), Setting("Learnt cosines of each number, beside the number.")
    ] = None
    category_embedding: Annotated[
        CategoryEmbedding | None, Setting("Learnt numbers in place of many one-hot inputs.")
    ] = None
    learn_slopes: Annotated[bool, Setting("A learnt share of the activation for each hidden neuron.")] = False
    layer_norm: Annotated[bool, Setting("Layer normalization in each hidden layer.")] = False
    residual: Annotated[bool, Setting("Hidden layers behind the first add what comes in, where sizes agree.")] = False
