"""`mlp train`."""

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlpcli.cli.cluster_options import Cluster, ClusterSecurity, cluster_arguments, cluster_at
from mlpcli.cli.document import Block, Document, Paragraph, Table, name_column, number_columns
from mlpcli.cli.job_log import LOG
from mlpcli.cli.options import Config, Html, Json, LogFile, Markdown, Output, Quiet, Seed, Settings, Verbose, form_of
from mlpcli.cli.verbs.describing import chosen_remark, score_headings
from mlpcli.cli.verbs.gates import gate_blocks, gates_json, refuse_missed, tally
from mlpcli.errors import GateMissed
from mlpcli.messages import format_count, format_duration, format_list, format_number
from mlpcli.workflows.scoring.baseline import can_be_beaten
from mlpcli.workflows.scoring.main_metrics import main_metrics

if TYPE_CHECKING:
    from mlpcli.data.targets.target import Target
    from mlpcli.workflows.train import TrainResult
    from mlpcli.workflows.training.recording.up_to_date import FinishedRun

# The metric (lower is better) in which a model trained on a loss should beat the constant baseline.
LOSS_METRICS = {
    "cross_entropy": "log_loss",
    "binary_cross_entropy": "log_loss",
    "squared_error": "rmse",
    "absolute_error": "mae",
    "poisson": "rmse",
}


From = Annotated[
    str,
    typer.Option(
        "--from", metavar="WEIGHTS", help="Continue from a model on new rows, at a tenth of the learning rate."
    ),
]
Seconds = Annotated[float | None, typer.Option("--max-seconds", help="Time limit of the training (budget.seconds).")]
EpochsWithoutGain = Annotated[
    int | None,
    typer.Option("--max-epochs-without-gain", min=1, help="Stop after this many epochs without improvement."),
]
Memory = Annotated[
    str | None, typer.Option("--max-memory", metavar="SIZE", help="Memory limit, such as 2GB (budget.memory).")
]
LocalSteps = Annotated[
    int | None,
    typer.Option(
        "--local-steps",
        min=1,
        max=1000,
        help="On a cluster, local steps between two rounds; 1 trains as one machine does.",
    ),
]


def train(
    config: Config,
    settings: Settings = None,
    output: Output = None,
    seed: Seed = None,
    start: From = "",
    resume: bool = typer.Option(False, "--resume", help="Continue from the checkpoint of an unfinished run."),
    force: bool = typer.Option(False, "--force", help="Replace a run of another config instead of keeping it."),
    if_changed: bool = typer.Option(False, "--if-changed", help="Do nothing if the run is up to date."),
    seconds: Seconds = None,
    epochs: EpochsWithoutGain = None,
    memory: Memory = None,
    cluster: Cluster = "",
    security: ClusterSecurity = "",
    local_steps: LocalSteps = None,
    plot: bool = typer.Option(False, "--plot", help="Plot the learning curve during training."),
    log: LogFile = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
    json: Json = False,
    markdown: Markdown = False,
    html: Html = False,
) -> None:
    """Train a network and write weights, metrics and history to a run folder.

    Example: mlp train configs/penguins.yaml --set training.epochs=50
    """
    from mlpcli.cli.overrides import Limits, config_overrides, resume_command
    from mlpcli.cli.progress.training_view import TrainingView
    from mlpcli.cli.rendering.terminal import Screen
    from mlpcli.config.loading import load_config
    from mlpcli.workflows.train import train as run_training
    from mlpcli.workflows.train import train_if_changed

    cluster_address = cluster_at(cluster, security)
    form, limits, screen = form_of(json, markdown, html), Limits(seconds, epochs, memory), Screen(quiet)
    LOG.begin(log, "train", config=config, set=settings or [])
    loaded = load_config(config, [*config_overrides(settings, output, seed), *limits.overrides()])
    LOG.event("reading", train=loaded.config.data.train, output=loaded.config.output)
    flags = [*["--from", start] * bool(start), *limits.arguments(), *["--log", log or ""] * bool(log)]
    flags += cluster_arguments(cluster, security, local_steps)
    flags += [*["--force"] * force, *["--verbose"] * verbose, *["--plot"] * plot, *["--quiet"] * quiet]
    command = resume_command(config, settings, output, seed, [*flags, *[f"--{form}"] * (form != "text")])
    view = TrainingView(screen, verbose, plot)
    with view.watching():
        train_it = train_if_changed if if_changed else run_training
        result = train_it(loaded, view, resume, command, force, start, cluster_address, local_steps)
    record = as_json(result)
    LOG.event("trained", **record)
    screen.write_result(document(result), record, form)
    if form == "text":
        for line in next_commands(result):
            screen.info(line)
    refuse_failed(result)


def document(result: "TrainResult | FinishedRun") -> Document:
    """Scores with the baseline, gates, choices made on validation rows, stop reason, and files."""
    from mlpcli.evaluation.conformal.metrics import INTERVAL_METRICS
    from mlpcli.workflows.scoring.predictions import notes_on_undefined
    from mlpcli.workflows.training.recording.up_to_date import FinishedRun

    if isinstance(result, FinishedRun):
        reason = "config, data and version are those of the run. Nothing to do."
        return Document(f"{result.folder} is up to date: {reason}", heading="mlp train: up to date")
    outcome = result.outcome
    splits = list(outcome.scores)
    target = result.prepared.target
    metrics = list(main_metrics(target.task, target.names))
    if result.prepared.metric not in ("loss", *metrics):
        metrics.append(result.prepared.metric)
    metrics += [key for key in INTERVAL_METRICS if any(key in outcome.scores[split] for split in splits)]
    if result.rarest_class and "average_precision" not in metrics:
        metrics.append("average_precision")
    rows = [(name, *(format_number(outcome.scores[split].get(name)) for split in splits)) for name in metrics]
    chosen = {"validation": outcome.chosen}
    columns = [name_column(""), *number_columns(score_headings(splits, chosen))]
    scores = Table(columns, rows, more=chosen_remark(chosen, outcome.model))
    blocks: list[Block] = [scores, *gate_blocks(outcome.gate_results)]
    where = f"after epoch {outcome.epochs}" if outcome.epochs else "in the first epoch"
    done = (
        f"Stopped {where}: {outcome.stop_reason}."
        if outcome.stop_reason
        else f"{format_count(outcome.epochs, 'epoch')}."
    )
    last = "The last epoch is kept." if outcome.epochs else "The weights of the last step are kept."
    kept = last if outcome.best_score is None else f"Best epoch {outcome.best_epoch}."
    blocks.append(Paragraph(f"{done} {kept} {format_duration(result.seconds)}"))
    blocks.append(Paragraph(f"{result.folder}/weights.npz · metrics.json · history.csv"))
    heading = f"mlp train: {tally(outcome.gate_results)}" if outcome.gate_results else "mlp train"
    caution = [outcome.caution] if outcome.caution else []
    notes = [*notes_on_undefined(outcome.gate_results), *_notes(result), *caution]
    return Document("", blocks, notes, heading)


def as_json(result: "TrainResult | FinishedRun") -> dict[str, Any]:
    """The metrics, the folder, and the gates; a run that is up to date has the same keys."""
    from mlpcli.workflows.training.recording.up_to_date import FinishedRun

    return {
        "output": result.folder,
        "weights": f"{result.folder}/weights.npz",
        "up_to_date": isinstance(result, FinishedRun),
        "kept": result.kept or None,
        "layers": result.layers,
        "gates": gates_json(result.gate_results),
        "judged_on": result.judged_on,
        "passed": all(result.passed for result in result.gate_results),
        "far_worse_than_constant": bool(result.far_worse),
        "metrics": dict(result.metrics),
    }


def refuse_failed(result: "TrainResult | FinishedRun") -> None:
    """Raise GateMissed (exit code 1) unless every gate is (or was) met."""
    from mlpcli.workflows.training.recording.up_to_date import FinishedRun

    if not isinstance(result, FinishedRun):
        refuse_missed(result.outcome.gate_results)
    elif result.missed_gates:
        raise GateMissed(f"{result.folder} missed when it was trained: {', '.join(result.missed_gates)}")


def next_commands(result: "TrainResult | FinishedRun") -> list[str]:
    """The suggested commands after a training."""
    from mlpcli.workflows.training.recording.up_to_date import FinishedRun

    if isinstance(result, FinishedRun):
        return []
    weights = shlex.quote(f"{result.folder}/weights.npz")
    return [f"Next: mlp eval {weights} NEW.csv", f"  or: mlp predict {weights} NEW.csv"]


def _notes(result: "TrainResult") -> list[str]:
    kept = [f"the run of another config that was in {result.folder} is now {result.kept}."] if result.kept else []
    if result.far_worse:
        return [*kept, result.far_worse]
    metric = LOSS_METRICS.get(result.prepared.spec.loss.name)
    poor = [] if metric is None else _no_better(result.outcome.scores, metric, result.prepared.target)
    if poor:
        kept.append(
            f"in {format_list(poor)} the model is no better than the constant baseline, which ignores the inputs."
        )
    return kept


def _no_better(scores: Mapping[str, Mapping[str, float]], metric: str, target: "Target") -> list[str]:
    """The keys of `metric`, per target if several, whose score does not beat the baseline on the last split."""
    last = list(scores)[-2]
    is_in_parts = target.kind == "numbers" and len(target.names) > 1
    keys = [f"{metric}[{name}]" for name in target.names] if is_in_parts else [metric]
    pairs = {key: (scores[last][key], scores["constant"][key]) for key in keys if key in scores[last]}
    return [key for key, (score, baseline) in pairs.items() if can_be_beaten(baseline) and score >= baseline]
