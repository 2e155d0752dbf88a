"""How training is paced: rows per step, and whether the patience of early stopping goes with the schedule."""

from math import ceil

from mlpcli.config.schema.sections import TrainingConfig
from mlpcli.nn.schedules import CosLog, Step, plateau_ends

# What `batch_size: auto` is up to so many training rows, and beyond the last (RealMLP's rule): many small steps where
# rows are few, better filled ones where an epoch has enough of them.
BATCH_SIZES = ((1024, 64), (8192, 128), (30_000, 256), (100_000, 512))
LARGEST_BATCH = 1024

# What happens in a stretch that `plateau_ends` closes, by schedule.
PLATEAU_PHASES = {
    "step": "before the rate drops",
    "one_cycle": "while the rate still rises",
    "flat_cos": "before the rate falls",
    "coslog": "in the middle of a cycle",
}
# Ends of stretches are computed in floats, patience is counted in whole epochs.
TOLERANCE = 1e-9


def resolve_batch_size(configured: int | str, n_rows: int) -> int:
    """The user's number of rows per step, or for "auto" one that goes by the `n_rows` trained on."""
    if configured != "auto":
        return int(configured)
    return next((size for most, size in BATCH_SIZES if n_rows <= most), LARGEST_BATCH)


def scored_epochs(training: TrainingConfig) -> frozenset[int] | None:
    """The epochs (from 1) whose validation rows are scored; None for every one."""
    early_stopping = training.early_stopping
    if early_stopping is None or early_stopping.at == "every_epoch":
        return None
    rests = plateau_ends(training.schedule, training.epochs) if isinstance(training.schedule, CosLog | Step) else ()
    return frozenset({max(1, min(round(end), training.epochs)) for end in rests} | {training.epochs})


def schedule_notes(training: TrainingConfig) -> list[str]:
    """What is odd about the schedule and the patience that goes with it, a sentence each."""
    warmup = training.schedule.warmup
    if warmup >= training.epochs:
        length = "1 epoch" if warmup == 1 else f"{warmup:g} epochs"
        return [f"the warm-up of {length} is not over when training ends: the full learning rate is never reached."]
    return [note for note in (_patience_note(training),) if note]


def _patience_note(training: TrainingConfig) -> str:
    """Says where patience can run out before the schedule brings the gain it waits for, and what would be enough."""
    stopping, schedule = training.early_stopping, training.schedule
    if stopping is None:
        return ""
    patience, factor = stopping.patience, stopping.patience_factor
    if patience is None:
        return "" if factor == 1.0 else "early_stopping.patience_factor does nothing without patience."
    if stopping.at == "cycle_ends":  # it is only there that patience can run out
        return ""
    ends = plateau_ends(schedule, training.epochs)
    # Waiting begins, at the latest, with a best epoch at the end of the stretch before.
    waits = [(begin, end, end - factor * begin - TOLERANCE) for begin, end in zip((0.0, *ends), ends, strict=False)]
    too_long = [wait for wait in waits if wait[2] > patience]
    if not too_long:
        return ""
    begin, end, _ = too_long[0]
    cure = f"Patience {ceil(max(wait for _, _, wait in too_long))} would not"
    if isinstance(schedule, CosLog) and factor < 2:
        cure += f", nor {ceil(ends[0] - TOLERANCE)} with patience_factor 2"
    when = f"{PLATEAU_PHASES[schedule.name]} (schedule {schedule.name}, epochs {begin:.0f} to {end:.0f})"
    return f"early stopping with patience {patience} can end training {when}. {cure}."
