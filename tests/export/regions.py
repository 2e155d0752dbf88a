"""Models that between them have every kind of interval and set."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.export.models import SHORT, data_section
from tests.program import train

FOLDS: dict[str, Any] = {"model": {"members": {"count": 4, "rows": "folds", "folds": 2}}, "validation": None}
THREE: dict[str, Any] = {"training": SHORT | {"loss": {"name": "quantile", "quantile": [0.1, 0.5, 0.9]}}}
# By name: the target, and the sections of the config.
CASES: dict[str, tuple[str | list[str], dict[str, Any]]] = {
    "signed": ("price", {"training": SHORT | {"loss": {"name": "quantile", "quantile": 0.8}}}),
    "clamped logarithms": ("price", {"preprocess": {"target": "log"}, "postprocess": {"clamp": True}}),
    "clamped counts": ("size", {"training": SHORT | {"loss": "poisson"}, "postprocess": {"clamp": True}}),
    "rows apart": ("price", FOLDS | {"intervals": {"rows": 0.3}}),
    "folds": ("price", FOLDS),
    "folds of several": (["price", "size"], FOLDS),
    "folds, signed": ("price", FOLDS | {"training": SHORT | {"loss": {"name": "quantile", "quantile": 0.8}}}),
    "folds of logarithms": ("price", FOLDS | {"preprocess": {"target": "log"}}),
    "folds of counts": ("size", FOLDS | {"training": SHORT | {"loss": "poisson"}}),
    "folds of three quantiles": (["price", "size"], FOLDS | THREE),
    "three quantiles, clamped": ("price", THREE | {"postprocess": {"clamp": True}}),
    "three quantiles of logarithms": ("price", THREE | {"preprocess": {"target": "log"}}),
    "groups of texts": ("price", {"intervals": {"by": "city"}}),
    "groups of words": ("price", {"intervals": {"by": "member"}, "preprocess": {"target": "log"}}),
    "groups of numbers": ("price", {"intervals": {"by": "size"}}),
    "groups of folds": (["price", "size"], FOLDS | {"intervals": {"by": "pair"}}),
    "identity of counts": (
        "size",
        {"training": SHORT | {"loss": "poisson"}, "model": {"output_activation": "identity"}},
    ),
    "sets of folds": ("label", FOLDS),
    "sets of folds, yes or no": (["hot", "wet"], FOLDS | {"postprocess": {"calibration": "temperature"}}),
    "sets by label": ("label", {"intervals": {"by": "label"}}),
    "sets by label of folds": ("label", FOLDS | {"intervals": {"by": "label"}}),
    "sets by text": ("bit", FOLDS | {"intervals": {"by": "city"}}),
    "sets by text, yes or no": (["hot", "wet"], {"intervals": {"by": "pair"}}),
}
LEVEL = 0.8


def train_case(folder: Path, target: str | list[str], sections: dict[str, Any]) -> Path:
    """A model: weights.npz."""
    sections = dict(sections)
    data = {**data_section(folder, target), "validation": sections.pop("validation", 0.2)}
    model = {"layers": ["auto", 8, "auto"], **sections.pop("model", {})}
    more = {} if target in ("label", "bit", ["hot", "wet"]) else {"task": "regression"}
    return train(folder, data, **{"training": SHORT, **more, **sections, "model": model})


def train_regions(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every model, by its name: weights.npz."""
    for place, (name, case) in enumerate(CASES.items()):
        own = folder / str(place)
        own.mkdir(parents=True)
        yield name, train_case(own, *case)
