"""Report sections on scores and predictions: verdict, metrics beside the baseline, and the figures of each task."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.targets.target import (
    BooleanTarget,
    ClassTarget,
    NumberTarget,
    decode_outputs,
    predicted_labels,
    prediction_names,
)
from mlpcli.evaluation.metrics.classes import confusion_matrix
from mlpcli.evaluation.metrics.scores import find_metric
from mlpcli.evaluation.uncertainty.intervals import IntervalOptions
from mlpcli.evaluation.uncertainty.paired import Prediction, Truth, compare_scores
from mlpcli.messages import format_count, format_interval, format_number
from mlpcli.model import Model
from mlpcli.nn.losses import SquaredError
from mlpcli.nn.merge import scale_logits
from mlpcli.report.binning import Reliability, Values, reliability
from mlpcli.report.classes import (
    Outcome,
    calibration_section,
    confusion_section,
    percent,
    ranking_section,
    spread_section,
)
from mlpcli.report.numbers import numbers_section
from mlpcli.report.page import Block, Cell, Column, Prose, Section, Table
from mlpcli.workflows.reporting.rows import ReportRows, Sample
from mlpcli.workflows.scoring.baseline import split_scores
from mlpcli.workflows.scoring.main_metrics import main_metrics
from mlpcli.workflows.scoring.predictions import LabeledPredictions, Scored
from mlpcli.workflows.scoring.scores import constant_predictions, far_worse_on_rows, score_predictions

MAX_TARGETS = 60  # rows of the table of targets
KEY_FIGURES = 4
ROUNDING = 1e-12  # rounding error of a score of 0, such as the ece of the best constant prediction


@dataclass(frozen=True)
class SampleScores:
    """The scores of the sample with their intervals, and those of the best constant prediction for these rows."""

    scored: Scored
    constant: dict[str, float]
    far_worse: str


def score_rows(model: Model, rows: ReportRows, interval_options: IntervalOptions) -> SampleScores:
    """Score the sample, and the constant baseline on it."""
    target, sample = model.target, rows.sample
    scored = LabeledPredictions(target, sample.truth, sample.predictions, sample.weights, model.threshold).score(
        interval_options
    )
    constant_rows = constant_predictions(target, SquaredError(), sample.truth, sample.weights, len(sample))
    constant_scores = score_predictions(target, sample.truth, constant_rows, sample.weights)
    constant = {key: 0.0 if abs(value) < ROUNDING else value for key, value in constant_scores.items()}
    return SampleScores(scored, constant, far_worse_on_rows(model, scored.scores, sample.truth, sample.weights))


def verdict_of_rows(model: Model, sample_scores: SampleScores, rows: ReportRows) -> str:
    """One or two sentences on the quality of the model."""
    scores, constant, n = sample_scores.scored.scores, sample_scores.constant, format_count(len(rows.sample), "row")
    if sample_scores.far_worse:
        return f"{sample_scores.far_worse[:1].upper()}{sample_scores.far_worse[1:]}"
    if isinstance(model.target, ClassTarget):
        labels = model.target.labels
        most_frequent = labels[int(np.argmax(np.bincount(rows.sample.truth, rows.sample.weights, len(labels))))]
        text = f"Correct on {percent(scores['accuracy'])} of {n}{_between(sample_scores, 'accuracy', True)}. "
        return f"{text}Always predicting {most_frequent} would be correct on {percent(constant['accuracy'])}."
    if isinstance(model.target, BooleanTarget):
        text = f"All targets correct on {percent(scores['subset_accuracy'])} of {n}, "
        cells, constant_cells = percent(1 - scores["hamming_loss"]), percent(1 - constant["hamming_loss"])
        return f"{text}and {cells} of all cells; the best constant prediction gets {constant_cells} of these."
    names = model.target.names
    if len(names) == 1:
        text = f"Mean absolute error {format_number(scores['mae'])} on {n}{_between(sample_scores, 'mae', False)}. "
        return text + f"That of the best constant prediction is {format_number(constant['mae'])}."
    between = _between(sample_scores, "r2", False)
    text = f"R2 is {format_number(scores['r2'])} on {n}, the mean of {len(names)} targets{between}. "
    return f"{text}That of a constant prediction is 0."


def _between(sample_scores: SampleScores, key: str, is_fraction: bool) -> str:
    """The interval of a score in words, "" without one."""
    ends = sample_scores.scored.intervals.get(key)
    if ends is None or not ends.low < ends.high:
        return ""
    if not is_fraction:
        return f" (confidence interval {format_number(ends.low)} to {format_number(ends.high)})"
    digits = next(n for n in range(8) if n == 7 or f"{100 * ends.low:.{n}f}" != f"{100 * ends.high:.{n}f}")
    return f" (confidence interval {100 * ends.low:.{digits}f}% to {100 * ends.high:.{digits}f}%)"


def verdict_of_record(model: Model) -> str:
    """The verdict from the scores recorded in training."""
    split = next((name for name in ("test", "validation", "train") if split_scores(model.scores, name)), "")
    if not split:
        return "This model was never scored."
    scores = split_scores(model.scores, split)
    keys = [
        key for key in main_metrics(model.target.task, prediction_names(model.target)) if scores.get(key) is not None
    ]
    listed = ", ".join(f"{key} {format_number(scores[key])}" for key in keys)
    rows = {"test": "test rows", "validation": "validation rows", "train": "training rows"}[split]
    optimistic = model.record.get("chosen", {}).get(split)
    more = (
        f" These rows chose {', '.join(f'the {choice}' for choice in optimistic)}: such scores are optimistic."
        if optimistic
        else ""
    )
    return f"Scores in training, on the {rows}: {listed}.{more}"


def key_figures(model: Model, sample_scores: SampleScores) -> list[tuple[str, str, str]]:
    """The main metrics, each with interval and baseline."""
    keys = main_metrics(model.target.task, prediction_names(model.target))[:KEY_FIGURES]
    return [(key, format_number(sample_scores.scored.scores[key]), _beside(sample_scores, key)) for key in keys]


def _beside(sample_scores: SampleScores, key: str) -> str:
    """Interval and baseline of a score, as the remark of a key figure."""
    ends = format_interval(sample_scores.scored.intervals.get(key))
    constant = sample_scores.constant.get(key)
    remarks = [ends] if ends else []
    remarks += [f"constant {format_number(constant)}"] if constant is not None and constant == constant else []
    return " · ".join(remarks)


def scores_section(model: Model, sample_scores: SampleScores) -> Section:
    """Every metric beside the baseline; for several targets also a table of the scores of each."""
    scored, constant = sample_scores.scored, sample_scores.constant
    columns = [
        Column("metric", True),
        Column("score"),
        Column("interval"),
        Column("constant baseline"),
        Column("", True),
    ]
    main = main_metrics(model.target.task, prediction_names(model.target))
    rows: list[Sequence[Cell | str]] = []
    for key, value in scored.scores.items():
        if "[" not in key:
            ends, baseline = scored.intervals.get(key), constant.get(key)
            higher_is_better = find_metric(key).higher_is_better
            remark = Cell(f"{'more' if higher_is_better else 'less'} is better")
            if key in main and baseline is not None and (value < baseline if higher_is_better else value > baseline):
                remark = Cell("worse than constant", tone="bad")
            shown = Cell(format_number(value), value if value == value else None)
            rows.append((key, shown, Cell(format_interval(ends) or "-"), Cell(format_number(baseline)), remark))
    blocks: list[Block] = [Table("Every metric", columns, rows)]
    blocks += [
        Prose(f"No interval of {', '.join(keys)}: {why}.", "faint") for why, keys in scored.without_interval().items()
    ]
    per_target = {key for key in scored.scores if "[" in key}
    if per_target and not isinstance(model.target, ClassTarget):
        blocks.append(_target_scores(scored))
    lead = "The baseline predicts the class frequencies of these rows and ignores the inputs."
    if isinstance(model.target, NumberTarget):
        lead = "The baseline is the mean of the true values on these rows."
    return Section("scores-table", "Scores", blocks, lead)


def _target_scores(scored: Scored) -> Table:
    """The scores of each target."""
    names = list(dict.fromkeys(key.partition("[")[2][:-1] for key in scored.scores if "[" in key))
    metrics = list(dict.fromkeys(key.partition("[")[0] for key in scored.scores if "[" in key))
    rows: list[Sequence[Cell | str]] = [
        [name, *(Cell(format_number(value := scored.scores.get(f"{metric}[{name}]")), value) for metric in metrics)]
        for name in names[:MAX_TARGETS]
    ]
    more = f"{len(names) - MAX_TARGETS} further targets are left out." if len(names) > MAX_TARGETS else ""
    return Table("By target", [Column("target", True), *map(Column, metrics)], rows, more, is_sortable=True)


def recorded_scores_section(model: Model) -> Section | None:
    """The scores recorded in training, by split."""
    splits = list(dict.fromkeys(key.partition(".")[0] for key in model.scores))
    if not splits:
        return None
    scores = {split: split_scores(model.scores, split) for split in splits}
    keys = [key for key in dict.fromkeys(key for by_metric in scores.values() for key in by_metric) if "[" not in key]
    rows: list[Sequence[Cell | str]] = [
        [key, *(Cell(format_number(value := scores[split].get(key)), value) for split in splits)] for key in keys
    ]
    table = Table("Every metric by split", [Column("metric", True), *map(Column, splits)], rows)
    return Section("scores-table", "Scores", [table], "As recorded in training; the baseline ignores the inputs.")


def prediction_sections(model: Model, rows: ReportRows) -> list[Section | None]:
    """Confusion matrix, curves, calibration and distribution of probabilities; for numbers true against predicted."""
    target, sample = model.target, rows.sample
    if isinstance(target, NumberTarget):
        return [numbers_section(target.names, sample.truth, sample.predictions)]
    outcomes = _outcomes(model, sample)
    ranked, spread = ranking_section(outcomes, sample.weights), spread_section(outcomes, sample.weights)
    calibration = _calibration(model, rows)
    if isinstance(target, BooleanTarget):
        return [ranked, calibration, spread]
    _, predicted = predicted_labels(target, sample.predictions, model.threshold)[target.name]
    matrix = confusion_matrix(sample.truth.astype(np.int64), predicted, len(target.labels), sample.weights)
    return [confusion_section(matrix, target.labels), ranked, calibration, spread]


def _calibration(model: Model, rows: ReportRows) -> Section:
    target, temperature = model.target, temperature_of(model)
    what = {"classes": "the most probable class", "booleans": "yes"}[target.kind]
    if isinstance(target, ClassTarget) and len(target.labels) == 2:
        what = target.labels[1]
    if temperature is None:
        return calibration_section(_reliability(model, rows.sample, rows.sample.predictions), None, None, what)
    sample = rows.detailed.sample
    before = _reliability(model, sample, uncalibrated_predictions(model, rows.detailed.X))
    return calibration_section(_reliability(model, sample, sample.predictions), before, temperature, what)


def _reliability(model: Model, sample: Sample, predictions: Values) -> Reliability:
    """The reliability diagram of the second of two classes, the most probable class of more, or all boolean targets."""
    weights = sample.weights
    if isinstance(model.target, BooleanTarget):
        weights = None if weights is None else np.repeat(weights, predictions.shape[1])
        return reliability(predictions.ravel(), sample.truth.ravel() > 0.5, weights)
    if predictions.shape[1] == 2:
        return reliability(predictions[:, 1], sample.truth == 1, weights)
    return reliability(predictions.max(axis=1), predictions.argmax(axis=1) == sample.truth, weights)


def temperature_of(model: Model) -> float | None:
    """The temperature of the predictions, or of each member's logits; None if uncalibrated."""
    fitted = model.target_state.get("temperature")
    temperature = model.record.get("temperature") if fitted is None else float(fitted[0])
    if not isinstance(temperature, int | float) or not temperature > 0 or temperature == 1.0:
        return None
    return float(temperature)


def uncalibrated_predictions(model: Model, X: NDArray[np.floating[Any]]) -> Values:
    """Uncalibrated predictions (n_rows, n_predictions); the temperature of members is undone in their last layers."""
    state = {name: values for name, values in model.target_state.items() if name != "temperature"}
    ensemble, temperature = model.ensemble, temperature_of(model)
    if "temperature" not in model.target_state and temperature is not None:
        flats = tuple(flat.copy() for flat in ensemble.flats)
        for network, flat in zip(ensemble.networks, flats, strict=True):
            scale_logits(network, flat, temperature)
        ensemble = replace(ensemble, flats=flats)
    return decode_outputs(model.target, state, ensemble.outputs(X))


def _outcomes(model: Model, sample: Sample) -> list[Outcome]:
    """The binary outcomes: the second of two classes, each of more classes, or each boolean target."""
    target, threshold = model.target, model.threshold
    if isinstance(target, BooleanTarget):
        thresholds = np.full(len(target.names), 0.5) if threshold is None else threshold
        return [
            Outcome(name, sample.truth[:, index] > 0.5, sample.predictions[:, index], float(thresholds[index]))
            for index, name in enumerate(target.names)
        ]
    labels = prediction_names(target)
    if len(labels) == 2:
        cutoff = 0.5 if threshold is None else float(threshold[0])
        return [Outcome(labels[1], sample.truth == 1, sample.predictions[:, 1], cutoff)]
    return [Outcome(name, sample.truth == k, sample.predictions[:, k], None) for k, name in enumerate(labels)]


def compared_section(model: Model, old: Model, sample: Sample, old_path: str, confidence: float) -> Section:
    """The difference of each main metric between two models on the same rows."""
    target = model.target
    names = prediction_names(target)
    assert sample.old is not None
    truth = Truth(target.task, sample.truth, names, sample.weights)
    before, after = Prediction(sample.old, old.threshold), Prediction(sample.predictions, model.threshold)
    metrics = list(main_metrics(target.task, names))
    differences = compare_scores(truth, before, after, metrics, confidence, {})
    tones = {"better": "good", "worse": "bad"}
    rows: list[Sequence[Cell | str]] = [
        (
            difference.metric,
            *(Cell(format_number(value), value) for value in (difference.old, difference.new, difference.difference)),
            Cell(format_interval(difference) or "-"),
            Cell(difference.verdict, tone=tones.get(difference.verdict, "faint")),
        )
        for difference in differences
    ]  # fmt: skip
    heads = [Column("metric", True), *map(Column, ("old", "new", "difference", "interval")), Column("verdict", True)]
    better = [difference.metric for difference in differences if difference.verdict == "better"]
    worse = [difference.metric for difference in differences if difference.verdict == "worse"]
    sentence = f"Better in {', '.join(better) or 'nothing'}, worse in {', '.join(worse) or 'nothing'}; the other "
    table = Table("Old and new", heads, rows, sentence + "differences are not significant.")
    reasons = dict.fromkeys(difference.reason for difference in differences if difference.reason)
    blocks: list[Block] = [table, *(Prose(f"No verdict: {why}.", "faint") for why in reasons)]
    lead = "Both models on the same rows; differences are new - old."
    return Section("compare", f"Compared with {old_path}", blocks, lead)
