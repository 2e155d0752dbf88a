"""A table with every kind of column, and models that between them use every part that an exported file must say."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.program import train, write_csv

COLUMNS = ("plain", "money", "days", "seen", "city", "pair", "code", "member")
TARGETS = ("label", "bit", "price", "size", "hot", "wet")
NUMBER = {"role": "number", "prefix": "$", "thousands": ","}
SHORT = {"epochs": 1, "optimizer": {"name": "adam", "learning_rate": 0.01}}
EVERY_ACTIVATION = (
    "identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "softplus", "silu", "gelu", "mish"
)  # fmt: skip
PERIODIC = {"name": "periodic", "frequencies": 4, "outputs": 2, "sigma": 1.0}
DIVIDE = {"name": "divide", "by": 50_000.0}
BINS = {"name": "piecewise_linear", "bins": 5}
SHAPES = [["auto", 4, "auto"], ["auto", 8, "auto"], ["auto", 5, 5, "auto"]]
# By name: the target, and the sections of the config.
CONFIGS: dict[str, tuple[str | list[str], dict[str, Any]]] = {
    "plain": ("label", {}),
    "two classes": ("bit", {"postprocess": {"threshold": "balanced_accuracy"}}),
    "number": ("price", {}),
    "numbers": (["price", "size"], {}),
    "booleans": (["hot", "wet"], {}),
    "log": ("price", {"preprocess": {"target": "log"}}),
    "quantile target": ("price", {"preprocess": {"target": "quantile", "numeric": "quantile"}}),
    "bins": ("label", {"preprocess": {"encoding": BINS, "numeric": {"name": "robust", "clip": 3.0}}}),
    "span": ("bit", {"preprocess": {"encoding": BINS | {"span": 1.5}, "numeric": "minmax"}}),
    "one input for two": ("label", {"preprocess": {"categorical": {"name": "onehot", "binary": "one"}}}),
    "no flags": (
        "label",
        {"preprocess": {"missing": {"name": "mean", "flag": False}, "numeric": {"name": "divide", "by": 50_000.0}}},
    ),
    "cosines": ("label", {"model": {"numeric_embedding": PERIODIC, "layers": ["auto", 8, "auto"]}}),
    "embedded": ("label", {"model": {"category_embedding": {"size": 2, "above": 3}, "layers": ["auto", 64, "auto"]}}),
    "norm": ("label", {"model": {"layer_norm": True, "residual": True, "layers": ["auto", 8, 8, "auto"]}}),
    "slopes": ("price", {"model": {"learn_slopes": True, "activation": "mish", "scale_inputs": True}}),
    "members": ("label", {"model": {"members": {"count": 3, "rows": "folds"}, "dropout": 0.1}}),
    "selected": (
        "label",
        {
            "model": {"members": {"count": 6, "select": "greedy", "draw": {"model.layers": {"choice": SHAPES}}}},
            "training": SHORT | {"epochs": 3},
        },
    ),
    "selected number": ("price", {"model": {"members": {"count": 5, "select": "greedy"}}}),
    "views": (
        "bit",
        {
            "model": {"members": {"count": 2, "views": "alternate"}, "numeric_embedding": PERIODIC},
            "preprocess": {"encoding": BINS},
        },
    ),
    "subspaces": ("label", {"model": {"members": {"count": 3, "features": 0.6}}}),
    "subspaces of every input": (
        "bit",
        {
            "model": {
                "members": {"count": 3, "features": 0.6, "views": "alternate"},
                "numeric_embedding": PERIODIC,
                "category_embedding": {"size": 2, "above": 3},
            },
            "preprocess": {"encoding": BINS},
        },
    ),
    "weights": (
        "label",
        {"training": SHORT | {"class_weights": "balanced"}, "postprocess": {"calibration": "temperature"}},
    ),
    "calibrated": (["hot", "wet"], {"postprocess": {"calibration": "temperature", "threshold": "f1"}}),
    "clamped": ("price", {"postprocess": {"clamp": True}}),
    "scaled cosines": (
        "label",
        {"model": {"numeric_embedding": PERIODIC, "scale_inputs": True, "category_embedding": {"size": 2, "above": 3}}},
    ),
    "sigmoids": (
        "label",
        {"training": SHORT | {"loss": "squared_error"}, "model": {"output_activation": "sigmoid"}},
    ),
    "counts": ("size", {"task": "regression", "training": SHORT | {"loss": "poisson"}}),
    "quantiles": (
        ["price", "size"],
        {"task": "regression", "training": SHORT | {"loss": {"name": "quantile", "quantile": [0.1, 0.5, 0.9]}}},
    ),
    "double": ("label", {"training": SHORT | {"dtype": "float64"}}),
    "activations": (
        "label",
        {"model": {"layers": ["auto", *[6] * len(EVERY_ACTIVATION), "auto"], "activation": list(EVERY_ACTIVATION)}},
    ),
}


def write_table(path: Path, n_rows: int = 240) -> Path:
    """A table whose cells are written in as many ways as may be."""
    rng = np.random.default_rng(7)
    rows = []
    for row in range(n_rows):
        x, city, member = rng.normal(), rng.choice(["Ülm", "New York, NY", "1", "2.50", '"q"', "O'Hara"]), row % 3
        cells = [
            f"{x:.3f}", f"${rng.integers(10, 90_000):,}", f"{1 + row % 28:02d}.{1 + row % 12:02d}.{2000 + row % 20}",
            f"2024-{1 + row % 12:02d}-{1 + row % 28:02d}T{row % 24:02d}:{row % 60:02d}:30", city,
            "left" if rng.random() < 0.4 else "right", f"{rng.integers(0, 12):03d}", "yes" if member else "no",
        ]  # fmt: skip
        cells = ["" if place not in (5,) and rng.random() < 0.04 else cell for place, cell in enumerate(cells)]
        label = ("low", "middle", "high")[int(x > -0.5) + int(x > 0.5)]
        targets = [label, int(x + rng.normal() > 0.5), round(float(np.exp(x)) * 100, 2), int(rng.poisson(3 + member))]
        rows.append([*cells, *targets, "true" if x > 0 else "false", "true" if member else "false"])
    return write_csv(path, [*COLUMNS, *TARGETS], rows)


def data_section(folder: Path, target: str | list[str]) -> dict[str, Any]:
    """The `data` of a config with this target, of a table that is written into the folder."""
    targets = [target] if isinstance(target, str) else target
    return {
        "train": str(write_table(folder / "table.csv")),
        "target": target,
        "drop": [other for other in TARGETS if other not in targets],
        "columns": {"money": NUMBER},
        "missing": ["", "?", "-99"],
    }


def train_model(folder: Path, name: str) -> Path:
    """Train the model of this name in an empty folder; returns weights.npz."""
    target, sections = CONFIGS[name]
    data = {**data_section(folder, target), "validation": None if name == "members" else 0.2}
    model = {"layers": ["auto", 8, "auto"], **sections.get("model", {})}
    return train(folder, data, **{"training": SHORT, **sections, "model": model})


def train_each(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every model, by its name: weights.npz."""
    for place, name in enumerate(CONFIGS):
        own = folder / str(place)
        own.mkdir()
        yield name, train_model(own, name)
