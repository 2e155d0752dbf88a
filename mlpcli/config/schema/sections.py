"""The config: every section of the YAML file with its keys, allowed values and defaults.

The options of optimizers, layers and so on are the dataclasses that compute (`nn.optimizers`, ...). `name` selects the
member of a union; its short form is the name alone (`optimizer: adam`), and a mapping without `name` selects the
default.
"""

import re
from dataclasses import field
from typing import Annotated, Literal

from pydantic import Discriminator

from mlpcli.config.schema.data import DataConfig, PreprocessConfig
from mlpcli.config.schema.network import ModelConfig
from mlpcli.config.schema.search import SearchConfig
from mlpcli.config.schema.shorthand import LISTED, named, named_or_text
from mlpcli.evaluation.metrics.registry import METRICS
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
    """Selection of the best epoch, and early stopping."""

    metric: Annotated[
        str,
        Setting(
            "Metric of the validation rows that chooses the epoch; loss is the validation loss; auto depends on the "
            "task.",
            examples=("auto", "loss", *METRICS),
        ),
    ] = "auto"
    patience: Annotated[
        int | None, Setting("Epochs without improvement before training stops; null: no early stopping.", ge=1)
    ] = None
    patience_factor: Annotated[
        float,
        Setting(
            "Training stops at epoch patience_factor * (best epoch) + patience. 2 suits the doubling cycles of coslog.",
            ge=1,
        ),
    ] = 1.0
    min_gain: Annotated[float, Setting("Smallest change of the metric that counts as an improvement.", ge=0)] = 0.0
    at: Annotated[
        Literal["every_epoch", "cycle_ends"],
        Setting(
            "When validation rows are scored: after every epoch, or at the low points of the schedule only (the ends "
            "of coslog's cycles, before step's drops, and the last epoch)."
        ),
    ] = "every_epoch"
    ties: Annotated[Literal["first", "last"], Setting("Which epoch is kept if several are equally good.")] = "first"


@options
class TrainingConfig:
    """Loss, optimizer, learning rate and stopping."""

    loss: Annotated[
        Literal["auto"] | Annotated[Loss, Discriminator("name")],
        named_or_text("auto"),
        Setting(
            "Loss (cost function); auto is cross_entropy, binary_cross_entropy (boolean targets) or squared_error."
        ),
    ] = "auto"
    class_weights: Annotated[
        Literal["balanced"] | dict[str, Annotated[float, Setting("Weight of a class.", ge=0)]] | None,
        Setting(
            "Weight of each class: balanced (inverse frequency) or a mapping from class to weight. The weights affect "
            "the predicted labels; the probabilities stay those of the unweighted rows."
        ),
    ] = None
    optimizer: Annotated[
        Annotated[Optimizer, Discriminator("name")], named("sgd"), Setting("Optimizer and learning rate.")
    ] = SGD()
    schedule: Annotated[
        Annotated[Schedule, Discriminator("name")], named("constant"), Setting("Schedule of the learning rate.")
    ] = Constant()
    rates: Annotated[Multipliers, Setting("Learning-rate multipliers by kind of parameter.")] = Multipliers()
    dropout_schedule: Annotated[
        Annotated[Schedule, Discriminator("name")], named("constant"), Setting("Schedule of the dropout rate.")
    ] = Constant()
    weight_decay_schedule: Annotated[
        Annotated[Schedule, Discriminator("name")], named("constant"), Setting("Schedule of the weight decay.")
    ] = Constant()
    averaging: Annotated[
        Annotated[Averaging, Discriminator("name")] | None,
        named("ema"),
        Setting("Average of the weights over the steps, used in place of the last weights."),
    ] = None
    batch_size: Annotated[
        Literal["auto"] | Annotated[int, Setting("Rows.", ge=1)],
        Setting(
            "Rows per step; auto is 64 up to 1024 training rows, 128 up to 8192, 256 up to 30000, 512 up to 100000, "
            "then 1024."
        ),
    ] = 32
    epochs: Annotated[int, Setting("Number of passes over the training rows.", ge=1)] = 100
    gradient_clip: Annotated[float | None, Setting("Largest norm of the whole gradient; null: no clipping.", gt=0)] = (
        None
    )
    early_stopping: Annotated[
        EarlyStopping | None, Setting("Choice of the best epoch and early stopping; null keeps the last epoch.")
    ] = EarlyStopping()
    seed: Annotated[int, Setting("Random seed.", ge=0, le=2**63 - 1)] = 0
    dtype: Annotated[Literal["float32", "float64"], Setting("Floating-point precision of the network.")] = "float32"
    threads: Annotated[
        Literal["auto"] | Annotated[int, Setting("Threads.", ge=1, le=1024)],
        Setting(
            "Most threads that train members in parallel, or share the steps of a single network; auto depends on "
            "cores and work."
        ),
    ] = "auto"
    engine: Annotated[
        Literal["auto", "numpy", "compiled"],
        Setting(
            "Engine of the training steps: compiled needs the extra fast; auto takes it where the training is long "
            "enough to repay compilation."
        ),
    ] = "auto"


@options
class PostprocessConfig:
    """Postprocessing of the predictions, fitted on the validation rows when training ends."""

    calibration: Annotated[
        Literal["none", "temperature"],
        Setting(
            "Calibration of probabilities: temperature scaling takes p^(1/T), normalized to sum 1, with the T of "
            "least log loss."
        ),
    ] = "none"
    threshold: Annotated[
        str | Annotated[float, Setting("A probability.", gt=0, lt=1)] | None,
        Setting(
            "Decision threshold: the probability above which the second of two classes, or true, is predicted. A "
            "number, or the metric that chooses it; null means 0.5."
        ),
    ] = None
    clamp: Annotated[bool, Setting("Clip regression predictions to the range of the training targets.")] = False
    bias_correction: Annotated[
        bool,
        Setting(
            "Correct the mean of a log or quantile target: its network predicts the mean of the transformed target, "
            "of which the inverse is not the mean. A constant added to the outputs makes the mean prediction of the "
            "validation rows that of their targets (smearing, Duan 1983)."
        ),
    ] = False


@options
class IntervalsConfig:
    """The calibration rows of `mlp predict --interval`, whose errors are kept in the model."""

    rows: Annotated[
        Literal["auto", "none"] | Annotated[float, Setting("A fraction of the rows.", gt=0, lt=1)],
        Setting(
            "Calibration rows. auto: the out-of-fold rows of members on folds, else the validation rows, which also "
            "choose the epoch. A fraction: that part of the training rows is used for calibration only. none: no "
            "intervals."
        ),
    ] = "auto"
    by: Annotated[
        str | None,
        Setting(
            "A column of groups: coverage is guaranteed in each of them (Mondrian conformal prediction); the target "
            "itself stands for each class. The column is an input unless it is dropped."
        ),
    ] = None
    level: Annotated[
        float | None,
        Setting(
            "Level at which training reports coverage and width on data.test, for gates of expect; null: none are "
            "reported.",
            ge=0.5,
            lt=1,
        ),
    ] = None


@options
class ExpectConfig:
    """Gates checked after training, on the test file or else the validation rows.

    Ends of intervals need rows on which nothing was selected: the test file, or validation rows without early stopping,
    calibration and threshold.
    """

    min: Annotated[
        dict[str, float],
        Setting("Lower bounds: a metric, or an end of its interval such as roc_auc.low.", examples=tuple(METRICS)),
    ] = field(default_factory=dict)
    max: Annotated[
        dict[str, float],
        Setting("Upper bounds: a metric, or an end of its interval such as log_loss.high.", examples=tuple(METRICS)),
    ] = field(default_factory=dict)


@options
class BudgetConfig:
    """Limits of a training; when one is reached, training ends and the best model so far is kept."""

    seconds: Annotated[
        float | None, Setting("Time limit of a training in seconds, reading included; null: no limit.", gt=0)
    ] = None
    memory: Annotated[
        str | Annotated[int, Setting("Bytes.", ge=1)] | None,
        Setting(
            "Most memory of the process, in bytes or as a string such as 500MB, 2GB or 2GiB. Rows that do not fit are "
            "trained on from disk; a training that needs more even so does not start. null: no limit."
        ),
    ] = None


@options
class Config:
    """The whole file."""

    data: Annotated[DataConfig, Setting("Where the rows come from.")]
    task: Annotated[Task, Setting("Kind of prediction; auto takes it from the target column.")] = "auto"
    preprocess: Annotated[PreprocessConfig, Setting("How cells become inputs of the network.")] = PreprocessConfig()
    model: Annotated[ModelConfig, Setting("The network.")] = ModelConfig()
    training: Annotated[TrainingConfig, Setting("Loss, optimizer, learning rate and stopping.")] = TrainingConfig()
    postprocess: Annotated[
        PostprocessConfig, Setting("Calibration, decision threshold and clipping of the predictions.")
    ] = PostprocessConfig()
    intervals: Annotated[
        IntervalsConfig, Setting("Prediction intervals and prediction sets: which rows calibrate them.")
    ] = IntervalsConfig()
    expect: Annotated[ExpectConfig, Setting("Gates checked at the end of training.")] = ExpectConfig()
    budget: Annotated[BudgetConfig, Setting("Limits on time and memory of a training.")] = BudgetConfig()
    search: Annotated[SearchConfig | None, Setting("Search space and limits of mlp search; null: no search.")] = None
    tracking: Annotated[
        tuple[TrackerName, ...],
        LISTED,
        Setting("Experiment trackers that log the training while it runs; each needs the extra of the same name."),
    ] = ()
    output: Annotated[str | None, Setting("Folder of the run; null means runs/<name of the config file>.")] = None


def parse_memory(amount: str | int) -> int:
    """Bytes, from `2GB`, `500 MB`, `2GiB` or a plain number; raises ValueError for other texts and less than 1 byte."""
    match = re.fullmatch(r"(\d{1,15}(?:\.\d{1,15})?)\s*([kmgt]i?)?b?", str(amount).strip().lower())
    if match is None or not (n_bytes := int(float(match[1]) * UNITS[match[2] or ""])):
        raise ValueError(f"{amount} is not an amount of memory")
    return n_bytes
