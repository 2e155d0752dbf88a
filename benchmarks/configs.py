"""A config with which `mlp train` does the same work as the scripts of the other libraries."""

from collections.abc import Sequence
from pathlib import Path


def write_config(
    file: Path,
    train: Path,
    target: str,
    hidden: Sequence[int],
    epochs: int,
    batch_size: int = 256,
    scale: str = "standardize",
    engine: str = "auto",
) -> Path:
    """Adam at 0.001, relu, no validation rows, no early stopping; `scale` is preprocess.numeric."""
    layers = ", ".join(map(str, ["auto", *hidden, "auto"]))
    file.write_text(
        f"""\
data: {{train: {train}, target: {target}, validation: null}}
preprocess: {{numeric: {scale}}}
model: {{layers: [{layers}], activation: relu}}
training:
  optimizer: {{name: adam, learning_rate: 0.001}}
  batch_size: {batch_size}
  epochs: {epochs}
  engine: {engine}
  early_stopping: null
"""
    )
    return file
