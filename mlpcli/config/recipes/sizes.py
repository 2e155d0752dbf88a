"""The recipes, and their layer sizes, epochs, batch sizes and members for a table."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mlpcli.messages import format_number
from mlpcli.nn.schedules import CosLog

RecipeName = Literal["best", "strong", "fast", "textbook"]
Frequencies = Literal["none", "low", "high"]
RECIPES: tuple[RecipeName, ...] = ("best", "strong", "fast", "textbook")

# Numbers with fewer distinct values gain nothing from periodic embeddings or bins.
MANY_VALUES = 20
# Most tables of fewer rows are overfitted with normal scores and high frequencies.
MANY_ROWS = 2000
# Fewer rows are too few to compare frequencies on; and so much lower must the error with others be.
FEWEST_FREQUENCY_ROWS = 250
LEAST_FREQUENCY_GAIN: dict[Frequencies, float] = {"high": 0.04, "none": 0.015}
# High frequencies, and more members for fewer epochs, suit tables with at least so many rows.
LARGE_ROWS = 10_000
# With fewer rows none are held out: two folds need two rows each.
FEWEST_HELD_OUT_OF = 4
# Fewer validation rows do not determine an accuracy to within 0.1 at 95%: 1.96 sqrt(1/4 / n) = 0.1.
FEWEST_VALIDATION_ROWS = 97
FAST_FOLDS = 5
# This many classes need wider layers, and parametric activations.
MANY_CLASSES = 8
# From so many rows on, eight members of such layers take too long.
MANY_CLASSES_ROWS = 20_000


@dataclass(frozen=True)
class TargetTrial:
    """Out-of-fold errors of small networks with the target as it is and with its logarithm; and which is used."""

    mae: float
    log_mae: float
    rmse: float
    log_rmse: float
    takes_log: bool

    @property
    def reason(self) -> str:
        """The verdict and the errors, for a comment."""
        verdict = "log is better: errors grow with the target" if self.takes_log else "log is not clearly better"
        mae, log_mae, rmse, log_rmse = map(format_number, (self.mae, self.log_mae, self.rmse, self.log_rmse))
        return (
            f"{verdict}. MAE of a small network out of fold: {log_mae} with log, {mae} without; "
            f"RMSE: {log_rmse} with log, {rmse} without"
        )


@dataclass(frozen=True)
class FrequencyTrial:
    """Out-of-fold RMSE of small networks with the usual frequencies of numeric inputs, and with others."""

    usual: Frequencies
    other: Frequencies
    usual_rmse: float
    other_rmse: float

    @property
    def taken(self) -> Frequencies:
        """The others, if they are clearly better."""
        limit = (1.0 - LEAST_FREQUENCY_GAIN[self.other]) * self.usual_rmse
        return self.other if self.other_rmse < limit else self.usual

    @property
    def reason(self) -> str:
        """The errors and the verdict, for a comment."""
        usual, other = map(format_number, (self.usual_rmse, self.other_rmse))
        verdict = "not clearly lower" if self.other_rmse < self.usual_rmse else "not lower"
        verdict = "clearly lower" if self.taken == self.other else verdict
        return (
            f"RMSE of small networks out of fold: {other} with {_INPUTS[self.other]}, "
            f"{verdict} than {usual} with {_INPUTS[self.usual]}"
        )


_INPUTS = {
    "none": "standardized numbers only and small steps",
    "low": "robust scaling and low frequencies",
    "high": "normal scores and high frequencies",
}


@dataclass(frozen=True)
class TableSummary:
    """The properties of a table on which a recipe depends.

    `n_classes` is 0 for regression; `n_continuous` is the number of numeric columns with at least MANY_VALUES distinct
    values; rows with equal values of the column `group` ("" for none) are correlated; `n_codes` is the largest number
    of levels of a column of numbers that is categorical; `target_trial` is None if the logarithm was not tried, and
    `frequency_trial` if other frequencies than the usual ones were not; the networks of that trial have
    `tried_frequencies`.
    """

    task: str
    n_rows: int
    n_classes: int = 0
    n_continuous: int = 0
    rarest_class: str = ""
    n_targets: int = 1
    group: str = ""
    n_codes: int = 0
    target_trial: TargetTrial | None = None
    frequency_trial: FrequencyTrial | None = None
    tried_frequencies: Frequencies | None = None

    @property
    def frequencies(self) -> Frequencies:
        """Low ones overfit least, high ones follow a target that changes quickly; few values need neither."""
        if self.tried_frequencies is not None:
            return self.tried_frequencies
        if self.frequency_trial is not None:
            return self.frequency_trial.taken
        if not self.n_continuous:
            return "none"
        return "high" if self.n_rows >= MANY_ROWS else "low"

    @property
    def frequencies_to_try(self) -> Frequencies | None:
        """Other frequencies, on which a trial decides: for a number, and enough rows to compare errors."""
        predicts_number = not self.predicts_classes and self.n_targets == 1
        if not (predicts_number and self.n_continuous and FEWEST_FREQUENCY_ROWS <= self.n_rows < LARGE_ROWS):
            return None
        return "high" if self.n_rows < MANY_ROWS else "none"

    @property
    def has_only_plain_numbers(self) -> bool:
        """Whether numbers of many values have neither bins nor periodic embeddings, which only a trial decides."""
        return self.n_continuous > 0 and self.frequencies == "none"

    @property
    def holds_out(self) -> bool:
        """Whether there are enough rows to hold some out for the choice of the epoch."""
        return self.n_rows >= FEWEST_HELD_OUT_OF

    @property
    def is_large(self) -> bool:
        """Whether there are enough rows of each class for high frequencies, and for fewer epochs of more members."""
        return self.n_rows >= LARGE_ROWS and not self.has_many_classes

    @property
    def has_many_classes(self) -> bool:
        """Whether the target has so many classes that layers are wider, and activations parametric."""
        return self.n_classes >= MANY_CLASSES

    @property
    def has_few_numbers(self) -> bool:
        """Whether numbers are predicted from so few rows that each row, and more steps, count."""
        return self.n_rows < MANY_ROWS and not self.predicts_classes

    @property
    def stop_metric(self) -> str:
        """The metric that chooses the epoch; for several numeric targets one without a unit, so that all count."""
        return "log_loss" if self.predicts_classes else "rmse" if self.n_targets == 1 else "r2"

    @property
    def predicts_classes(self) -> bool:
        """Whether the predictions are probabilities."""
        return self.task != "regression"


@dataclass(frozen=True)
class Recipe:
    """The sizes of a recipe for a table."""

    name: RecipeName
    hidden: tuple[int, ...]
    epochs: int
    batch_size: int
    members: int = 1
    folds: int = 1
    cycles: int = CosLog().cycles

    @property
    def patience(self) -> int:
        """Epochs without improvement before `strong` stops: from the third cycle on, the first cycle without any."""
        return int(self.epochs * 2.0 ** (2 - self.cycles))


def choose_recipe(name: RecipeName, summary: TableSummary) -> Recipe:
    """The recipe for a table: the more rows, the fewer epochs and members, and the larger the batches."""
    n = summary.n_rows
    if name == "textbook":
        return Recipe(name, (30,), _by_rows(n, ((10_000, 100), (100_000, 30)), 10), 10 if n < 10_000 else 32)
    if name == "fast":
        width, epochs = 64 if n < 2000 else 128, _by_rows(n, ((20_000, 30), (100_000, 20)), 8)
        # A fifth of few rows is too small a validation set; with folds all rows are validation rows.
        folds = FAST_FOLDS if 2 * FAST_FOLDS <= n < FAST_FOLDS * FEWEST_VALIDATION_ROWS else 1
        return Recipe(name, (width, width), epochs, _fast_batch(n), folds, folds)
    members, folds, epochs, cycles = _strong_pace(summary)
    if name == "best":
        members, folds = 3 * members, 8 if n < LARGE_ROWS else 4
    folds = next((number for number in (folds, 4, 2) if n >= 2 * number), 1)
    epochs = epochs * 2 if name == "best" else epochs
    width = 256 if name == "best" or summary.has_many_classes else 128
    batch_size = _strong_batch(n * max(folds - 1, 1) // folds) // (2 if summary.has_few_numbers else 1)
    return Recipe(name, (width,) * 3, epochs, batch_size, members, folds, cycles)


def _strong_pace(summary: TableSummary) -> tuple[int, int, int, int]:
    """Members, folds, epochs and cycles of the learning rate.

    Two members that were not trained on a row are needed to estimate the score of their mean: a single member overfits
    earlier than the mean, and would choose too few epochs. From 10,000 rows on eight members in a third of the epochs
    take as long as four, and score better with few classes; many classes need the epochs too, in twice the time up to
    20,000 rows (docs/quality.md). For numbers of few rows, the rows that eight folds add to each member are worth more
    than the second held-out member, and a fifth cycle is trained only where the fourth was an improvement.
    """
    n = summary.n_rows
    if summary.has_few_numbers:
        return 8, 8, 96, 5
    if n < LARGE_ROWS or (summary.has_many_classes and n < MANY_CLASSES_ROWS):
        return 8, 4, 48, 4
    if summary.is_large and n < 100_000:
        return 8, 4, 16, 4
    return 4, 4, _by_rows(n, ((50_000, 48), (100_000, 32), (300_000, 16)), 8), 4


def cheaper(recipe: Recipe, summary: TableSummary) -> Recipe | None:
    """The next cheaper recipe, in about half the time; None if there is none."""
    if recipe.name == "best":
        return choose_recipe("strong", summary)
    if recipe.name != "strong":
        return None
    if recipe.members > 4:
        return replace(recipe, members=4, folds=min(recipe.folds, 4))
    if recipe.epochs > 16:
        return replace(recipe, epochs=recipe.epochs // 2, cycles=max(recipe.cycles - 1, 4))
    return choose_recipe("fast", summary)


def _strong_batch(n_trained: int) -> int:
    return _by_rows(n_trained, ((1000, 64), (4000, 128), (30_000, 256), (100_000, 512)), 1024)


def _fast_batch(n_rows: int) -> int:
    return _by_rows(n_rows, ((1000, 32), (5000, 64), (20_000, 128), (100_000, 256)), 1024)


def _by_rows(n_rows: int, steps: Sequence[tuple[int, int]], otherwise: int) -> int:
    """The value of the first step whose bound exceeds `n_rows`."""
    return next((value for below, value in steps if n_rows < below), otherwise)
