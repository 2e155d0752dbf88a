"""What each part of the recipe is worth: what `--set` takes it out, and what puts in what the recipe does without.

A change whose key the config does not know fails and is reported; the others go on. The numbers are for `strong` on
tables of fewer than 10,000 rows, where it has 8 members and 48 epochs (96 for numbers of fewer than 2000 rows).
"""

from dataclasses import replace

from benchmarks.quality.contestants import Contestant

CHANGES: dict[str, tuple[str, ...]] = {
    "without members": (
        "model.members.count=1",
        "model.members.rows=all",
        "model.members.folds=null",
        "model.members.views=same",
        "data.validation=0.2",
    ),
    "without folds": ("model.members.rows=all", "model.members.folds=null", "data.validation=0.2"),
    "without bins": ("model.members.views=same", "preprocess.encoding=none"),
    "without cosines": ("model.members.views=same", "model.numeric_embedding=null"),
    "without bins and cosines": (
        "model.members.views=same",
        "preprocess.encoding=none",
        "model.numeric_embedding=null",
    ),
    "without smooth clip": ("preprocess.numeric=standardize",),
    "without input scales": ("model.scale_inputs=false",),
    "without coslog": ("training.schedule=cosine",),
    "without early stopping": ("training.early_stopping=null",),
    "without label smoothing": ("training.loss.label_smoothing=0",),
    "without temperature": ("postprocess.calibration=none",),
    "without data-driven initializer": ("model.initializer=lecun_normal",),
    "with dropout": ("model.dropout=0.15", "training.dropout_schedule=flat_cos"),
    "with weight decay": (
        "training.optimizer.name=adamw",
        "training.optimizer.weight_decay=0.02",
        "training.weight_decay_schedule=flat_cos",
    ),
    "with 96 epochs": ("training.epochs=96", "training.early_stopping.patience=24"),
    "with 16 members": ("model.members.count=16",),
}


def changed(recipe: Contestant) -> list[Contestant]:
    """The recipe with one change, for each of them."""
    return [replace(recipe, name=f"{recipe.name} {change}", overrides=CHANGES[change]) for change in CHANGES]
