"""What `mlp check` shows."""

from typing import Any

from mlpcli.cli.progress import describe_data, describe_network, describe_training
from mlpcli.cli.terminal import Row, Screen, aligned
from mlpcli.config.dumping import as_plain, flow_text
from mlpcli.config.loading import LoadedConfig
from mlpcli.messages import duration, listed, size
from mlpcli.nn.network import Network
from mlpcli.workflows.check import CheckResult
from mlpcli.workflows.resolution import smoothing_of
from mlpcli.workflows.shape import describe_inputs

MOST_CLASSES = 20
MOST_CHARACTERS = 80


def check_summary(screen: Screen, result: CheckResult) -> None:
    """The resolved config with the origin of each value, the data, the network, and what it would cost."""
    prepared = result.prepared
    rows: list[Row] = [(key, value, origin) for key, value, origin in resolved_values(prepared.loaded)]
    for line in _three_columns(rows):
        screen.answer(line)
    screen.answer()
    screen.answer(f"task      {prepared.task} ({prepared.task_reason})")
    screen.answer(f"data      {describe_data(prepared)}")
    screen.answer(f"inputs    {describe_inputs(prepared.preprocessor)}")
    screen.answer(f"network   {describe_network(prepared)}")
    kept = f"best epoch by {prepared.metric}" if prepared.picks_best_epoch else "last epoch kept"
    choice = f"{prepared.spec.epochs} epochs · {kept}"
    screen.answer(f"training  {describe_training(prepared)} · {choice}")
    screen.answer(f"engine    {prepared.engine.name}{f': {prepared.engine.reason}' if prepared.engine.reason else ''}")
    screen.answer(f"cost      about {duration(result.seconds)} and {size(result.n_bytes)} of memory")
    screen.answer(f"output    {result.output}")
    _show_layers(screen, prepared.network)
    _show_classes(screen, result)
    for warning in (*prepared.notes, *result.warnings):
        screen.warn(warning)


def check_json(result: CheckResult) -> dict[str, Any]:
    """The same as one document."""
    prepared = result.prepared
    return {
        "task": prepared.task,
        "config": {
            key: {"value": value, "origin": origin}
            for key, value, origin in resolved_values(prepared.loaded, as_text=False)
        },
        "layers": prepared.network.sizes,
        "metric": prepared.metric,
        "batch_size": prepared.spec.batch_size,
        "label_smoothing": smoothing_of(prepared.spec.loss),
        "inputs": prepared.preprocessor.feature_names,
        "rows": {part.name: len(part.truth) for part in prepared.parts},
        "class_counts": result.class_counts,
        "warnings": [*prepared.notes, *result.warnings],
        "memory_bytes": result.n_bytes,
        "seconds": round(result.seconds, 2),
        "output": result.output,
    }


def resolved_values(loaded: LoadedConfig, as_text: bool = True) -> list[tuple[str, Any, str]]:
    """Every key with its value and where it was written."""
    found = []
    for key, origin in loaded.origins.items():
        value: Any = loaded.config
        for name in key.split("."):
            value = getattr(value, name)
        found.append((key, flow_text(as_plain(value)) if as_text else as_plain(value), origin))
    return found


def _three_columns(rows: list[Row]) -> list[str]:
    """Key, value and origin; a very long value moves the origin of its own line only."""
    key_width = max(len(row[0]) for row in rows)
    value_width = min(max(len(row[1]) for row in rows), 40)
    return [f"{row[0]:<{key_width}}  {_shortened(str(row[1])):<{value_width}}  {row[2]}" for row in rows]


def _shortened(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 5]} ... (--json shows all)"


def _show_layers(screen: Screen, network: Network) -> None:
    """The layers of one member; what stands before them may make more of the inputs, or less."""
    rows: list[Row] = [("layer", "W", "b", "parameters")]
    shapes = {one.name: one.tensor.shape for one in network.tensors}
    for number in range(1, len(network.dense_layers) + 1):
        (n_out, n_in), n_biases = (
            shapes[f"W{number}"],
            len(shapes.get(f"b{number}", ()) and range(shapes[f"b{number}"][0])),
        )
        rows.append((f"{number}", f"{n_out} x {n_in}", f"{n_biases}", f"{n_out * n_in + n_biases}"))
    screen.answer()
    for line in aligned(rows):
        screen.answer(line)


def _show_classes(screen: Screen, result: CheckResult) -> None:
    counts = {part: of for part, of in result.class_counts.items() if of}
    if not counts:
        return
    labels = list(counts["train"])
    screen.answer()
    rows: list[Row] = [("class", *counts)]
    rows += [(label, *(str(of[label]) for of in counts.values())) for label in labels[:MOST_CLASSES]]
    for line in aligned(rows):
        screen.answer(line)
    if len(labels) > MOST_CLASSES:
        screen.answer(f"and {listed(labels[MOST_CLASSES:], 12)}")
