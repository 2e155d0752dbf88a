"""The config that `mlp init` writes: every choice visible, each with its reason, ready to train."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_RESERVED = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
_MOST_LISTED = 40


@dataclass(frozen=True)
class StarterColumn:
    """One input column in the config: its role, and a remark ("" for none)."""

    name: str
    role: str
    remark: str


@dataclass(frozen=True)
class StarterRecipe:
    """Sizes and speeds chosen for the data."""

    hidden: tuple[int, ...]
    learning_rate: float
    weight_decay: float
    dropout: float
    batch_size: int
    epochs: int
    patience: int


@dataclass(frozen=True)
class StarterData:
    """What was found in the file."""

    train: str
    targets: tuple[str, ...]
    task: str
    task_reason: str
    n_rows: int
    columns: tuple[StarterColumn, ...]
    dropped: Mapping[str, str]
    delimiter: str | None = None
    encoding: str | None = None
    rarest_class: str = ""


def choose_recipe(n_rows: int) -> StarterRecipe:
    """Sizes by rows: a small table gets a small network and more regularisation.

    Chosen by scores on held-out rows of tables from a few hundred to 16000 rows: mish and three hidden layers were
    ahead of relu and of two, a rate of 0.005 ahead of smaller ones, and weight decay 0.1 helped where rows are few.
    """
    if n_rows < 1000:
        return StarterRecipe((32, 32), 0.005, 0.3, 0.2, 32, 100, 30)
    if n_rows < 10_000:
        return StarterRecipe((64, 64, 64), 0.005, 0.1, 0.1, 64, 60, 20)
    if n_rows < 100_000:
        return StarterRecipe((128, 128, 128), 0.005, 0.03, 0.1, 128, 60, 15)
    return StarterRecipe((256, 256, 256), 0.005, 0.02, 0.1, 512, 30, 8)


def starter_yaml(data: StarterData, recipe: StarterRecipe) -> str:
    """The text of the config."""
    lines = [
        f"# {data.n_rows} rows. Train with: mlp train THIS_FILE   ·   see every default with: mlp check THIS_FILE",
        "data:",
        f"  train: {_scalar(data.train)}",
        f"  target: {_names(data.targets)}",
        *_drop_lines(data.dropped),
        *_column_lines(data.columns),
        *([f"  delimiter: {_scalar(data.delimiter)}"] if data.delimiter else []),
        *([f"  encoding: {_scalar(data.encoding)}"] if data.encoding else []),
        f"  validation: 0.2               # {_VALIDATION[data.task]}",
        f"task: {data.task:<23}# {_comment(data.task_reason)}",
        "preprocess:",
        "  numeric: standardize          # mean 0, deviation 1 over the training rows; also robust, minmax, none",
        "  missing: median               # and a 0/1 input that says the cell was missing; also mean, error",
        "  categorical: {name: onehot, min_count: 5}   # levels with fewer training rows share one input",
        "model:",
        f"  layers: [auto, {', '.join(map(str, recipe.hidden))}, auto]   # inputs and outputs come from the data",
        "  activation: mish              # a smooth relu: costs a little more time, scores a little better",
        f"  dropout: {recipe.dropout:g}                  # hidden neurons switched off at random, against overfitting",
        "training:",
        f"  loss: {_LOSSES[data.task]}",
        *_class_weight_lines(data.rarest_class),
        f"  optimizer: {{name: adamw, learning_rate: {recipe.learning_rate:g}, weight_decay: {recipe.weight_decay:g}}}",
        "  schedule: {name: cosine, warmup: 1}   # one epoch up, then slowly down to 0",
        f"  batch_size: {recipe.batch_size}",
        f"  epochs: {recipe.epochs}",
        f"  early_stopping: {{metric: {_METRICS[data.task]}, patience: {recipe.patience}}}"
        "   # the best epoch on the validation rows is kept",
        "  seed: 0                       # same seed, same threads, same bytes",
    ]
    return "\n".join(lines) + "\n"


_VALIDATION = {
    "classification": "share of rows, stratified by class, that chooses the best epoch",
    "regression": "share of rows that chooses the best epoch",
    "multilabel": "share of rows that chooses the best epoch",
}
_LOSSES = {"classification": "cross_entropy", "regression": "squared_error", "multilabel": "binary_cross_entropy"}
_METRICS = {"classification": "log_loss", "regression": "rmse", "multilabel": "log_loss"}


def _class_weight_lines(rarest_class: str) -> list[str]:
    if not rarest_class:
        return []
    return [f"  # class_weights: balanced     # finds more of the rare {_comment(rarest_class)}; its probability grows"]


def _drop_lines(dropped: Mapping[str, str]) -> list[str]:
    if not dropped:
        return ["  drop: []                      # no column is useless or gives the target away"]
    return ["  drop:", *(f"    - {_scalar(name):<26}# {_comment(reason)}" for name, reason in dropped.items())]


def _column_lines(columns: Sequence[StarterColumn]) -> list[str]:
    """The role of each input column; of very many alike only the number, in a comment."""
    numbers = [column for column in columns if column.role == "number" and not column.remark]
    listed = columns
    lines = ["  columns:"]
    if len(columns) > _MOST_LISTED and numbers:
        listed = [column for column in columns if column not in numbers]
        names = ", ".join(_comment(column.name) for column in numbers[:3])
        lines = [f"  # {len(numbers)} columns hold numbers: {names}, ...", *(lines if listed else [])]
    return lines + [
        f"    {_scalar(column.name)}: {column.role}" + (f"   # {_comment(column.remark)}" if column.remark else "")
        for column in listed
    ]


def _names(names: Sequence[str]) -> str:
    return _scalar(names[0]) if len(names) == 1 else f"[{', '.join(map(_scalar, names))}]"


def _scalar(text: str) -> str:
    """A text as YAML: plain where that is read back as this text, else in double quotes, which JSON and YAML share."""
    if _PLAIN.fullmatch(text) and text.casefold() not in _RESERVED:
        return text
    return json.dumps(text, ensure_ascii=not text.isprintable())


def _comment(text: str) -> str:
    """Text that stays on its line."""
    return "".join(c if c.isprintable() else " " for c in text)
