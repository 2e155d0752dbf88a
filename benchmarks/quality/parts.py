"""The parts of the recipe, and what `--set` takes each of them out.

A part whose key the config does not know fails and is reported; the others go on.
"""

from dataclasses import replace

from benchmarks.quality.contestants import Contestant

PARTS: dict[str, tuple[str, ...]] = {
    "dropout": ("model.dropout=0",),
    "weight decay": ("training.optimizer={name: adam, learning_rate: 0.005}",),
    "schedule": ("training.schedule={name: constant}",),
    "mish": ("model.activation=relu",),
    "early stopping": ("training.early_stopping=null",),
}


def without(recipe: Contestant) -> list[Contestant]:
    """The recipe with one part less, for each part."""
    return [
        replace(recipe, name=f"{recipe.name} without {part}", overrides=overrides) for part, overrides in PARTS.items()
    ]
