"""Tables with names that would be markup if a page did not escape them."""

import csv
from pathlib import Path

import numpy as np

from tests.program import train, write_csv

SCRIPT = "<script>window.hacked = 1</script>"
IMAGE = "<img src=x onerror='window.hacked = 1'>"
CLOSING = "</svg></script></style><b>bold</b>"
STYLED = 'style="fill: #1f2328" id="x" $x^2$ & {{ 7 * 7 }}'
HOSTILE = (SCRIPT, IMAGE, CLOSING, STYLED)


def hostile_table(path: Path, n_rows: int = 400) -> Path:
    """A table with such columns, levels and classes; two columns determine the target."""
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(2, n_rows))
    level = rng.integers(0, 3, n_rows)
    truth = np.where(x + (level == 1) + rng.logistic(0, 0.4, n_rows) > 0.3, CLOSING, IMAGE)
    rows = [
        [f"{a:.3f}", f"{b:.3f}" if number % 9 else "", HOSTILE[k], label]
        for number, (a, b, k, label) in enumerate(zip(x, z, level.tolist(), truth, strict=True))
    ]
    return write_csv(path, [SCRIPT, STYLED, IMAGE, "target <i>"], rows)


def hostile_run(folder: Path) -> Path:
    """Train on such a table; returns the folder of the run."""
    table = hostile_table(folder / "hostile.csv")
    data = {"train": str(table), "target": "target <i>", "validation": 0.3}
    train(folder, data, {"epochs": 4}, postprocess={"calibration": "temperature", "threshold": "f1_macro"})
    return folder / "run"


def split_in_two(path: Path) -> tuple[Path, Path]:
    """The even and the odd rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        names, *rows = csv.reader(file)
    return tuple(  # type: ignore[return-value]
        write_csv(path.with_name(f"{path.stem}-{part}.csv"), names, rows[start::2])
        for start, part in enumerate(("a", "b"))
    )
