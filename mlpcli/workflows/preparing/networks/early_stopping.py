"""Resolves the batch size and the scored epochs, and compares the patience of early stopping with the schedule."""

from math import ceil

from mlpcli.config.schema.sections import TrainingConfig
from mlpcli.nn.schedules import CosLog, Step, plateau_ends

# The value of `batch_size: auto`, as (training rows up to, batch size), and for more rows (the rule of RealMLP): small
# tables need small batches for enough steps in an epoch, large tables do not.
BATCH_SIZES = ((1024, 64), (8192, 128), (30_000, 256), (100_000, 512))
LARGEST_BATCH = 1024

# The phase of each schedule that an end of `plateau_ends` closes.
PLATEAU_PHASES = {
    "step": "before the rate drops",
    "one_cycle": "while the rate still rises",
    "flat_cos": "before the rate falls",
    "coslog": "in the middle of a cycle",
}
# The ends of plateaus are floats, but patience is in whole epochs.
TOLERANCE = 1e-9


def resolve_batch_size(configured: int | str, n_rows: int) -> int:
    """Rows per step: the configured number, or for "auto" one by the number of training rows `n_rows`."""
    if configured != "auto":
        return int(configured)
    return next((size for max_rows, size in BATCH_SIZES if n_rows <= max_rows), LARGEST_BATCH)


def scored_epochs(training: TrainingConfig) -> frozenset[int] | None:
    """The epochs (from 1) after which the validation rows are scored; None for every epoch."""
    early_stopping = training.early_stopping
    if early_stopping is None or early_stopping.at == "every_epoch":
        return None
    schedule, n_epochs = training.schedule, training.epochs
    ends = plateau_ends(schedule, n_epochs) if isinstance(schedule, CosLog | Step) else ()
    return frozenset({max(1, min(round(end), n_epochs)) for end in ends} | {n_epochs})


def schedule_notes(training: TrainingConfig) -> list[str]:
    """Notes on a warm-up that does not end, or on a patience that is too short for the schedule."""
    warmup = training.schedule.warmup
    if warmup >= training.epochs:
        length = "1 epoch" if warmup == 1 else f"{warmup:g} epochs"
        return [f"the warm-up of {length} is not over when training ends: the full learning rate is never reached."]
    return [note for note in (_patience_note(training),) if note]


def _patience_note(training: TrainingConfig) -> str:
    """A note if patience can run out before the schedule lowers the rate, with a sufficient patience; else ""."""
    stopping, schedule = training.early_stopping, training.schedule
    if stopping is None:
        return ""
    patience, factor = stopping.patience, stopping.patience_factor
    if patience is None:
        return "" if factor == 1.0 else "early_stopping.patience_factor does nothing without patience."
    if stopping.at == "cycle_ends":  # then patience can run out at these ends only
        return ""
    ends = plateau_ends(schedule, training.epochs)
    # In the worst case the best epoch is at the end of the previous plateau.
    waits = [(start, end, end - factor * start - TOLERANCE) for start, end in zip((0.0, *ends), ends, strict=False)]
    too_long = [wait for wait in waits if wait[2] > patience]
    if not too_long:
        return ""
    start, end, _ = too_long[0]
    remedy = f"Patience {ceil(max(wait for _, _, wait in too_long))} would not"
    if isinstance(schedule, CosLog) and factor < 2:
        remedy += f", nor {ceil(ends[0] - TOLERANCE)} with patience_factor 2"
    when = f"{PLATEAU_PHASES[schedule.name]} (schedule {schedule.name}, epochs {start:.0f} to {end:.0f})"
    return f"early stopping with patience {patience} can end training {when}. {remedy}."
