"""The results of `mlp explain` and their figures: importance, contributions, partial dependence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlpcli.evaluation.metrics.scores import find_metric
from mlpcli.explain.dependence import Dependence
from mlpcli.explain.importance import Importance
from mlpcli.explain.inputs import CorrelatedColumns
from mlpcli.model import Model
from mlpcli.report.columns import ColumnImportance
from mlpcli.report.drawing import require_image
from mlpcli.report.explained import dependence_image, importance_image
from mlpcli.storage.atomic import check_path, write_file


def check_image(path: str) -> None:
    """Raise MlpError early for a path that cannot be written as an image; "" means no image."""
    if path:
        require_image(path)
        check_path(path)


@dataclass(frozen=True)
class ImportanceResult:
    """The permutation importance of each column, and of each group of correlated columns shuffled `together`.

    Of `n_rows` rows, `n_sampled` were used. `score` is that of `metric` on the unshuffled rows.
    """

    model: Model
    n_rows: int
    n_sampled: int
    metric: str
    score: float
    columns: tuple[Importance, ...]
    together: tuple[tuple[CorrelatedColumns, Importance], ...]
    notes: tuple[str, ...]

    @property
    def change(self) -> str:
        """The meaning of the numbers: `log_loss rises by`."""
        return f"{self.metric} {'falls' if find_metric(self.metric).higher_is_better else 'rises'} by"

    def draw(self, path: str) -> None:
        """Write the importance of the columns as an image; raises MlpError and OutputError."""
        bars = [ColumnImportance(column.columns[0], column.loss, column.low, column.high) for column in self.columns]
        write_file(path, importance_image(bars, self.change, path))


@dataclass(frozen=True)
class ExplainedRow:
    """The prediction for a row, and the contribution of each column to it.

    `row` is the position in the file. The explained number is the probability or number `value` of the class or target
    `explained`; `baseline` is its value for the typical row, and the contributions sum to the difference.
    """

    row: str
    prediction: Any
    explained: str
    value: float
    baseline: float
    contributions: tuple[float, ...]


@dataclass(frozen=True)
class DependenceResult:
    """Partial dependence on some columns; `output_names` are the classes or targets that are predicted."""

    model: Model
    n_rows: int
    n_sampled: int
    output_names: tuple[str, ...]
    columns: tuple[Dependence, ...]
    notes: tuple[str, ...]

    @property
    def shown(self) -> dict[int, str]:
        """Index and name of each prediction that is shown; of two classes only the second.

        A probability is named as by `mlp predict --proba` (`p_Adelie`), a number like its target.
        """
        task = self.model.target.task
        indices = [1] if task == "classification" and len(self.output_names) == 2 else range(len(self.output_names))
        return {
            index: self.output_names[index] if task == "regression" else f"p_{self.output_names[index]}"
            for index in indices
        }

    def draw(self, path: str) -> None:
        """Write the partial dependence as an image; raises MlpError and OutputError."""
        indices = list(self.shown)
        panels = [
            {
                "name": dependence.column,
                "values": dependence.values,
                "positions": _positions(dependence.values),
                "mean": dependence.mean[:, indices],
                "curves": dependence.curves[:, :, indices],
            }
            for dependence in self.columns
        ]
        write_file(path, dependence_image(panels, list(self.shown.values()), path))


def _positions(values: Sequence[str]) -> list[float] | None:
    """The values as numbers; None if one of them is not a number."""
    try:
        return [float(value) for value in values]
    except ValueError:
        return None
