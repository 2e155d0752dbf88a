"""Warm start: continue training from a model on new rows.

Column schemas, scaling, levels, bins, target and network layers are those of the model; only its weights are trained.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.config.loading import LoadedConfig
from mlpcli.config.yaml.dumping import as_plain, flow_text
from mlpcli.data.features.preprocessor import TransformCounts
from mlpcli.data.reading.building import StoreOptions
from mlpcli.data.reading.read import read_table
from mlpcli.data.reading.reader import Request
from mlpcli.data.reference import SAMPLE_ROWS, count_rows
from mlpcli.data.row_sketch import count_trained_rows, exceeds_expected
from mlpcli.data.schema.column import ColumnSchema
from mlpcli.data.schema.task import TargetSpec
from mlpcli.data.table import Rows, Table
from mlpcli.data.targets.encode import require_targets
from mlpcli.data.targets.target import NumberTarget
from mlpcli.messages import format_list
from mlpcli.model import Model
from mlpcli.nn.losses import Quantile
from mlpcli.nn.optimizers import Optimizer
from mlpcli.storage.model.model_file import load_model
from mlpcli.storage.strict_json import flattened
from mlpcli.training.fit import TrainingState
from mlpcli.workflows.preparing.validation_options import non_input_columns
from mlpcli.workflows.reading.drift import judge_drift
from mlpcli.workflows.reading.tables import describe_counts, format_of, is_read_as_text

# The weights are near an optimum already, so the learning rate of the config is multiplied by this.
LEARNING_RATE_FACTOR = 0.1
# Entries of the target state that are fitted on targets, not on predictions.
TARGET_STATISTICS = ("target_center", "target_scale", "target_quantiles", "target_scores")
# Sections of the config that must be unchanged.
FIXED_SECTIONS = ("preprocess", "model")


@dataclass(frozen=True)
class WarmStart:
    """The initial model, and the SHA-256 of its file ("" without a file).

    `learning_rate_factor` multiplies the learning rate of the config. With `state` the optimizer state is kept too.
    """

    path: str
    sha256: str
    model: Model
    learning_rate_factor: float = LEARNING_RATE_FACTOR
    state: TrainingState | None = None

    @property
    def name(self) -> str:
        """Its name in messages: the option that names its file, or `path` without a file."""
        return f"--from {self.path}" if self.sha256 else self.path

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the input columns."""
        return tuple(column.name for column in self.model.preprocessor.columns)

    @property
    def schemas(self) -> dict[str, ColumnSchema]:
        """The schema of each column of the model."""
        return {schema.name: schema for schema in self.model.schemas}

    @property
    def targets(self) -> TargetSpec:
        """Task and target columns."""
        target = self.model.target
        return TargetSpec(target.task, f"as in {self.path}", tuple(target.schemas), (), target)

    @property
    def target_state(self) -> dict[str, NDArray[np.float64]]:
        """The entries of the target state that are fitted on targets."""
        return {name: values for name, values in self.model.target_state.items() if name in TARGET_STATISTICS}


def load_warm_start(path: str) -> WarmStart:
    """Read the model; raises ModelFileError."""
    model = load_model(path)
    return WarmStart(path, hashlib.sha256(Path(path).read_bytes()).hexdigest(), model)


def read_for_warm_start(
    loaded: LoadedConfig, start: WarmStart, source: str | tuple[str, ...], store: StoreOptions
) -> Table:
    """Read the files of `data.train` by the schemas of the model.

    Raises ConfigError if the target differs from that of the model, and DataError.
    """
    data, model = loaded.config.data, start.model
    _check_targets(loaded, start)  # before a missing target column is reported
    format = format_of(model, data.delimiter, data.encoding)
    others = non_input_columns(loaded)
    texts = {schema.name for schema in model.schemas if is_read_as_text(schema, format)} | (others - set(start.schemas))
    table = read_table(source, format, Request(written=texts), configured=start.schemas, store=store)
    require_targets(table, model.target.names)
    return table


def check_warm_start(loaded: LoadedConfig, start: WarmStart, output_activation: str) -> None:
    """Raise ConfigError if the config describes a different model."""
    config, model = loaded.config, start.model
    path = start.name
    _check_targets(loaded, start)
    if config.task not in ("auto", model.target.task):
        raise loaded.error("task", f"{path} is for {model.target.task}.")
    recorded = model.record.get("config", {})
    for section in FIXED_SECTIONS:
        before, now = (dict(flattened(_mapping(section_values), f"{section}.")) for section_values in (
            recorded.get(section, {}), as_plain(getattr(config, section))))  # fmt: skip
        for key in now:
            if key in before and _as_list(before[key]) != _as_list(now[key]):
                raise loaded.error(
                    key,
                    f"{path} was trained with {flow_text(before[key])}, the config says {flow_text(now[key])}. "
                    "Undo the change, or train from scratch.",
                )
    if config.model.members.select != "all":
        raise loaded.error(
            "model.members.select",
            f"{path} has only the selected members, and training continues with all. Train from scratch.",
        )
    if len(model.ensemble.networks) != config.model.members.count:
        raise loaded.error("model.members", f"{path} has {len(model.ensemble.networks)} networks.")
    loss, quantiles = config.training.loss, model.target.fitted if isinstance(model.target, NumberTarget) else ()
    if (loss.output_quantiles if isinstance(loss, Quantile) else ()) != quantiles:
        outputs = (
            f"outputs for the quantiles {flow_text(list(quantiles))}" if quantiles else "no outputs for three quantiles"
        )
        raise loaded.error("training.loss", f"{path} has {outputs}. Use the same loss, or train from scratch.")
    if model.ensemble.first.output != output_activation:
        raise loaded.error("training.loss", f"{path} ends with {model.ensemble.first.output}, not {output_activation}.")


def _check_targets(loaded: LoadedConfig, start: WarmStart) -> None:
    names = start.model.target.names
    if names != loaded.config.data.target:
        raise loaded.error("data.target", f"{start.name} predicts {format_list(names)}. Name the same target.")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _as_list(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def warm_start_notes(
    loaded: LoadedConfig, start: WarmStart, table: Table, rows: Rows, counts: TransformCounts, optimizer: Optimizer
) -> list[str]:
    """Notes on what is kept, on the learning rate, and on how the new rows differ from those of the model."""
    model = start.model
    known_columns = {*start.schemas, *non_input_columns(loaded), *loaded.config.data.drop}
    notes = [
        f"continues from {start.path}, trained on {model.reference.n_rows} rows: scaling, levels, bins and layers "
        f"are kept; the learning rate is {optimizer.learning_rate:g}, {start.learning_rate_factor:g} times that of "
        "the config."
    ]
    if new := [name for name in table.column_names if name not in known_columns]:
        notes.append(f"{table.name}: columns that the model does not have are left out: {format_list(new)}.")
    if counts.n_unseen:
        unseen = describe_counts(TransformCounts({}, counts.n_unseen))
        notes.append(f"{table.name}: {unseen}: such levels have no input. To add inputs, train from scratch.")
    if model.reference.columns:
        new_counts = count_rows(model.reference, model.preprocessor.columns, table, rows, SAMPLE_ROWS)
        drift = judge_drift(model, new_counts).text
        notes += [f"{drift}. Details: mlp check {start.path} TABLE"] if drift else []
    return notes


def reused_rows_notes(
    start: WarmStart, table: Table, held_out: Sequence[Rows | None], hashes: Mapping[str, str]
) -> list[str]:
    """Notes on held-out rows that the model was trained on, whose scores are therefore optimistic.

    `held_out` are the validation and calibration rows of the table, `hashes` the SHA-256 of the validation and test
    files.
    """
    model, notes = start.model, []
    splits = [rows for rows in held_out if rows is not None]
    remedy = "Evaluate on rows that neither training used."
    reused = count_trained_rows(model.trained_rows, table, model.row_columns, np.concatenate([np.arange(0), *splits]))
    if exceeds_expected(reused, model.trained_rows):
        about = "about " if model.trained_rows.is_sample else ""
        notes.append(
            f"{table.name}: {about}{reused.fraction:.0%} of the rows that judge this training were trained on in "
            f"{start.path}, so the scores are optimistic. {remedy}"
        )
    before = _mapping(model.record.get("data")).get("sha256")
    reused_files = [name for name in ("validation", "test") if hashes.get(name, "") == _mapping(before).get("train")]
    text = f"{start.path} was trained on this file, so the scores are optimistic. {remedy}"
    return [*notes, *(f"data.{name}: {text}" for name in reused_files)]
