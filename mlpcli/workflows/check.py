"""`mlp check`: everything a training does before its first step, with an estimate of its duration and memory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mlpcli.config.loading import LoadedConfig
from mlpcli.config.yaml.dumping import as_plain
from mlpcli.data.schema.profile import ColumnProfile, profile_columns
from mlpcli.data.schema.task import infer_targets
from mlpcli.data.table import count_codes
from mlpcli.data.targets.target import ClassTarget
from mlpcli.machine import peak_memory
from mlpcli.search.space import space_of
from mlpcli.storage.run.run_directory import RunDirectory
from mlpcli.workflows.preparing.preparation import Prepared, prepare
from mlpcli.workflows.preparing.rows.data_store import store_options
from mlpcli.workflows.preparing.rows.splits import Split
from mlpcli.workflows.preparing.rows.tables import read_training_table, resolve_columns, writing_of
from mlpcli.workflows.preparing.warnings.row_warnings import duplicate_notes, rarest_class
from mlpcli.workflows.train import default_output
from mlpcli.workflows.training.estimates.memory import expected_peak, refuse_over_budget
from mlpcli.workflows.training.estimates.timing import expected_seconds
from mlpcli.workflows.training.recording.trackers import require_trackers


@dataclass(frozen=True)
class CheckResult:
    """A valid config with its data prepared, warnings, and an estimate of the cost.

    `class_counts` maps split and class to the number of rows. `n_bytes` is the peak memory of the process, the quantity
    that `budget.memory` limits. `seconds` is the duration of all epochs, without early stopping.
    """

    prepared: Prepared
    profiles: tuple[ColumnProfile, ...]
    class_counts: dict[str, dict[str, int]]
    warnings: tuple[str, ...]
    n_bytes: int
    seconds: float
    output: str

    def resolved(self, convert: Callable[[Any], Any]) -> list[tuple[str, Any, str]]:
        """Every key of the config, its value after `convert`, and the origin of the value."""
        resolved = []
        for key, origin in self.prepared.loaded.origins.items():
            value: Any = self.prepared.loaded.config
            for name in key.split("."):
                value = getattr(value, name)
            resolved.append((key, convert(as_plain(value)), origin))
        return resolved


def check(loaded: LoadedConfig) -> CheckResult:
    """Prepare a training, collect warnings, and time a few steps.

    Raises MlpError, ConfigError and DataError where `train` raises them before its first step.
    """
    RunDirectory(default_output(loaded)).check()
    if loaded.config.search is not None:
        space_of(loaded)
    require_trackers(loaded)
    with loaded.naming("data.train"):
        table = read_training_table(loaded, store_options(loaded))
        resolve_columns(loaded, table, lists_all=True)
    prepared = prepare(loaded, table)
    refuse_over_budget(prepared)
    expected = expected_peak(prepared)
    config = loaded.config
    features = frozenset(prepared.columns.features)
    targets = infer_targets(table, prepared.columns.targets, prepared.task, config.data.columns, writing_of(loaded))
    profiles = [
        profile
        for profile in profile_columns(table, targets, config.data.columns, writing_of(loaded))
        if profile.name in features
    ]
    splits = [split for split in prepared.splits if prepared.folds is None or split is not prepared.validation]
    counts = {split.name: _class_counts(prepared, split) for split in splits}
    warnings = _useless_columns(profiles)
    has_copies = any("copies of training rows" in note for note in prepared.notes)
    is_cut = prepared.validation is not None and prepared.folds is None and "validation" not in prepared.data_sha256
    if prepared.validation is not None and is_cut and not has_copies:
        # These rows were split off the training file; preparation checks a separate validation file for copies.
        warnings += duplicate_notes("validation", prepared.train.samples.X, prepared.validation.samples.X)
    if counts["train"] and config.training.class_weights is None:
        rarest = rarest_class(list(counts["train"]), list(counts["train"].values()))
        advice = (
            "accuracy does not show it. See balanced_accuracy and average_precision; training.class_weights: balanced"
        )
        warnings += [f"the rarest class is {rarest}: {advice} gives it more weight."] if rarest else []
    n_train, n_inputs = prepared.train.samples.X.shape
    if n_inputs > n_train:
        warnings.append(f"{n_inputs} inputs for {n_train} training rows: expect overfitting.")
    seconds = expected_seconds(prepared)  # before peak_memory, because it runs real steps
    return CheckResult(
        prepared,
        tuple(profiles),
        counts,
        tuple(warnings),
        max(expected, peak_memory()),
        seconds,
        default_output(loaded),
    )


def _useless_columns(profiles: Sequence[ColumnProfile]) -> list[str]:
    """One warning per reason to drop columns, with the names of those columns.

    Ids and texts that are nearly all distinct are omitted, because the notes of preparation name them.
    """
    by_reason: dict[str, list[str]] = {}
    for profile in profiles:
        if profile.drop_reason and profile.kind not in ("id", "near_unique"):
            by_reason.setdefault(profile.drop_reason, []).append(profile.name)
    lines = []
    for reason, names in by_reason.items():
        shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
        lines.append(f"{shown}: {reason}. Leave {'it' if len(names) == 1 else 'them'} out: data.drop")
    return lines


def _class_counts(prepared: Prepared, split: Split) -> dict[str, int]:
    """The number of rows of each class in a split; empty unless the task has classes."""
    if not isinstance(prepared.target, ClassTarget):
        return {}
    counts = count_codes(split.truth, len(prepared.target.labels)).tolist()
    return dict(zip(prepared.target.labels, counts, strict=True))
