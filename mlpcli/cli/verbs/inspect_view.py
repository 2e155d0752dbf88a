"""What `mlp inspect` shows."""

from collections.abc import Sequence
from typing import Any

from mlpcli.cli.terminal import Row, Screen, aligned
from mlpcli.cli.verbs.describing import chosen_remarks, describe_postprocessing, describe_target, score_headings
from mlpcli.data.features.columns import Feature
from mlpcli.data.schema.dates import iso_date
from mlpcli.data.targets.target import ClassTarget, answer_names
from mlpcli.messages import count, duration, listed, number, size
from mlpcli.model import Model
from mlpcli.storage.model_file import column_record
from mlpcli.storage.records import to_plain
from mlpcli.workflows.inspect import Inspection
from mlpcli.workflows.main_metrics import main_metrics

MOST_COLUMNS = 40


def inspect_summary(screen: Screen, inspection: Inspection) -> None:
    """Network, layers, columns, scores and record; that it is shown at all means that the file is sound."""
    model = inspection.model
    sizes, target = model.ensemble.first.sizes, model.target
    parameters = count(model.ensemble.n_parameters, "parameter")
    members = f" · {len(model.ensemble.networks)} members" if len(model.ensemble.networks) > 1 else ""
    shape = " -> ".join(map(str, sizes))
    screen.answer(f"{inspection.path} · {size(inspection.n_bytes)} · {shape}{members} · {parameters}")
    screen.answer(f"target    {listed(target.names)} · {target.task} · {describe_target(target)}")
    if isinstance(target, ClassTarget):
        screen.answer(f"classes   {listed(target.labels, 20)}")
    postprocessing = describe_postprocessing(model)
    if postprocessing:
        screen.answer(f"answers   {postprocessing}")
    if model.weight_column:
        screen.answer(f"weights   sample weights in column {model.weight_column}")
    screen.answer()
    rows: list[Row] = [("layer", "W", "parameters", "activation", "std of W", "largest |W|")]
    rows += [
        (str(of.number), f"{of.n_out} x {of.n_in}", str(of.n_parameters), of.activation, number(of.weight_std),
         number(of.weight_largest))
        for of in inspection.layers
    ]  # fmt: skip
    _lines(screen, rows, text_columns=(0, 3))
    screen.answer()
    columns = model.preprocessor.columns
    rows = [("column", "read as", "inputs", "treatment")]
    rows += [(of.name, of.role, str(of.n_inputs), _treatment(of)) for of in columns[:MOST_COLUMNS]]
    _lines(screen, rows, text_columns=(0, 1, 3))
    if len(columns) > MOST_COLUMNS:
        screen.answer(f"and {len(columns) - MOST_COLUMNS} more columns (--json shows all)")
    _show_scores(screen, inspection)
    _show_record(screen, inspection)
    screen.answer("all numbers are finite")


def inspect_json(inspection: Inspection) -> dict[str, Any]:
    """Everything in the header, and the summary of each layer."""
    model = inspection.model
    return {
        "path": inspection.path,
        "bytes": inspection.n_bytes,
        "layers": [to_plain(layer) for layer in inspection.layers],
        "sizes": model.ensemble.first.sizes,
        "n_parameters": model.ensemble.n_parameters,
        "activations": [function for _, function in model.ensemble.first.dense_layers[:-1]],
        "output_activation": model.ensemble.first.output,
        "target": to_plain(model.target),
        "task": model.target.task,
        "temperature": _listed(model, "temperature"),
        "threshold": _listed(model, "threshold"),
        "clamp": {"low": _listed(model, "target_low"), "high": _listed(model, "target_high")},
        "columns": [column_record(column) for column in model.preprocessor.columns],
        "inputs": model.preprocessor.feature_names,
        "weight_column": model.weight_column,
        "scores": dict(model.scores),
        "record": dict(model.record),
        "seconds": inspection.seconds,
        "is_finite": True,
    }


def _listed(model: Model, name: str) -> list[float] | None:
    values = model.target_state.get(name)
    return None if values is None else values.tolist()


def _treatment(column: Feature) -> str:
    parts = []
    if column.role in ("number", "date") and column.minimum is not None and column.maximum is not None:
        shown = iso_date if column.role == "date" else "{:.10g}".format
        parts.append(f"{shown(column.minimum)} to {shown(column.maximum)}")
    parts += [f"clipped at {column.clip:g}"] if column.clip is not None else []
    parts += [f"{column.n_quantiles} quantiles"] if column.n_quantiles else []
    parts += [f"{column.n_bins} bins"] if column.n_bins else []
    parts += [f"written {column.schema.date_format}"] if column.schema.date_format else []
    if levels := column.levels or column.schema.levels:
        parts.append(listed(levels, 6))
    parts += ["missing"] if column.has_missing_level else []
    parts += ["other"] if column.has_other_level else []
    if column.n_missing:
        parts.append(f"{column.n_missing} missing in training")
    if column.flag_of:
        parts.append("with a flag" if column.flag_of == column.name else f"flag shared with {column.flag_of}")
    return ", ".join(parts)


def _show_scores(screen: Screen, inspection: Inspection) -> None:
    scores: dict[str, dict[str, float | None]] = {}
    for key, value in inspection.model.scores.items():
        part, _, metric = key.partition(".")
        scores.setdefault(part, {})[metric] = value
    if not scores:
        return
    screen.answer()
    chosen = inspection.model.record.get("chosen", {})
    rows: list[Row] = [("", *score_headings(list(scores), chosen))]
    metrics = main_metrics(inspection.model.target.task, answer_names(inspection.model.target))
    rows += [(metric, *(number(of.get(metric)) for of in scores.values())) for metric in metrics]
    _lines(screen, rows)
    for remark in chosen_remarks(chosen, inspection.model):
        screen.answer(remark)


def _show_record(screen: Screen, inspection: Inspection) -> None:
    record = inspection.model.record
    data = record.get("data", {})
    sittings, of_parts = record.get("sittings", []), record.get("rows", {})
    rows = {
        "trained on": f"{data.get('name', '?')} · {', '.join(f'{n} {part}' for part, n in of_parts.items())}",
        "data hash": ", ".join(f"{part} {str(sha256)[:16]}" for part, sha256 in data.get("sha256", {}).items()),
        "epoch": f"{record.get('epoch', '?')} of {record.get('epochs', '?')}",
        "seed": str(record.get("seed", "?")),
    }
    for sitting in sittings:
        name = "trained by" if len(sittings) == 1 else f"to epoch {sitting['epoch']}"
        versions = ", ".join(f"{name} {version}" for name, version in sitting["versions"].items())
        rows[name] = f"{sitting['engine']} · threads {sitting['threads']} · {versions}"
    if inspection.seconds is not None:
        rows["duration"] = duration(inspection.seconds)
    screen.answer()
    for name, text in rows.items():
        screen.answer(f"{name:<11} {text}")


def _lines(screen: Screen, rows: list[Row], text_columns: Sequence[int] = (0,)) -> None:
    for line in aligned(rows, text_columns=text_columns):
        screen.answer(line)
