"""What `mlp explain` finds, and its figures: importance of columns, reasons for rows, how answers go with a column."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlpcli.evaluation.scores import find_metric
from mlpcli.explain.dependence import Dependence
from mlpcli.explain.importance import Importance
from mlpcli.explain.inputs import Together
from mlpcli.model import Model
from mlpcli.report.columns import Worth
from mlpcli.report.drawing import require_image
from mlpcli.report.explained import dependence_image, importance_image
from mlpcli.storage.atomic import check_path, write_file


def check_image(path: str) -> None:
    """Raise MlpError for a file that cannot become an image, before the work; "" asks for none."""
    if path:
        require_image(path)
        check_path(path)


@dataclass(frozen=True)
class ImportanceResult:
    """The importance of each column, of columns that go together, and what was not done in time."""

    model: Model
    n_rows: int
    n_sampled: int
    metric: str
    score: float
    columns: tuple[Importance, ...]
    together: tuple[tuple[Together, Importance], ...]
    notes: tuple[str, ...]

    @property
    def change(self) -> str:
        """What the numbers are: `log_loss rises by`."""
        return f"{self.metric} {'falls' if find_metric(self.metric).higher_is_better else 'rises'} by"

    def draw(self, path: str) -> None:
        """Write the importance of the columns as an image; raises MlpError and OutputError."""
        bars = [Worth(one.columns[0], one.loss, one.low, one.high) for one in self.columns]
        write_file(path, importance_image(bars, self.change, path))


@dataclass(frozen=True)
class RowReasons:
    """The answer to a row, the number that is explained, that number for the typical row, and what each column adds."""

    row: str
    answer: Any
    of: str
    value: float
    baseline: float
    parts: tuple[float, ...]


@dataclass(frozen=True)
class DependenceResult:
    """How the answers go with some columns; `answers` names what the numbers are of."""

    model: Model
    n_rows: int
    n_sampled: int
    answers: tuple[str, ...]
    columns: tuple[Dependence, ...]
    notes: tuple[str, ...]

    @property
    def shown(self) -> dict[int, str]:
        """Place and name of each answer that is shown: of two classes the second says all.

        `p_Adelie` is a probability as `mlp predict --proba` names it; a number has the name of its target.
        """
        task = self.model.target.task
        places = [1] if task == "classification" and len(self.answers) == 2 else range(len(self.answers))
        return {place: self.answers[place] if task == "regression" else f"p_{self.answers[place]}" for place in places}

    def draw(self, path: str) -> None:
        """Write how the answers go with the columns as an image; raises MlpError and OutputError."""
        places = list(self.shown)
        panels = [
            {
                "name": one.column,
                "values": one.values,
                "positions": _positions(one.values),
                "mean": one.mean[:, places],
                "curves": one.curves[:, :, places],
            }
            for one in self.columns
        ]
        write_file(path, dependence_image(panels, list(self.shown.values()), path))


def _positions(values: Sequence[str]) -> list[float] | None:
    """The values as numbers, None where one of them is none."""
    try:
        return [float(value) for value in values]
    except ValueError:
        return None
