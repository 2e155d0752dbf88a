"""The section `model`: the network n -> N -> ... -> M, its members and its embeddings."""

from dataclasses import field
from typing import Annotated, Literal

from pydantic import Discriminator

from mlpcli.config.schema.distribution import Distribution
from mlpcli.config.schema.shorthand import COUNTED, named, named_or_text
from mlpcli.nn.initializers import BY_FAN_NAMES, Initializer, InitializerName
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
    """An ensemble of networks, whose predictions are averaged; a number alone is the count."""

    count: Annotated[int, Setting("Number of networks.", ge=1, le=64)] = 1
    rows: Annotated[
        Literal["all", "bootstrap", "folds"],
        Setting(
            "Training rows of each member: all; a bootstrap sample; or all but its own fold, which is then its "
            "validation rows (data.validation may then only say how folds are made: {group}, {time}, {hash} or "
            "{copies})."
        ),
    ] = "all"
    folds: Annotated[
        int | None,
        Setting(
            "Number of folds, if several members are to leave out the same one; null: each member has its own fold.",
            ge=2,
        ),
    ] = None
    repeat_folds: Annotated[
        bool,
        Setting(
            "Repeated k-fold: each round of members (one for each fold) draws its own folds, so that the members of "
            "different rounds have different training rows. There are then no CV+ intervals."
        ),
    ] = False
    views: Annotated[
        Literal["same", "alternate", "cosines", "bins"],
        Setting(
            "How members get numbers: as periodic embeddings (cosines, numeric_embedding), as bins (bins, "
            "preprocess.encoding), or as both (same). alternate: half of the members as periodic embeddings, the other "
            "half as bins, so that their errors are less correlated."
        ),
    ] = "same"
    features: Annotated[
        float,
        Setting(
            "Fraction of the columns that each member sees, drawn at random without replacement: feature bagging, or "
            "random subspaces (Ho 1998). At least one column; a column is seen with all of its inputs or not at all.",
            gt=0,
            le=1,
        ),
    ] = 1.0
    draw: Annotated[
        dict[str, Distribution],
        Setting(
            "Hyperparameters that each member draws from a distribution, by key path: "
            "`model.numeric_embedding.sigma: {log_uniform: [0.05, 10]}`."
        ),
    ] = field(default_factory=dict)
    select: Annotated[
        Literal["all", "greedy"],
        Setting(
            "Which members are kept: all; or those that greedy selection with replacement takes by the loss on the "
            "validation rows, with their weights (Caruana et al. 2004). With folds it selects among rounds of members, "
            "one for each fold, which share their draws."
        ),
    ] = "all"


@options
class Periodic:
    """Cosines of learnt frequencies of each numeric input, projected: PBLD of RealMLP (Holzmüller et al. 2024)."""

    name: Literal["periodic"] = "periodic"
    frequencies: Annotated[int, Setting("Number of cosines for each numeric input.", ge=1, le=4096)] = 16
    outputs: Annotated[int, Setting("Number of outputs of the projection for each numeric input.", ge=1, le=4096)] = 3
    sigma: Annotated[float, Setting("Standard deviation of the initial frequencies.", gt=0)] = 0.1
    min_distinct: Annotated[
        int, Setting("Columns with fewer distinct values in the training rows are not embedded.", ge=0)
    ] = 0


@options
class CategoryEmbedding:
    """Learnt embedding of the levels of a categorical column, merged into the first layer after training."""

    size: Annotated[int, Setting("Embedding size of each level.", ge=1, le=1024)] = 8
    above: Annotated[int, Setting("Columns with more one-hot inputs than this are embedded.", ge=1)] = 8


@options
class ModelConfig:
    """The network n -> N -> ... -> M."""

    layers: Annotated[
        tuple[Literal["auto"] | Layer, ...],
        Setting("Layer sizes from inputs to outputs; auto at either end is taken from the data."),
    ] = ("auto", 64, 64, "auto")
    activation: Annotated[
        HiddenActivation | tuple[HiddenActivation, ...],
        Setting("Activation of the hidden layers, or a list with one for each."),
    ] = "relu"
    output_activation: Annotated[
        OutputActivation, Setting("Activation of the output layer; auto is the canonical one of the loss.")
    ] = "auto"
    initializer: Annotated[
        InitializerName | Annotated[Initializer, Discriminator("name")],
        named_or_text("auto", *BY_FAN_NAMES),
        Setting("Initialization of the weights; auto depends on the activation."),
    ] = "auto"
    output_bias: Annotated[
        Literal["auto", "initializer"],
        Setting(
            "Initial biases of the output layer: auto adds the constant prediction of least loss (mean, median, "
            "quantile, log of the mean for poisson, log frequencies of the classes) to what the initializer draws; "
            "initializer adds nothing."
        ),
    ] = "auto"
    dropout: Annotated[
        float, Setting("Fraction of hidden neurons that are dropped at each training step.", ge=0, lt=1)
    ] = 0.0
    members: Annotated[Members, COUNTED, Setting("Ensemble: networks that are trained separately and averaged.")] = (
        Members()
    )
    parametrization: Annotated[
        Literal["standard", "ntk"],
        Setting(
            "ntk (neural tangent kernel): learning rates are scaled by layer width, so that one learning rate suits "
            "every width."
        ),
    ] = "standard"
    scale_inputs: Annotated[
        bool, Setting("A learnt factor for each input, merged into the first layer after training.")
    ] = False
    numeric_embedding: Annotated[
        Periodic | None,
        named("periodic"),
        Setting("Learnt periodic embedding of each numeric input, besides the input itself."),
    ] = None
    category_embedding: Annotated[
        CategoryEmbedding | None,
        Setting("Learnt embedding of categorical columns with many levels, in place of one-hot inputs."),
    ] = None
    learn_slopes: Annotated[
        bool, Setting("Parametric activation of each hidden neuron: a learnt mix of z and f(z).")
    ] = False
    layer_norm: Annotated[bool, Setting("Layer normalization of each hidden layer.")] = False
    residual: Annotated[
        bool,
        Setting(
            "Residual connections: hidden layers after the first add their input to their output, where the sizes "
            "agree."
        ),
    ] = False
