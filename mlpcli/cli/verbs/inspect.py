"""`mlp inspect`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlpcli.cli.document import Block, Column, Document, Facts, Paragraph, Table, name_column, number_columns
from mlpcli.cli.options import Html, Json, Markdown, Weights, form_of
from mlpcli.cli.usage_errors import MODEL, refuse_config
from mlpcli.cli.verbs.describing import (
    chosen_remark,
    describe_postprocessing,
    describe_target,
    drawn_text,
    layers_remark,
    score_headings,
)
from mlpcli.messages import format_count, format_duration, format_list, format_number, format_size
from mlpcli.workflows.scoring.main_metrics import main_metrics

if TYPE_CHECKING:
    from mlpcli.data.features.feature import Feature
    from mlpcli.model import Model
    from mlpcli.workflows.inspect import Inspection

MOST_COLUMNS, MOST_EXCLUDED = 40, 6


def inspect(weights: Weights, json: Json = False, markdown: Markdown = False, html: Html = False) -> None:
    """Show what a model file holds: layers, columns, classes, scores and how it was made.

    Example: mlp inspect runs/penguins/weights.npz
    """
    from mlpcli.cli.rendering.terminal import Screen
    from mlpcli.workflows.inspect import inspect as run_inspection

    form = form_of(json, markdown, html)
    refuse_config(weights, MODEL)
    inspection = run_inspection(weights)
    Screen(is_quiet=False).write_result(document(inspection), as_json(inspection), form)


def document(inspection: "Inspection") -> Document:
    """Network, layers, columns, scores and training record."""
    model = inspection.model
    parameters = format_count(model.ensemble.n_parameters, "parameter")
    members = f" · {len(model.ensemble.networks)} members" if len(model.ensemble.networks) > 1 else ""
    shape = " -> ".join(map(str, model.ensemble.first.sizes))
    title = f"{inspection.path} · {format_size(inspection.n_bytes)} · {shape}{members} · {parameters}"
    tables = [_layers(inspection), *_members(model), _columns(model), *_scores(model)]
    blocks: list[Block] = [_output_facts(model), *tables, _record(inspection), Paragraph("all numbers are finite")]
    notes = [inspection.far_worse] if inspection.far_worse else []
    return Document(title, blocks, notes, heading="mlp inspect")


def as_json(inspection: "Inspection") -> dict[str, Any]:
    """The header, and a summary of each layer."""
    model = inspection.model
    return {
        "path": inspection.path,
        "bytes": inspection.n_bytes,
        "layers": inspection.layers,
        "sizes": model.ensemble.first.sizes,
        "n_parameters": model.ensemble.n_parameters,
        "activations": [function for _, function in model.ensemble.first.dense_layers[:-1]],
        "output_activation": model.ensemble.first.output,
        "target": model.target,
        "task": model.target.task,
        "temperature": model.target_state.get("temperature"),
        "threshold": model.target_state.get("threshold"),
        "clamp": {"low": model.target_state.get("target_low"), "high": model.target_state.get("target_high")},
        "columns": inspection.columns,
        "inputs": model.preprocessor.feature_names,
        "excluded_columns": model.excluded_columns,
        "weight_column": model.weight_column,
        "scores": model.scores,
        "far_worse_than_constant": bool(inspection.far_worse),
        "record": model.record,
        "seconds": inspection.seconds,
        "is_finite": True,
    }


def _output_facts(model: "Model") -> Facts:
    target = model.target
    size = [describe_target(target)] if target.kind == "classes" else []
    facts = [("target", " · ".join([format_list(target.names), target.task, *size]))]
    if target.kind == "classes":
        facts.append(("classes", format_list(target.labels, 20)))
    if postprocessing := describe_postprocessing(model):
        facts.append(("predictions", postprocessing))
    if model.weight_column:
        facts.append(("weights", f"sample weights in column {model.weight_column}"))
    return Facts(facts)


def _layers(inspection: "Inspection") -> Table:
    columns = [
        *(Column("layer", is_text=True), *number_columns(["W", "parameters"]), Column("activation", is_text=True)),
        *(Column("std of W", rank=1), Column("largest |W|", rank=2)),
    ]
    return Table(
        columns,
        more=layers_remark(inspection.model.ensemble.networks),
        rows=[
            (
                *(str(layer.number), f"{layer.n_out} x {layer.n_in}", str(layer.n_parameters), layer.activation),
                *(format_number(layer.weight_std), format_number(layer.weight_largest)),
            )
            for layer in inspection.layers
        ],
    )


def _members(model: "Model") -> list[Table]:
    """Drawn values, weight and excluded columns of each member; no table if members do not differ in them."""
    ensemble, kept, excluded = model.ensemble, model.record.get("members", []), model.excluded_columns
    drawn = model.record.get("drawn", []) or [{}] * len(ensemble.networks)
    keys = [key for key in drawn[0] if key != "model.layers"]
    if not drawn[0] and not kept and not any(excluded):
        return []
    shown = [name_column("member"), *([Column("weight")] if kept else []), Column("layers", is_text=True)]
    without = [Column("without columns", is_text=True)] if any(excluded) else []
    total, members = sum(ensemble.member_counts), kept or range(1, len(ensemble.networks) + 1)
    rows = [
        (
            *(str(member), *([f"{times / total:.3f}"] if kept else []), " -> ".join(map(str, network.sizes))),
            *(drawn_text(values.get(key)) for key in keys),
            *([format_list(columns, MOST_EXCLUDED)] if without else []),
        )
        for member, times, network, values, columns in zip(
            members, ensemble.member_counts, ensemble.networks, drawn, excluded, strict=False
        )
    ]
    return [Table([*shown, *number_columns([key.rpartition(".")[2] for key in keys]), *without], rows)]


def _columns(model: "Model") -> Table:
    columns = [
        name_column("column"),
        Column("read as", is_text=True),
        Column("inputs"),
        Column("treatment", is_text=True),
    ]
    features = model.preprocessor.columns
    rows = [
        (feature.name, feature.role, str(feature.n_inputs), _treatment(feature)) for feature in features[:MOST_COLUMNS]
    ]
    n_more = len(features) - MOST_COLUMNS
    return Table(
        columns, rows, more=f"and {format_count(n_more, 'more column')} (--json shows all)" if n_more > 0 else ""
    )


def _treatment(column: "Feature") -> str:
    from mlpcli.data.schema.dates.parsing import iso_date

    texts = []
    if column.role in ("number", "date") and column.minimum is not None and column.maximum is not None:
        shown = iso_date if column.role == "date" else "{:.10g}".format
        texts.append(f"{shown(column.minimum)} to {shown(column.maximum)}")
    texts += [f"clipped at {column.clip:g}"] if column.clip is not None else []
    texts += [f"{column.n_quantiles} quantiles"] if column.n_quantiles else []
    texts += [f"{column.n_bins} bins"] if column.n_bins else []
    texts += [f"written {column.schema.date_format}"] if column.schema.date_format else []
    if levels := column.levels or column.schema.levels:
        texts.append(format_list(levels, 6))
    texts += ["missing"] if column.has_missing_level else []
    texts += ["other"] if column.has_other_level else []
    if column.n_missing:
        texts.append(f"{column.n_missing} missing in training")
    if column.flag_of:
        texts.append(
            "with a missing indicator"
            if column.flag_of == column.name
            else f"missing indicator shared with {column.flag_of}"
        )
    return ", ".join(texts)


def _scores(model: "Model") -> list[Table]:
    """The main metrics of each split; no table if the model was not scored."""
    scores: dict[str, dict[str, float | None]] = {}
    for key, value in model.scores.items():
        split, _, metric = key.partition(".")
        scores.setdefault(split, {})[metric] = value
    chosen = model.record.get("chosen", {})
    headings = score_headings(list(scores), chosen)
    metrics = main_metrics(model.target.task, model.target.names)
    rows = [
        (metric, *(format_number(split_scores.get(metric)) for split_scores in scores.values())) for metric in metrics
    ]
    return (
        [Table([name_column(""), *number_columns(headings)], rows, more=chosen_remark(chosen, model))] if scores else []
    )


def _sizes(of_parts: Mapping[str, int], record: Mapping[str, Any]) -> str:
    """`275 train, 69 validation`; with members on folds `344 train in 4 folds`, as these are also the held-out rows."""
    members = record.get("config", {}).get("model", {}).get("members", {})
    is_folded = members.get("rows") == "folds"
    n_folds = (members["folds"] or members["count"]) if is_folded else 0
    repeats = f" x {members['count'] // n_folds} repeats" if is_folded and members.get("repeat_folds") else ""
    folds = {"train": f" in {n_folds} folds{repeats}"} if is_folded else {}
    sizes = [
        format_count(n, split, split) + folds.get(split, "")
        for split, n in of_parts.items()
        if not (is_folded and split == "validation")
    ]
    return ", ".join(sizes)


def _record(inspection: "Inspection") -> Facts:
    record = inspection.model.record
    data, of_parts, sittings = record.get("data", {}), record.get("rows", {}), record.get("sittings", [])
    rows = {
        "trained on": f"{data.get('name', '?')} · {_sizes(of_parts, record)}",
        "data hash": ", ".join(f"{split} {str(sha256)[:16]}" for split, sha256 in data.get("sha256", {}).items()),
        "epoch": f"{record.get('epoch', '?')} of {record.get('epochs', '?')}",
        "seed": str(record.get("seed", "?")),
    }
    for sitting in sittings:
        name = "trained by" if len(sittings) == 1 else f"to epoch {sitting['epoch']}"
        versions = ", ".join(f"{name} {version}" for name, version in sitting["versions"].items())
        rows[name] = f"{sitting['engine']} · threads {sitting['threads']} · {versions}"
    if "rank_error" in record:
        rows["quantiles"] = f"of sketches, rank within {record['rank_error']:.2g} of the rows"
    if inspection.model.conformity is not None:
        rows["intervals"] = f"by {inspection.model.conformity.rows.text}"
    if inspection.seconds is not None:
        rows["duration"] = format_duration(inspection.seconds)
    return Facts(list(rows.items()))
