"""The config: what may stand in the YAML file, section by section, with defaults and bounds.

Most parts are the very dataclasses that compute (`nn.optimizers`, `data.numeric`, ...). A union of parts is told apart
by `name`; its short form is the name alone (`optimizer: adam`), and a mapping without a name means the default part.
"""

import re
from dataclasses import field
from typing import Annotated, Literal

from pydantic import Discriminator

from mlpcli.config.schema.data import DataConfig, PreprocessConfig
from mlpcli.config.schema.intervals import IntervalsConfig
from mlpcli.config.schema.network import ModelConfig
from mlpcli.config.schema.search import SearchConfig
from mlpcli.config.schema.shorthand import LISTED, named, named_or_text
from mlpcli.evaluation.metrics import METRICS
from mlpcli.nn.averaging import Averaging
from mlpcli.nn.losses import Loss
from mlpcli.nn.optimizers import SGD, Optimizer
from mlpcli.nn.schedules import Constant, Schedule
from mlpcli.nn.steps import Multipliers
from mlpcli.options import Setting, options

UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}

Task = Literal["auto", "classification", "regression", "multilabel"]
TrackerName = Literal["tensorboard", "mlflow"]


@options
class EarlyStopping:
    """Which epoch is kept, and when to stop waiting for a better one."""

    metric: Annotated[
        str,
        Setting(
            "Metric on the validation rows; loss is the validation loss; auto goes by the task.",
            examples=("auto", "loss", *METRICS),
        ),
    ] = "auto"
    patience: Annotated[int | None, Setting("Epochs without gain before stopping; null never stops early.", ge=1)] = (
        None
    )
    patience_factor: Annotated[
        float,
        Setting(
            "Lets patience grow: training stops at epoch patience_factor times the best one plus patience. 2 suits the "
            "doubling cycles of coslog.",
            ge=1,
        ),
    ] = 1.0
    min_gain: Annotated[float, Setting("Smallest change that counts as a gain.", ge=0)] = 0.0
    at: Annotated[
        Literal["every_epoch", "cycle_ends"],
        Setting(
            "When validation rows are scored: after every epoch, or where the schedule comes to rest (the ends of "
            "coslog's cycles, before step's drops, and the last epoch)."
        ),
    ] = "every_epoch"
    ties: Annotated[Literal["first", "last"], Setting("Which of equally good epochs is the best.")] = "first"


@options
class TrainingConfig:
    """How the weights are fitted."""

    loss: Annotated[
        Literal["auto"] | Annotated[Loss, Discriminator("name")],
        named_or_text("auto"),
        Setting("The cost function; auto is cross_entropy, binary_cross_entropy (booleans) or squared_error."),
    ] = "auto"
    class_weights: Annotated[
        Literal["balanced"] | dict[str, Annotated[float, Setting("Weight of a class.", ge=0)]] | None,
        Setting(
            "Weight of each class: balanced (inverse frequency) or a map from class to weight. It chooses the labels; "
            "the probabilities stay those of the rows as they are."
        ),
    ] = None
    optimizer: Annotated[Annotated[Optimizer, Discriminator("name")], named("sgd"), Setting("The update rule.")] = SGD()
    schedule: Annotated[
        Annotated[Schedule, Discriminator("name")], named("constant"), Setting("The learning rate over time.")
    ] = Constant()
    rates: Annotated[Multipliers, Setting("Factors of the learning rate by kind of parameter.")] = Multipliers()
    dropout_schedule: Annotated[
        Annotated[Schedule, Discriminator("name")], named("constant"), Setting("The dropout over time.")
    ] = Constant()
    weight_decay_schedule: Annotated[
        Annotated[Schedule, Discriminator("name")], named("constant"), Setting("The weight decay over time.")
    ] = Constant()
    averaging: Annotated[
        Annotated[Averaging, Discriminator("name")] | None,
        named("ema"),
        Setting("An average of the weights over the steps, kept in place of the last ones."),
    ] = None
    batch_size: Annotated[
        Literal["auto"] | Annotated[int, Setting("Rows.", ge=1)],
        Setting(
            "Rows per step; auto is 64 up to 1024 training rows, 128 up to 8192, 256 up to 30000, 512 up to 100000, "
            "then 1024."
        ),
    ] = 32
    epochs: Annotated[int, Setting("Passes over the training rows.", ge=1)] = 100
    gradient_clip: Annotated[float | None, Setting("Largest norm of the whole gradient; null does not clip.", gt=0)] = (
        None
    )
    early_stopping: Annotated[EarlyStopping | None, Setting("Choice of the best epoch; null keeps the last one.")] = (
        EarlyStopping()
    )
    seed: Annotated[int, Setting("Feeds every random choice.", ge=0, le=2**63 - 1)] = 0
    dtype: Annotated[Literal["float32", "float64"], Setting("Precision of the network.")] = "float32"
    threads: Annotated[
        Literal["auto"] | Annotated[int, Setting("Threads.", ge=1, le=1024)],
        Setting("Most threads that share the members, or the steps of a single network; auto goes by cores and work."),
    ] = "auto"
    engine: Annotated[
        Literal["auto", "numpy", "compiled"],
        Setting("What runs the steps: compiled needs the extra fast; auto takes it where long trainings repay it."),
    ] = "auto"


@options
class PostprocessConfig:
    """What is done to the answers after the network; fitted on the validation rows when training ends."""

    calibration: Annotated[
        Literal["none", "temperature"],
        Setting(
            "Makes probabilities honest: temperature takes p^(1/T), divided by the sum, with the T of least log loss."
        ),
    ] = "none"
    threshold: Annotated[
        str | Annotated[float, Setting("A probability.", gt=0, lt=1)] | None,
        Setting(
            "Probability above which the second of two classes, or yes, is the answer: a number, or the metric that "
            "chooses it; null means 0.5."
        ),
    ] = None
    clamp: Annotated[bool, Setting("Keep regression answers within the range of the training targets.")] = False


@options
class ExpectConfig:
    """Gates checked after training, on the test file or else the validation rows.

    Ends of intervals are of rows that choose nothing: the test file, or validation rows without early stopping,
    calibration and threshold.
    """

    min: Annotated[dict[str, float], Setting("Least of a metric, or of roc_auc.low.", examples=tuple(METRICS))] = field(
        default_factory=dict
    )
    max: Annotated[dict[str, float], Setting("Most of a metric, or of log_loss.high.", examples=tuple(METRICS))] = (
        field(default_factory=dict)
    )


@options
class BudgetConfig:
    """What a training may take; when that is used up, it ends and the best model so far is kept."""

    seconds: Annotated[
        float | None, Setting("Seconds of the training, reading included. null sets no limit.", gt=0)
    ] = None
    memory: Annotated[
        str | Annotated[int, Setting("Bytes.", ge=1)] | None,
        Setting(
            "Most memory of the process, in bytes or as a text such as 500MB, 2GB or 2GiB; what is expected to need "
            "more does not start, but rows that do not fit are trained on from disk. null sets no limit."
        ),
    ] = None


@options
class Config:
    """The whole file."""

    data: Annotated[DataConfig, Setting("Where the rows come from.")]
    task: Annotated[Task, Setting("What is predicted; auto goes by the target column.")] = "auto"
    preprocess: Annotated[PreprocessConfig, Setting("How cells become numbers.")] = PreprocessConfig()
    model: Annotated[ModelConfig, Setting("The network.")] = ModelConfig()
    training: Annotated[TrainingConfig, Setting("How the weights are fitted.")] = TrainingConfig()
    postprocess: Annotated[PostprocessConfig, Setting("What is done to the answers.")] = PostprocessConfig()
    intervals: Annotated[IntervalsConfig, Setting("How sure answers are.")] = IntervalsConfig()
    expect: Annotated[ExpectConfig, Setting("Gates checked at the end of training.")] = ExpectConfig()
    budget: Annotated[BudgetConfig, Setting("What a training may take.")] = BudgetConfig()
    search: Annotated[SearchConfig | None, Setting("What mlp search tries; null searches nothing.")] = None
    tracking: Annotated[
        tuple[TrackerName, ...],
        LISTED,
        Setting("Programs that are told of the training while it runs; each needs the extra of its name."),
    ] = ()
    output: Annotated[str | None, Setting("Folder of the run; null means runs/<name of the config file>.")] = None


def parse_memory(amount: str | int) -> int:
    """Bytes of `2GB`, `500 MB`, `2GiB` or a plain number; raises ValueError for anything else, and for less than 1."""
    found = re.fullmatch(r"(\d{1,15}(?:\.\d{1,15})?)\s*([kmgt]i?)?b?", str(amount).strip().lower())
    if found is None or not (n_bytes := int(float(found[1]) * UNITS[found[2] or ""])):
        raise ValueError(f"{amount} is no amount of memory")
    return n_bytes
