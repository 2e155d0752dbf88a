"""The parts of the recipe, and what `--set` takes each of them out.

A part whose key the config does not know fails and is reported; the others go on.
"""

from dataclasses import replace

from benchmarks.quality.contestants import Contestant

PARTS: dict[str, tuple[str, ...]] = {
    "members": (
        "model.members.count=1",
        "model.members.rows=all",
        "model.members.folds=null",
        "model.members.views=same",
        "data.validation=0.2",
    ),
    "folds": ("model.members.rows=all", "model.members.folds=null", "data.validation=0.2"),
    "bins": ("model.members.views=same", "preprocess.encoding=none"),
    "cosines": ("model.members.views=same", "model.numeric_embedding=null"),
    "bins and cosines": ("model.members.views=same", "preprocess.encoding=none", "model.numeric_embedding=null"),
    "smooth clip": ("preprocess.numeric=standardize",),
    "factors of inputs": ("model.scale_inputs=false",),
    "coslog": ("training.schedule=cosine",),
    "choice of the epoch": ("training.early_stopping=null",),
    "dropout": ("model.dropout=0",),
    "weight decay": ("training.optimizer.weight_decay=0",),
    "label smoothing": ("training.loss.label_smoothing=0",),
    "temperature": ("postprocess.calibration=none",),
    "spread of the start": ("model.initializer=lecun_normal",),
}


def without(recipe: Contestant) -> list[Contestant]:
    """The recipe with one part less, for each part."""
    return [
        replace(recipe, name=f"{recipe.name} without {part}", overrides=overrides) for part, overrides in PARTS.items()
    ]
