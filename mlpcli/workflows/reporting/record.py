"""Report sections on the training of a model: learning curves, training record, commands to reproduce it."""

import os
import shlex
from collections.abc import Sequence
from functools import partial
from typing import Any

from mlpcli.config.yaml.dumping import yaml_text
from mlpcli.config.yaml.parsing import parse_yaml
from mlpcli.errors import ConfigError, MlpError
from mlpcli.evaluation.gates import Gate, make_gates
from mlpcli.messages import format_count, format_number
from mlpcli.model import Model
from mlpcli.report.curves import draw_curves
from mlpcli.report.drawing import inline
from mlpcli.report.page import Block, Cell, Column, Figure, Section, Table, Verbatim
from mlpcli.storage.run.run_directory import CONFIG, HISTORY
from mlpcli.workflows.plot import LOSS, RunCurves, plot, series


def curves_section(folder: str) -> tuple[list[Section], list[str]]:
    """The learning curves of a run, of the metric that chose the epoch and of the loss, and notes; [] without history.

    A note is returned if the history cannot be read.
    """
    if not os.path.isfile(os.path.join(folder, HISTORY)):
        return [], []
    try:
        plots = [plot([folder])]
        if plots[0].metric != LOSS:
            plots.append(plot([folder], LOSS))
    except MlpError as error:
        return [], [f"There are no learning curves: {error}"]
    blocks: list[Block] = []
    for curves in plots:
        run = curves.runs[0]
        if not run.main_points.values:
            continue
        name = f"{curves.metric} by epoch"
        draw = partial(_draw, series(curves), curves.metric)
        blocks.append(Figure(name, inline(name, 4.5, 3.0, draw), _sentence(curves.metric, run)))
    lead = "Scores of the plain outputs, before any calibration. Epoch 0 is before the first step."
    return ([Section("curves", "Learning curves", blocks, lead)] if blocks else []), []


def _draw(runs: Any, metric: str, figure: Any) -> None:
    draw_curves(figure.subplots(), runs, metric, is_log=False)


def _sentence(metric: str, run: RunCurves) -> str:
    points, rows = run.main_points, "validation" if run.validation.values else "training"
    first, last = points.values[0], points.values[-1]
    text = (
        f"On the {rows} rows it went from {format_number(first)} to {format_number(last)} in "
        f"{format_count(run.epochs, 'epoch')}"
    )
    if run.kept_epoch is None:
        return f"{text}."
    kept = points.at(run.kept_epoch)
    shown = "" if kept is None else f", where it was {format_number(kept)}"
    train = run.train.at(run.kept_epoch)
    beside = f" ({format_number(train)} on the training rows)" if run.validation.values and train is not None else ""
    return f"{text}; the weights of epoch {run.kept_epoch} are kept{shown}{beside}."


def expected_gates(folder: str) -> list[Gate]:
    """The gates of the config in a run's folder; none if there is no readable config."""
    path = os.path.join(folder, CONFIG)
    try:
        with open(path, encoding="utf-8") as file:
            config, _ = parse_yaml(file.read(), path)
        bounds = config["expect"]
        return make_gates(*({key: float(value) for key, value in bounds[side].items()} for side in ("min", "max")))
    except (ConfigError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


def record_section(model: Model, folder: str, paths: tuple[str, str, str, str]) -> Section:
    """Data and hashes, versions, config and commands; `paths` are those of run, table, old model and page."""
    record = model.record
    facts = [(name, text) for name, text in _facts(model, record) if text]
    blocks: list[Block] = [
        Table("Training record", [Column("", True), Column("", True)], [_fact(*fact) for fact in facts])
    ]
    run, source, old, output = map(shlex.quote, paths)
    report = " ".join(["mlp report", run, *([source] if paths[1] else []), *(["--compare", old] if paths[2] else [])])
    weights = shlex.quote(os.path.join(folder, "weights.npz") if os.path.isdir(paths[0]) else paths[0])
    lines = [f"{report} -o {output}", *([f"mlp eval {weights} {source}"] if paths[1] else []), f"mlp repro {weights}"]
    blocks.append(Verbatim("Commands that reproduce this page, the scores and the training", "\n".join(lines)))
    if isinstance(config := record.get("config"), dict):
        blocks.append(Verbatim("Config, with every default", yaml_text(config), is_folded=True))
    return Section("record", "Record", blocks, "All of this is stored in the model file.")


def _fact(name: str, text: str) -> Sequence[Cell | str]:
    return (name, Cell(text))


def _facts(model: Model, record: Any) -> list[tuple[str, str]]:
    data, segments = record.get("data", {}), record.get("sittings", [])
    network = model.ensemble.first
    sizes = " -> ".join(map(str, network.sizes))
    members = len(model.ensemble.networks)
    rows = ", ".join(f"{format_count(n, 'row')} {split}" for split, n in record.get("rows", {}).items())
    facts = [
        ("trained on", f"{data.get('name', '')} · {rows}" if data else ""),
        *((f"SHA-256 of the {split} data", str(text)) for split, text in data.get("sha256", {}).items()),
        (
            "network",
            f"{sizes}{f' · {members} members' if members > 1 else ''} · {model.ensemble.n_parameters} parameters",
        ),
        ("epoch", f"{record['epoch']} of {record.get('epochs', '?')}" if "epoch" in record else ""),
        ("seed", str(record.get("seed", ""))),
    ]
    for segment in segments:
        versions = ", ".join(f"{name} {version}" for name, version in segment.get("versions", {}).items())
        name = "trained by" if len(segments) == 1 else f"to epoch {segment.get('epoch')}"
        facts.append((name, f"{segment.get('engine')} · threads {segment.get('threads')} · {versions}"))
    return facts
