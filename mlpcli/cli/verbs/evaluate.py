"""`mlp eval`."""

from mlpcli.cli.near_misses import refuse_swapped
from mlpcli.cli.options import (
    By,
    Confidence,
    Cross,
    Delimiter,
    Each,
    Encoding,
    Json,
    JUnit,
    Markdown,
    Maximum,
    Minimum,
    OnDrift,
    Quiet,
    Replicates,
    Scored,
    Weights,
)


def evaluate(
    weights: Weights,
    source: Scored,
    minimum: Minimum = None,
    maximum: Maximum = None,
    on_drift: OnDrift = "warn",
    confidence: Confidence = "0.95",
    replicates: Replicates = "",
    by: By = "",
    cross: Cross = False,
    each: Each = False,
    junit: JUnit = "",
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    quiet: Quiet = False,
    markdown: Markdown = False,
    json: Json = False,
) -> None:
    """Score a model on rows whose target is known; with gates, the exit code is the verdict.

    Example: mlp eval runs/penguins/weights.npz test.csv --min accuracy=0.95 --max log_loss=0.2
    """
    from mlpcli.cli.ci import report
    from mlpcli.cli.terminal import Screen
    from mlpcli.cli.verbs.eval_options import read_by, read_certainty, read_gates
    from mlpcli.cli.verbs.eval_view import show_eval
    from mlpcli.cli.verbs.gates import refuse_missed
    from mlpcli.workflows.evaluate import evaluate as run_evaluation

    gates, certainty = read_gates(minimum, maximum), read_certainty(confidence, replicates)
    refuse_swapped("eval", weights, source)
    groups = read_by(by, cross, each, gates)
    result = run_evaluation(weights, source, gates, delimiter, encoding, on_drift, certainty, groups)
    show_eval(Screen(quiet), result, json, markdown)
    report(result, junit)
    refuse_missed(result.verdicts)
    if result.drift is not None:
        result.drift.refuse(on_drift)
