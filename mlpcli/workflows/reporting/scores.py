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
from mlpcli.messages import count, interval, number
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
from mlpcli.workflows.scoring.baseline import of_part
from mlpcli.workflows.scoring.main_metrics import main_metrics
from mlpcli.workflows.scoring.predictions import Predictions, Scored
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
    scored = Predictions(target, sample.truth, sample.predictions, sample.weights, model.threshold).score(
        interval_options
    )
    same = constant_predictions(target, SquaredError(), sample.truth, sample.weights, len(sample))
    exact = score_predictions(target, sample.truth, same, sample.weights)
    constant = {key: 0.0 if abs(value) < ROUNDING else value for key, value in exact.items()}
    return SampleScores(scored, constant, far_worse_on_rows(model, scored.scores, sample.truth, sample.weights))


def verdict_of_rows(model: Model, found: SampleScores, rows: ReportRows) -> str:
    """One or two sentences on the quality of the model."""
    scores, constant, n = found.scored.scores, found.constant, count(len(rows.sample), "row")
    if found.far_worse:
        return f"{found.far_worse[:1].upper()}{found.far_worse[1:]}"
    if isinstance(model.target, ClassTarget):
        labels = model.target.labels
        usual = labels[int(np.argmax(np.bincount(rows.sample.truth, rows.sample.weights, len(labels))))]
        text = f"Correct on {percent(scores['accuracy'])} of {n}{_between(found, 'accuracy', True)}. "
        return f"{text}Always predicting {usual} would be correct on {percent(constant['accuracy'])}."
    if isinstance(model.target, BooleanTarget):
        text = f"All targets correct on {percent(scores['subset_accuracy'])} of {n}, "
        cells, same = percent(1 - scores["hamming_loss"]), percent(1 - constant["hamming_loss"])
        return f"{text}and {cells} of all cells; the best constant prediction gets {same} of these."
    names = model.target.names
    if len(names) == 1:
        text = f"Mean absolute error {number(scores['mae'])} on {n}{_between(found, 'mae', False)}. "
        return text + f"That of the best constant prediction is {number(constant['mae'])}."
    text = f"R2 is {number(scores['r2'])} on {n}, the mean of {len(names)} targets{_between(found, 'r2', False)}. "
    return f"{text}That of a constant prediction is 0."


def _between(found: SampleScores, key: str, is_part: bool) -> str:
    ends = found.scored.intervals.get(key)
    if ends is None or not ends.low < ends.high:
        return ""
    if not is_part:
        return f" (confidence interval {number(ends.low)} to {number(ends.high)})"
    digits = next(n for n in range(8) if n == 7 or f"{100 * ends.low:.{n}f}" != f"{100 * ends.high:.{n}f}")
    return f" (confidence interval {100 * ends.low:.{digits}f}% to {100 * ends.high:.{digits}f}%)"


def verdict_of_record(model: Model) -> str:
    """The verdict from the scores recorded in training."""
    part = next((one for one in ("test", "validation", "train") if of_part(model.scores, one)), "")
    if not part:
        return "This model was never scored."
    scores = of_part(model.scores, part)
    keys = [
        key for key in main_metrics(model.target.task, prediction_names(model.target)) if scores.get(key) is not None
    ]
    listed = ", ".join(f"{key} {number(scores[key])}" for key in keys)
    rows = {"test": "test rows", "validation": "validation rows", "train": "training rows"}[part]
    optimistic = model.record.get("chosen", {}).get(part)
    more = (
        f" These rows chose {', '.join(f'the {one}' for one in optimistic)}: such scores are optimistic."
        if optimistic
        else ""
    )
    return f"Scores in training, on the {rows}: {listed}.{more}"


def key_figures(model: Model, found: SampleScores) -> list[tuple[str, str, str]]:
    """The main metrics, each with interval and baseline."""
    keys = main_metrics(model.target.task, prediction_names(model.target))[:KEY_FIGURES]
    return [(key, number(found.scored.scores[key]), _beside(found, key)) for key in keys]


def _beside(found: SampleScores, key: str) -> str:
    ends = interval(found.scored.intervals.get(key))
    constant = found.constant.get(key)
    parts = [ends] if ends else []
    parts += [f"constant {number(constant)}"] if constant is not None and constant == constant else []
    return " · ".join(parts)


def scores_section(model: Model, found: SampleScores) -> Section:
    """Every metric beside the baseline; for several targets also a table of the scores of each."""
    scored, constant = found.scored, found.constant
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
            ends, base = scored.intervals.get(key), constant.get(key)
            better = find_metric(key).higher_is_better
            is_worse = key in main and base is not None and (value < base if better else value > base)
            remark = (
                Cell("worse than constant", tone="bad")
                if is_worse
                else Cell(f"{'more' if better else 'less'} is better")
            )
            shown = Cell(number(value), value if value == value else None)
            rows.append((key, shown, Cell(interval(ends) or "-"), Cell(number(base)), remark))
    blocks: list[Block] = [Table("Every metric", columns, rows)]
    blocks += [
        Prose(f"No interval of {', '.join(keys)}: {why}.", "faint") for why, keys in scored.without_interval().items()
    ]
    parts = {key for key in scored.scores if "[" in key}
    if parts and not isinstance(model.target, ClassTarget):
        blocks.append(_parts(scored))
    lead = "The baseline predicts the class frequencies of these rows and ignores the inputs."
    if isinstance(model.target, NumberTarget):
        lead = "The baseline is the mean of the true values on these rows."
    return Section("scores-table", "Scores", blocks, lead)


def _parts(scored: Scored) -> Table:
    """The scores of each target."""
    names = list(dict.fromkeys(key.partition("[")[2][:-1] for key in scored.scores if "[" in key))
    metrics = list(dict.fromkeys(key.partition("[")[0] for key in scored.scores if "[" in key))
    rows: list[Sequence[Cell | str]] = [
        [name, *(Cell(number(value := scored.scores.get(f"{metric}[{name}]")), value) for metric in metrics)]
        for name in names[:MAX_TARGETS]
    ]
    more = f"{len(names) - MAX_TARGETS} further targets are left out." if len(names) > MAX_TARGETS else ""
    return Table("By target", [Column("target", True), *map(Column, metrics)], rows, more, is_sortable=True)


def recorded_scores_section(model: Model) -> Section | None:
    """The scores recorded in training, by split."""
    parts = list(dict.fromkeys(key.partition(".")[0] for key in model.scores))
    if not parts:
        return None
    found = {part: of_part(model.scores, part) for part in parts}
    keys = [key for key in dict.fromkeys(key for one in found.values() for key in one) if "[" not in key]
    rows: list[Sequence[Cell | str]] = [
        [key, *(Cell(number(found[part].get(key)), found[part].get(key)) for part in parts)] for key in keys
    ]
    table = Table("Every metric by split", [Column("metric", True), *map(Column, parts)], rows)
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
    own = model.target_state.get("temperature")
    found = model.record.get("temperature") if own is None else float(own[0])
    return float(found) if isinstance(found, int | float) and found > 0 and found != 1.0 else None


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
        limits = np.full(len(target.names), 0.5) if threshold is None else threshold
        return [
            Outcome(name, sample.truth[:, place] > 0.5, sample.predictions[:, place], float(limits[place]))
            for place, name in enumerate(target.names)
        ]
    labels = prediction_names(target)
    if len(labels) == 2:
        limit = 0.5 if threshold is None else float(threshold[0])
        return [Outcome(labels[1], sample.truth == 1, sample.predictions[:, 1], limit)]
    return [Outcome(name, sample.truth == k, sample.predictions[:, k], None) for k, name in enumerate(labels)]


def compared_section(model: Model, old: Model, sample: Sample, old_path: str, confidence: float) -> Section:
    """The difference of each main metric between two models on the same rows."""
    target = model.target
    names = prediction_names(target)
    assert sample.old is not None
    truth = Truth(target.task, sample.truth, names, sample.weights)
    before, after = Prediction(sample.old, old.threshold), Prediction(sample.predictions, model.threshold)
    metrics = list(main_metrics(target.task, names))
    found = compare_scores(truth, before, after, metrics, confidence, {})
    tones = {"better": "good", "worse": "bad"}
    rows: list[Sequence[Cell | str]] = [
        (
            one.metric, Cell(number(one.old), one.old), Cell(number(one.new), one.new),
            Cell(number(one.new - one.old), one.new - one.old), Cell(interval(one) or "-"),
            Cell(one.verdict, tone=tones.get(one.verdict, "faint")),
        )
        for one in found
    ]  # fmt: skip
    heads = [Column("metric", True), *map(Column, ("old", "new", "difference", "interval")), Column("verdict", True)]
    better = [one.metric for one in found if one.verdict == "better"]
    worse = [one.metric for one in found if one.verdict == "worse"]
    sentence = f"Better in {', '.join(better) or 'nothing'}, worse in {', '.join(worse) or 'nothing'}; the other "
    table = Table("Old and new", heads, rows, sentence + "differences are not significant.")
    reasons = dict.fromkeys(one.reason for one in found if one.reason)
    blocks: list[Block] = [table, *(Prose(f"No verdict: {why}.", "faint") for why in reasons)]
    lead = "Both models on the same rows; differences are new - old."
    return Section("compare", f"Compared with {old_path}", blocks, lead)
