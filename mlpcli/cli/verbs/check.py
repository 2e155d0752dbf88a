"""`mlp check`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlpcli.cli.document import Column, Document, Facts, Table, name_column, number_columns
from mlpcli.cli.options import (
    Delimiter,
    Encoding,
    Html,
    Json,
    Markdown,
    OnDrift,
    Output,
    Quiet,
    Seed,
    Settings,
    form_of,
)
from mlpcli.cli.verbs.describing import describe_data, describe_network, describe_training, layers_remark
from mlpcli.errors import ConfigError, MlpError
from mlpcli.messages import format_duration, format_list, format_size

if TYPE_CHECKING:
    from mlpcli.config.loading import Override
    from mlpcli.nn.network import Network
    from mlpcli.workflows.check import CheckResult

MOST_CLASSES = 20
MOST_CHARACTERS = 80  # of a config value


def check(
    config: Annotated[
        str, typer.Argument(metavar="CONFIG", help="YAML file, or a model file to compare a table with.")
    ],
    others: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TABLE",
            help="With a model: table to compare with its training data, or -. With --no-data: further configs.",
        ),
    ] = None,
    settings: Settings = None,
    output: Output = None,
    seed: Seed = None,
    on_drift: OnDrift = "warn",
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    no_data: Annotated[
        bool, typer.Option("--no-data", help="Check one or more configs without reading any table.")
    ] = False,
    quiet: Quiet = False,
    json: Json = False,
    markdown: Markdown = False,
    html: Html = False,
) -> None:
    """Validate a config and its data without training, or compare a table with a model's training data.

    Example: mlp check configs/penguins.yaml
    """
    from mlpcli.cli.overrides import config_overrides
    from mlpcli.cli.progress.bars import show_progress
    from mlpcli.cli.rendering.terminal import Screen
    from mlpcli.cli.usage_errors import refuse_swapped
    from mlpcli.cli.verbs.drift import check_table, is_model
    from mlpcli.config.loading import load_config
    from mlpcli.workflows.check import check as run_check

    form, screen = form_of(json, markdown, html), Screen(quiet)
    overrides = config_overrides(settings, output, seed)
    if no_data:
        screen.write_result(*_validate_configs([config, *(others or ())], overrides), form)
        return
    source = _single_table(others or [])
    refuse_swapped("check", config, source)
    if is_model(config):
        if overrides:
            raise MlpError(f"{config}: a model. --set, --output and --seed go with a config.")
        check_table(screen, config, source, on_drift, delimiter, encoding, form)
        return
    if source:
        raise MlpError(f"{config}: a config, which is checked without a table. Name a model: mlp check WEIGHTS TABLE")
    loaded = load_config(config, overrides)
    with show_progress(screen):
        result = run_check(loaded)
    screen.write_result(document(result), as_json(result), form)


def _single_table(others: Sequence[str]) -> str:
    """The table after the config or the model; "" if there is none. Raises MlpError for more than one."""
    if len(others) > 1:
        raise MlpError(f"{others[1]}: one table at a time. Several configs are checked with --no-data.")
    return others[0] if others else ""


def _validate_configs(paths: Sequence[str], overrides: "Sequence[str | Override]") -> tuple[Document, dict[str, Any]]:
    """Validate configs without reading their tables; raises ConfigError with the errors of all."""
    from mlpcli.config.loading import load_config

    faults = []
    for path in paths:
        try:
            load_config(path, overrides)
        except ConfigError as error:
            faults.append(str(error))
    if faults:
        raise ConfigError("\n".join(faults))
    facts = Facts([(path, "valid; data not read") for path in paths])
    return Document("", [facts], heading="mlp check"), {"valid": list(paths)}


def document(result: "CheckResult") -> Document:
    """The resolved config with the origin of each value, the data, the network, and the estimated cost."""
    from mlpcli.workflows.preparing.networks.building import describe_inputs

    prepared = result.prepared
    keys = Column("", is_text=True, is_name=True, is_whole=True)
    config = Table([keys, Column("", is_text=True), Column("", is_text=True, rank=1)], result.resolved(_shown))
    kept = f"best epoch by {prepared.metric}" if prepared.picks_best_epoch else "last epoch kept"
    reason = f": {prepared.engine.reason}" if prepared.engine.reason else ""
    facts = Facts(
        [
            ("task", f"{prepared.task} ({prepared.task_reason})"),
            ("data", describe_data(prepared)),
            ("inputs", describe_inputs(prepared.preprocessor)),
            ("network", describe_network(prepared)),
            ("training", f"{describe_training(prepared)} · {prepared.spec.epochs} epochs · {kept}"),
            ("engine", f"{prepared.engine.name}{reason}"),
            ("cost", f"about {format_duration(result.seconds)} and {format_size(result.n_bytes)} of memory"),
            ("output", result.output),
        ]
    )
    notes = (*prepared.notes, *result.warnings)
    return Document("", [config, facts, _layers(prepared.network), *_classes(result)], notes, heading="mlp check")


def as_json(result: "CheckResult") -> dict[str, Any]:
    """The result for JSON."""
    prepared, resolved = result.prepared, result.resolved(lambda value: value)
    return {
        "task": prepared.task,
        "config": {key: {"value": value, "origin": origin} for key, value, origin in resolved},
        "layers": prepared.network.sizes,
        "metric": prepared.metric,
        "batch_size": prepared.spec.batch_size,
        "label_smoothing": prepared.label_smoothing,
        "inputs": prepared.preprocessor.feature_names,
        "rows": {
            split.name: len(split.truth) for split in (*prepared.splits, prepared.calibration) if split is not None
        },
        "class_counts": result.class_counts,
        "warnings": [*prepared.notes, *result.warnings],
        "memory_bytes": result.n_bytes,
        "seconds": round(result.seconds, 2),
        "output": result.output,
    }


def _shown(value: Any) -> str:
    """A config value in YAML, shortened."""
    from mlpcli.config.yaml.dumping import flow_text

    text = flow_text({key: _short(item) for key, item in value.items()} if isinstance(value, dict) else value)
    if len(text) <= MOST_CHARACTERS:
        return text
    return f"{text[:MOST_CHARACTERS].rpartition(' ')[0] or text[:MOST_CHARACTERS]} ... (--json shows all)"


def _short(value: Any) -> Any:
    """A value of data.columns or of a search space without the options that are not set."""
    if not isinstance(value, dict):
        return value
    if "log_uniform" in value:
        return {word: item for word, item in value.items() if item is not None}
    if "role" not in value:
        return value
    kept = {key: item for key, item in value.items() if item not in (None, "", False)}
    return kept["role"] if list(kept) == ["role"] else kept


def _layers(network: "Network") -> Table:
    """The dense layers of one member; embeddings before them may change the number of inputs."""
    rows = []
    shapes = {parameter.name: parameter.tensor.shape for parameter in network.tensors}
    for number in range(1, len(network.dense_layers) + 1):
        n_out, n_in = shapes[f"W{number}"]
        n_biases = n_out if shapes.get(f"b{number}") else 0
        rows.append((f"{number}", f"{n_out} x {n_in}", f"{n_biases}", f"{n_out * n_in + n_biases}"))
    columns = [Column("layer", is_text=True), *number_columns(["W", "b", "parameters"])]
    return Table(columns, rows, more=layers_remark([network]))


def _classes(result: "CheckResult") -> list[Table]:
    counts = {split: class_counts for split, class_counts in result.class_counts.items() if class_counts}
    if not counts:
        return []
    labels = list(counts["train"])
    rows = [(label, *(str(class_counts[label]) for class_counts in counts.values())) for label in labels[:MOST_CLASSES]]
    more = f"and {format_list(labels[MOST_CLASSES:], 12)}" if len(labels) > MOST_CLASSES else ""
    return [Table([name_column("class"), *number_columns(list(counts))], rows, more=more)]
