"""`mlp report`: an HTML page on a run or model and its performance on a table."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from mlpcli.errors import MlpError
from mlpcli.evaluation.gates import Gate, GateResult
from mlpcli.evaluation.uncertainty.intervals import DEFAULT_OPTIONS, IntervalOptions
from mlpcli.messages import format_count
from mlpcli.model import Model
from mlpcli.report.drawing import styled
from mlpcli.report.page import Page, Section, render
from mlpcli.storage.atomic import check_path, write_file
from mlpcli.storage.model.model_file import load_model
from mlpcli.storage.run.run_directory import HISTORY, WEIGHTS, repair
from mlpcli.training.threads import blas_threads
from mlpcli.workflows.reading.tables import describe_counts
from mlpcli.workflows.reporting.columns import distributions_section, importance_sections
from mlpcli.workflows.reporting.record import curves_section, expected_gates, record_section
from mlpcli.workflows.reporting.rows import ReportRows, read_rows
from mlpcli.workflows.reporting.scores import (
    compared_section,
    key_figures,
    prediction_sections,
    recorded_scores_section,
    score_rows,
    scores_section,
    verdict_of_record,
    verdict_of_rows,
)
from mlpcli.workflows.scoring.comparable import common_weight, refuse_other_task
from mlpcli.workflows.scoring.gates import check_gates
from mlpcli.workflows.scoring.predictions import Scored, notes_on_undefined
from mlpcli.workflows.scoring.trained_rows import notes_on_trained_rows

STANDARD_OUTPUT = "-"


@dataclass(frozen=True)
class ReportRequest:
    """The run or model, the table, the `old` model to compare with ("" for none), and the output ("-": not written).

    The default `source` is the test file of the config; without one the page shows only the contents of the model.
    """

    run: str
    source: str = ""
    old: str = ""
    output: str = "report.html"
    gates: Sequence[Gate] = ()
    interval_options: IntervalOptions = DEFAULT_OPTIONS
    delimiter: str | None = None
    encoding: str | None = None
    seed: int = 0


@dataclass(frozen=True)
class ReportResult:
    """The page and its numbers; of the `n_rows` rows with a target, a sample of `n_sampled` was scored."""

    path: str
    page: bytes = field(repr=False)
    model: Model
    source: str
    n_rows: int
    n_sampled: int
    scored: Scored
    gate_results: tuple[GateResult, ...]
    verdict: str
    sections: tuple[str, ...]
    notes: tuple[str, ...]
    seconds: float


def report(request: ReportRequest) -> ReportResult:
    """Read the rows in one pass, in bounded memory, and write the page; raises MlpError and DataError."""
    started = perf_counter()
    weights = _weights_of(request.run)
    if request.output != STANDARD_OUTPUT:
        check_path(request.output)
    _refuse_to_replace(request, weights)
    with styled("mlp report"):
        model = load_model(weights)
        old = load_model(_weights_of(request.old)) if request.old else None
        gates = request.gates or expected_gates(os.path.dirname(weights))
        check_gates(model, gates)
        if old is not None:
            refuse_other_task(request.old, request.run, old, model)
        source = request.source or _test_file(model)
        if old is not None and not source:
            raise MlpError("--compare: needs rows to compare on. Name a table: mlp report RUN TABLE --compare OLD")
        folder = os.path.dirname(weights)
        rows = read_rows(model, source, request.delimiter, request.encoding, old) if source else None
        with blas_threads(1):
            page, scored, gate_results = _page(request, model, old, rows, folder, source, gates)
        data = render(page, "mlp report")
    if request.output != STANDARD_OUTPUT:
        write_file(request.output, data)
    return ReportResult(
        request.output, data, model, source, rows.n_rows if rows else 0, len(rows.sample) if rows else 0, scored,
        gate_results, page.verdict, tuple(section.id for section in page.sections), tuple(page.notes),
        perf_counter() - started,
    )  # fmt: skip


def _page(
    request: ReportRequest, model: Model, old: Model | None, rows: ReportRows | None, folder: str, source: str,
    gates: Sequence[Gate],
) -> tuple[Page, Scored, tuple[GateResult, ...]]:  # fmt: skip
    """The page, its scores and gate results."""
    curves, notes = curves_section(folder)
    sections: list[Section | None] = [*curves]
    name = os.path.basename(os.path.abspath(folder)) if folder else "model"
    scored, gate_results = Scored({}, {}), tuple[GateResult, ...]()
    if rows is None:
        verdict, keys = verdict_of_record(model), []
        sections = [recorded_scores_section(model), *sections, distributions_section(model, None)]
        notes += ["No table was given, and the config has no test file, so this page shows only the contents of the "
                 "model file. mlp report RUN TABLE adds scores on a table."]  # fmt: skip
        subtitle = f"Target {', '.join(model.target.names)} · no rows"
    else:
        scored_rows = score_rows(model, rows, request.interval_options)
        scored = scored_rows.scored
        gate_results = tuple(scored.check_gates(gates))
        verdict, keys = verdict_of_rows(model, scored_rows, rows), key_figures(model, scored_rows)
        sections = [scores_section(model, scored_rows), *sections, *prediction_sections(model, rows)]
        if len(rows.detailed.sample) > 1:
            sections += importance_sections(model, rows.detailed, request.interval_options.confidence, request.seed)
        sections.append(distributions_section(model, rows.histogram))
        if old is not None:
            sections.insert(
                1, compared_section(model, old, rows.sample, request.old, request.interval_options.confidence)
            )
            notes += common_weight(old, model)[1]
        notes += _notes(model, rows)
        notes += notes_on_undefined(gate_results)
        subtitle = f"Target {', '.join(model.target.names)} · {source} · {format_count(rows.n_rows, 'row')}"
    commands = (request.run, source, request.old, request.output)
    sections.append(record_section(model, folder, commands))
    gates_shown = [
        (result.name, f"{result.score_text} {result.reason}".strip(), result.passed) for result in gate_results
    ]
    page = Page(
        f"{name}: {', '.join(model.target.names)}", subtitle, verdict, keys, gates_shown, notes,
        [section for section in sections if section is not None], (
            "Written by mlp report. This file loads no "
            "external resources."
            ),
    )  # fmt: skip
    return page, scored, gate_results


def _notes(model: Model, rows: ReportRows) -> list[str]:
    """Notes on the table, on samples of its rows, on missing and unseen cells, and on rows used in training."""
    notes = [*rows.notes]
    n_sampled, n_detailed = len(rows.sample), len(rows.detailed.sample)
    if n_sampled < rows.n_rows:
        notes.append(
            f"The scores are of {format_count(n_sampled, 'row')}, a random sample of "
            f"{format_count(rows.n_rows, 'row')}; the intervals allow for this. mlp eval scores every row."
        )  # fmt: skip
    if n_detailed < n_sampled:
        notes.append(
            f"Importance, groups and scores by column use a random sample of {format_count(n_detailed, 'row')}."
        )
    counts_note = describe_counts(rows.counts)
    notes += [counts_note] if counts_note else []
    return [*notes, *notes_on_trained_rows(model, rows.detailed.table, rows.detailed.all_rows)]


def _weights_of(run: str) -> str:
    """The model file of a run, or `run` if it is a file; raises MlpError for a folder without a model."""
    if os.path.isfile(run):
        return run
    repair(run)
    if not os.path.isdir(run):
        raise MlpError(f"{run}: no such run or model. List yours with: mlp runs")
    path = os.path.join(run, WEIGHTS)
    if not os.path.isfile(path):
        unfinished = os.path.isfile(os.path.join(run, HISTORY))
        more = "its training is not complete" if unfinished else f"list yours with: mlp runs {run}"
        raise MlpError(f"{run}: holds no {WEIGHTS}; {more}.")
    return path


def _refuse_to_replace(request: ReportRequest, weights: str) -> None:
    for path in (weights, request.source, request.old):
        if path and os.path.exists(path) and os.path.exists(request.output) and os.path.samefile(path, request.output):
            raise MlpError(f"-o {request.output}: is one of the inputs. Name another file.")


def _config(model: Model, section: str) -> Any:
    """A section of the recorded config; empty if the record has none."""
    config = model.record.get("config", {})
    config = config.get(section) if isinstance(config, dict) else None
    return config if isinstance(config, dict) else {}


def _test_file(model: Model) -> str:
    """The test file of the config if it exists, otherwise ""."""
    test = _config(model, "data").get("test")
    test = test[0] if isinstance(test, list) and len(test) == 1 else test
    return test if isinstance(test, str) and os.path.isfile(test) else ""
