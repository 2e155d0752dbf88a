"""Write a table of random numbers of any length: FILE ROWS COLUMNS [y]. Runs as a separate process.

A block of at most 20,000 rows is drawn and repeated, which does not affect the time to read.
"""

import subprocess
import sys
from pathlib import Path

BLOCK_ROWS = 20_000


def write_table(file: Path, n_rows: int, n_columns: int, has_target: bool) -> Path:
    """Numbers like -0.4172512, and a boolean target `y` that depends on the first two columns."""
    arguments = [str(file), str(n_rows), str(n_columns), *(["y"] if has_target else [])]
    subprocess.run([sys.executable, __file__, *arguments], check=True)
    return file


def _write(file: str, n_rows: int, n_columns: int, has_target: bool) -> None:
    import numpy as np

    rng = np.random.default_rng(0)
    X = rng.standard_normal((min(n_rows, BLOCK_ROWS), n_columns), np.float32)
    noise = rng.standard_normal(len(X), np.float32)
    answers = np.where(X[:, 0] * X[:, 1] + 0.3 * noise > 0, "yes", "no")
    rows = [",".join(f"{number:.7g}" for number in row) for row in X.tolist()]
    if has_target:
        rows = [f"{row},{answer}" for row, answer in zip(rows, answers, strict=True)]
    names = [f"x{column}" for column in range(n_columns)] + (["y"] if has_target else [])
    block = "\n".join(rows) + "\n"
    with open(file, "w", encoding="ascii") as out:
        out.write(",".join(names) + "\n")
        for _ in range(n_rows // len(rows)):
            out.write(block)
        out.writelines(f"{row}\n" for row in rows[: n_rows % len(rows)])


if __name__ == "__main__":
    _write(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), has_target="y" in sys.argv[4:])
