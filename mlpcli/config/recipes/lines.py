"""Each recipe of `mlp init` as the lines of a config with comments.

`strong` is RealMLP's network and training (Holzmueller et al. 2024: NTK, scaled inputs, coslog) with several small
members on folds, half of them with periodic embeddings and half with bins. From 2000 rows on numbers are transformed to
normal scores, and each member draws the scale of its frequencies, as in TabPack (arXiv 2607.05380); most tables of
fewer rows would be overfitted, and their numbers gain from residual connections. A trial may prefer other frequencies,
or the logarithm of a skewed target. Only many classes gain from parametric activations. With averaged members, dropout
and weight decay improve nothing (docs/quality.md). `best` has more and wider members and more epochs.
`fast` is one network in few epochs, or five on folds for a small table. `textbook` is the network of Nielsen (2015,
chapter 3): one hidden layer of sigmoids, plain stochastic gradient descent, cross-entropy for classes, quadratic cost.
"""

from dataclasses import dataclass

from mlpcli.config.recipes.sizes import MANY_ROWS, MANY_VALUES, Recipe, TableSummary
from mlpcli.data.features.onehot import OneHot
from mlpcli.data.reading.faults import format_yaml
from mlpcli.nn.schedules import CosLog


@dataclass(frozen=True)
class Section:
    """A section of the config as lines with comments ("" for none)."""

    name: str
    lines: tuple[tuple[str, str], ...]


def sections(recipe: Recipe, summary: TableSummary) -> tuple[Section, ...]:
    """All sections after `data`."""
    write = {"best": _strong, "strong": _strong, "fast": _fast, "textbook": _textbook}[recipe.name]
    return write(recipe, summary)


def validation(recipe: Recipe, summary: TableSummary) -> tuple[str, str]:
    """The value of data.validation, and the reason."""
    if not summary.holds_out:
        return "null", "too few rows for a validation split"
    if summary.group:
        group = f"group: {format_yaml(summary.group)}"
        value = f"{{{group}}}" if recipe.members > 1 else f"{{fraction: 0.2, {group}}}"
        return value, f"rows of one {summary.group} are in the same split: scores apply to new groups"
    if recipe.members > 1:
        return "null", "each member holds out one fold; the held-out rows choose the epoch"
    by = {"classification": ", stratified by class,", "multilabel": ", stratified by column,", "regression": ""}
    return "0.2", f"fraction of rows{by[summary.task]} that chooses the best epoch"


def _strong(recipe: Recipe, summary: TableSummary) -> tuple[Section, ...]:
    after = ("clamp: true", "predictions are clipped to the range of the training targets")
    if summary.predicts_classes and summary.holds_out:
        after = ("calibration: temperature", "temperature scaling, fitted on out-of-fold predictions")
    elif summary.predicts_classes:
        after = ("calibration: none", "no held-out rows to fit a temperature on")
    return (
        Section("preprocess", (*_strong_preprocess(summary), *_target(summary))),
        Section("model", tuple(_strong_model(recipe, summary))),
        Section("training", tuple(_strong_training(recipe, summary))),
        Section("postprocess", (after, *_bias_correction(summary))),
    )


def _target(summary: TableSummary) -> list[tuple[str, str]]:
    """The transform of the target, with the verdict and the errors of both; nothing if the logarithm was not tried."""
    trial = summary.target_trial
    if trial is None:
        return []
    return [("target: log" if trial.takes_log else "# target: log", trial.reason)]


def _bias_correction(summary: TableSummary) -> list[tuple[str, str]]:
    if summary.target_trial is None or not summary.target_trial.takes_log:
        return []
    return [("bias_correction: true", "the mean prediction of held-out rows is that of their targets")]


def _alternates(summary: TableSummary) -> bool:
    """Whether half of the members get numbers as bins, and half as periodic embeddings."""
    return summary.frequencies != "none"


def _strong_preprocess(summary: TableSummary) -> list[tuple[str, str]]:
    preprocess = [
        _scaling(summary),
        ("missing: median", "imputed, with a 0/1 missing indicator"),
        (
            f"categorical: {{name: onehot, min_count: 2, binary: one{_max_levels(summary)}}}",
            "one-hot; a column with two levels has one input",
        ),
    ]
    if _alternates(summary):
        bins = f"{{name: piecewise_linear, bins: 16, edges: quantile, span: 0.3, min_distinct: {MANY_VALUES}}}"
        preprocess.insert(1, (f"encoding: {bins}", "half of the members use bins ..."))
    return preprocess


def _scaling(summary: TableSummary) -> tuple[str, str]:
    value, comment = "{name: robust, clip: 3}", "scaled by median and interquartile range; outliers clipped smoothly"
    if summary.frequencies == "high":
        value, comment = "quantile", "normal scores: the rank of each number among the training rows"
    elif summary.has_only_plain_numbers:
        value, comment = "standardize", "mean 0, standard deviation 1; neither bins nor periodic embeddings"
    trial = summary.frequency_trial
    return f"numeric: {value}", comment if trial is None else f"{comment}. {trial.reason}"


def _strong_model(recipe: Recipe, summary: TableSummary) -> list[tuple[str, str]]:
    alternates, draws = _alternates(summary), summary.frequencies == "high"
    members = f"count: {recipe.members}" + (f", rows: folds, folds: {recipe.folds}" if recipe.folds > 1 else "")
    views = (", views: alternate" if alternates else "") + (f", draw: {{{_sigma(summary)}}}" if draws else "")
    model = [
        (f"layers: {_layers(recipe)}", "auto: sizes taken from the data"),
        ("activation: selu", "for classes; mish for regression")
        if summary.predicts_classes
        else ("activation: mish", "for regression; selu for classes"),
        (
            f"members: {{{members}{views}}}",
            "ensemble of networks; each draws the scale of its frequencies"
            if draws
            else "ensemble: networks trained separately and averaged",
        ),
        ("parametrization: ntk", "rates scaled by layer width: one learning rate suits every width"),
        ("scale_inputs: true", "a learnt factor for each input"),
        (
            "initializer: {name: lecun_normal, bias_scale: 1, zero_last: true}",
            "random biases; the last layer starts at zero",
        ),
    ]
    if summary.has_many_classes:
        model.insert(2, ("learn_slopes: true", "a learnt mix of z and selu(z) for each neuron"))
    if summary.has_few_numbers:
        model.append(("residual: true", "a hidden layer adds its input to its output; for few rows"))
    if alternates:
        sigma = "" if draws else "sigma: 0.1, "
        cosines = f"{{name: periodic, {sigma}min_distinct: {MANY_VALUES}}}"
        model.append((f"numeric_embedding: {cosines}", "... the other half use periodic embeddings"))
    return model


def _strong_training(recipe: Recipe, summary: TableSummary) -> list[tuple[str, str]]:
    rate = "0.04" if summary.predicts_classes else "0.01" if summary.has_only_plain_numbers else "0.07"
    slopes = ", slopes: 0.1" if summary.has_many_classes else ""
    schedule = "coslog" if recipe.cycles == CosLog().cycles else f"{{name: coslog, cycles: {recipe.cycles}}}"
    stopping = f"{{metric: {summary.stop_metric}, at: cycle_ends, patience: {recipe.patience}}}"
    return [
        (f"loss: {_smoothed(summary)}", "label smoothing; calibration below corrects the probabilities")
        if summary.predicts_classes and summary.holds_out
        else (f"loss: {_LOSSES[summary.task]}", ""),
        *_class_weights(summary),
        (
            f"optimizer: {{name: adam, learning_rate: {rate}, beta2: 0.95}}",
            "beta2 below 0.999, as the learning rate changes in cycles",
        ),
        (f"rates: {{biases: 0.1, scale: 6, periodic: 0.1{slopes}}}", "learning-rate multipliers by kind of parameter"),
        (f"schedule: {schedule}", "cosine cycles of doubling length; each ends at learning rate 0"),
        (f"batch_size: {recipe.batch_size}", ""),
        (f"epochs: {recipe.epochs}", ""),
        _stopping(summary, stopping, "epochs are scored at the end of each cycle; the best is kept"),
        ("seed: 0", "the same seed gives the same weights with any number of threads"),
    ]


def _fast(recipe: Recipe, summary: TableSummary) -> tuple[Section, ...]:
    return (
        Section(
            "preprocess",
            (
                (
                    "numeric: {name: robust, clip: 3}",
                    "scaled by median and interquartile range; outliers clipped smoothly",
                ),
                ("missing: median", "imputed, with a 0/1 missing indicator"),
                (
                    f"categorical: {{name: onehot, min_count: 5{_max_levels(summary)}}}",
                    "levels with fewer training rows share one input",
                ),
            ),
        ),
        Section(
            "model",
            (
                (f"layers: {_layers(recipe)}", "auto: sizes taken from the data"),
                ("activation: relu", "fast to compute"),
                *_fast_members(recipe),
                ("dropout: 0.1", "random dropout of hidden neurons, against overfitting"),
            ),
        ),
        Section(
            "training",
            (
                (f"loss: {_LOSSES[summary.task]}", ""),
                *_class_weights(summary),
                (
                    "optimizer: {name: adamw, learning_rate: 0.004, weight_decay: 0.05}",
                    "adaptive step sizes, decoupled weight decay",
                ),
                ("schedule: {name: cosine, warmup: 1}", "one epoch of warm-up, then cosine decay to 0"),
                (f"batch_size: {recipe.batch_size}", ""),
                (f"epochs: {recipe.epochs}", ""),
                _stopping(
                    summary,
                    f"{{metric: {summary.stop_metric}, patience: {max(5, recipe.epochs // 3)}}}",
                    "the best epoch is kept",
                ),
                ("seed: 0", "the same seed gives the same weights with any number of threads"),
            ),
        ),
    )


def _fast_members(recipe: Recipe) -> list[tuple[str, str]]:
    if recipe.members == 1:
        return []
    return [
        (
            f"members: {{count: {recipe.members}, rows: folds}}",
            "each row is scored by the network that held it out",
        )
    ]


def _textbook(recipe: Recipe, summary: TableSummary) -> tuple[Section, ...]:
    cost = {
        "classification": "cost; the quadratic cost is squared_error with output_activation: sigmoid",
        "multilabel": "cost; the quadratic cost is squared_error",
        "regression": "the quadratic cost, 1/2 (a - y)^2",
    }[summary.task]
    output = {"classification": "softmax", "multilabel": "sigmoid", "regression": "identity"}[summary.task]
    return (
        Section(
            "preprocess",
            (
                ("numeric: standardize", "mean 0, standard deviation 1; also robust, minmax, none"),
                ("missing: median", "imputed, with a 0/1 missing indicator; also mean, error"),
                ("categorical: onehot", "one input per level"),
            ),
        ),
        Section(
            "model",
            (
                (f"layers: {_layers(recipe)}", "n -> N -> M; auto: sizes taken from the data"),
                ("activation: sigmoid", "1 / (1 + exp(-z)); also tanh, relu, ..."),
                (f"output_activation: {output}", "activation of the output layer"),
            ),
        ),
        Section(
            "training",
            (
                (f"loss: {_LOSSES[summary.task]}", cost),
                *_class_weights(summary),
                (
                    f"optimizer: {{name: sgd, learning_rate: {0.5 if summary.predicts_classes else 0.1}}}",
                    "W -= learning_rate * dC/dW, b -= learning_rate * dC/db",
                ),
                (f"batch_size: {recipe.batch_size}", "rows per step"),
                (f"epochs: {recipe.epochs}", "passes over the training rows"),
                _stopping(
                    summary,
                    f"{{metric: {summary.stop_metric}, patience: 20}}",
                    "the best epoch on the validation rows is kept",
                ),
                ("seed: 0", "the same seed gives the same weights with any number of threads"),
            ),
        ),
    )


_LOSSES = {"classification": "cross_entropy", "regression": "squared_error", "multilabel": "binary_cross_entropy"}


def _sigma(summary: TableSummary) -> str:
    """The range of the standard deviation of frequencies: none suits all tables (docs/quality.md)."""
    return f"model.numeric_embedding.sigma: {{log_uniform: {'[1, 8]' if summary.is_large else '[0.2, 4]'}}}"


def _stopping(summary: TableSummary, value: str, comment: str) -> tuple[str, str]:
    """The line of early stopping; null if no rows are held out."""
    value, comment = (value, comment) if summary.holds_out else ("null", "the last epoch is kept")
    return f"early_stopping: {value}", comment


def _max_levels(summary: TableSummary) -> str:
    """Each level of a column of codes has an input, also if there are more than by default."""
    return f", max_levels: {summary.n_codes}" if summary.n_codes > OneHot().max_levels else ""


def _smoothed(summary: TableSummary) -> str:
    """The loss with label smoothing: little for two classes of many rows (docs/quality.md)."""
    is_little = summary.n_classes == 2 and summary.n_rows >= MANY_ROWS
    return f"{{name: {_LOSSES[summary.task]}, label_smoothing: {0.02 if is_little else 0.1}}}"


def _class_weights(summary: TableSummary) -> list[tuple[str, str]]:
    if not summary.rarest_class:
        return []
    return [("# class_weights: balanced", f"raises the recall of the rare class {summary.rarest_class}")]


def _layers(recipe: Recipe) -> str:
    return f"[auto, {', '.join(map(str, recipe.hidden))}, auto]"
