"""`mlp export`: write a model in another language, and verify that its predictions agree with those of the model."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from mlpcli.data.grouping import group_labels
from mlpcli.data.table import Table
from mlpcli.errors import GateMissed, MlpError, did_you_mean
from mlpcli.export.agreement import DRAWN_ROWS, TIE, Agreement, Expected, agreement, sample_rows, usual_inputs
from mlpcli.export.c.names import identifier
from mlpcli.export.c.source import c_source
from mlpcli.export.description import Plain, describe, n_numbers
from mlpcli.export.onnx.graph import onnx_model
from mlpcli.export.python.program import python_source
from mlpcli.export.regions import with_regions
from mlpcli.export.sql.query import sql_query
from mlpcli.export.sql.steps import DIALECTS, Dialect
from mlpcli.export.trials import C_COMPILER, Predict, run_c, run_json, run_onnx, run_python, run_sqlite
from mlpcli.model import Model
from mlpcli.storage.atomic import write_file
from mlpcli.storage.model.model_file import load_model
from mlpcli.storage.strict_json import format_json
from mlpcli.workflows.predicting.intervals import ConformalPredictor

STANDARD_OUTPUT = "-"
TOLERANCE = 1e-4  # largest difference of an exported prediction
# Plain Python does about this many multiplications in two seconds; a large model is verified on fewer rows.
MAX_MULTIPLICATIONS, MIN_DRAWN = 20_000_000, 20
# Fixed-point networks: rows from which scales are computed, rows for verification, and tolerated fraction of labels.
TYPICAL_ROWS, FIXED_POINT_ROWS, MAX_OTHER_LABELS = 1000, 2000, 0.001


@dataclass(frozen=True)
class ExportRequest:
    """The model, the language and the output path; `dialect`, `table` and `keep` apply to SQL, `fixed_point` to C.

    The file is verified if `is_verified`. `level` adds prediction intervals or sets. With the path "-" nothing is
    written; the bytes are in the result.
    """

    weights: str
    language: str
    path: str
    is_verified: bool = True
    dialect: str = "sqlite"
    table: str = "data"
    keep: tuple[str, ...] = ()
    level: float | None = None
    fixed_point: bool = False


@dataclass(frozen=True)
class ExportResult:
    """The exported file, the size of the networks, and the verification, or the `reason` why it was skipped."""

    path: str
    language: str
    data: bytes = field(repr=False)
    n_networks: int
    n_numbers: int
    has_labels: bool
    agreement: Agreement | None
    reason: str = ""


@dataclass(frozen=True)
class Exported:
    """The bytes of a file, and a function that runs it; None with the reason if it cannot be run here.

    `second_file` is the path and content of a file that belongs to it, such as a C header.
    """

    data: bytes
    run: Predict | None
    reason: str = ""
    second_file: tuple[str, bytes] | None = None


def export(request: ExportRequest) -> ExportResult:
    """Write the model atomically; raises MlpError, and GateMissed if the file's predictions differ."""
    if request.language not in LANGUAGES:
        raise MlpError(
            f"--to {request.language}: is not a supported format.{did_you_mean(request.language, tuple(LANGUAGES))}"
        )
    if request.language != "sql":
        usual = ExportRequest("", "", "")
        for option in ("dialect", "table", "keep"):
            if getattr(request, option) != getattr(usual, option):
                raise MlpError(f"--{option} applies to SQL only. Use --to sql, or leave it out.")
    if request.fixed_point and request.language != "c":
        raise MlpError("--fixed-point applies to C only. Use --to c, or leave it out.")
    if request.fixed_point and request.level is not None:
        raise MlpError("--fixed-point keeps labels, and no sets of them. Leave it or --interval out.")
    _refuse_to_replace(request)
    model = load_model(request.weights)
    description, conformal = describe(model), None
    if request.level is not None:
        conformal = ConformalPredictor(model, request.level)
        description = with_regions(description, model, request.level)
    exported = LANGUAGES[request.language](model, description, request)
    reason = exported.reason if request.is_verified else "--no-check"
    verified = None if reason or exported.run is None else _verify(model, exported.run, request, conformal)
    if exported.second_file is not None:
        write_file(*exported.second_file)
    if request.path != STANDARD_OUTPUT:
        write_file(request.path, exported.data)
    networks = description["networks"]
    return ExportResult(
        request.path, request.language, exported.data, len(networks), n_numbers(networks),
        model.target.task != "regression", verified, reason,
    )  # fmt: skip


def _refuse_to_replace(request: ExportRequest) -> None:
    both = (request.path, request.weights)
    if all(map(os.path.exists, both)) and os.path.samefile(*both):
        raise MlpError(f"-o {request.path}: is the model itself. Name another file.")


def _verify(model: Model, run: Predict, request: ExportRequest, conformal: ConformalPredictor | None) -> Agreement:
    """Compare the exported file with the model on generated rows; raises GateMissed if predictions differ."""
    if request.fixed_point:
        return _verify_fixed_point(model, run, request)
    n_drawn = max(MIN_DRAWN, min(DRAWN_ROWS, MAX_MULTIPLICATIONS // model.ensemble.n_parameters))
    expected = None if conformal is None else partial(expected_regions, conformal)
    verified = agreement(model, sample_rows(model, n_drawn, with_groups=conformal is not None), run, expected)
    if verified.n_labels or not verified.difference <= TOLERANCE:
        raise GateMissed(
            f"{request.weights}: in {request.language} the predictions differ ({verified.n_labels} of "
            f"{verified.n_rows} labels, probabilities or numbers up to {verified.difference:.1g} apart): nothing was "
            "written."
        )
    return verified


def expected_regions(conformal: ConformalPredictor, table: Table) -> Expected:
    """Prediction, lower and upper end of each target in turn, or the probabilities and whether each set has each label.

    A label whose probability is close to the threshold of its set is a tie.
    """
    read = conformal.cast(table)
    predictions, fold_predictions, _ = conformal.model.predict_folds(read)
    column = None if conformal.by is None else group_labels(read, conformal.by)
    regions = conformal.regions(predictions, fold_predictions, column)
    if regions.low is not None and regions.high is not None:
        ends = np.stack([predictions, regions.low, regions.high], axis=2).reshape(len(predictions), -1)
        return Expected(ends, np.zeros((len(predictions), 0), np.bool_))
    candidates = (regions, *(conformal.regions(predictions, fold_predictions + tie, column) for tie in (-TIE, TIE)))
    holds, *shifted = (each.holds.reshape(len(predictions), -1) for each in candidates if each.holds is not None)
    return Expected(np.hstack([predictions, holds]), np.logical_xor(*shifted))


def _verify_fixed_point(model: Model, run: Predict, request: ExportRequest) -> Agreement:
    """As `_verify` for fixed-point networks, which must predict the same label in 999 of 1000 rows."""
    verified = agreement(model, sample_rows(model, FIXED_POINT_ROWS), run)
    if verified.n_labels > MAX_OTHER_LABELS * verified.n_rows:
        raise GateMissed(
            f"{request.weights}: in integer arithmetic the predicted labels differ ({verified.n_labels} of "
            f"{verified.n_rows} rows): nothing was written. Leave --fixed-point out."
        )
    return verified


def _json(model: Model, description: Plain, request: ExportRequest) -> Exported:
    data = format_json(description) + b"\n"
    return Exported(data, run_json(data))


def _python(model: Model, description: Plain, request: ExportRequest) -> Exported:
    data = python_source(description).encode()
    return Exported(data, run_python(data, description))


def _sql(model: Model, description: Plain, request: ExportRequest) -> Exported:
    dialects = [dialect for dialect in DIALECTS if dialect == request.dialect]
    if not dialects:
        raise MlpError(f"--dialect {request.dialect}: is not supported.{did_you_mean(request.dialect, DIALECTS)}")
    dialect: Dialect = dialects[0]
    query = sql_query(description, dialect, request.table, request.keep)
    if dialect != "sqlite":
        return Exported(query.encode(), None, f"{dialect} is not installed")
    run = run_sqlite(query, model, request.table, request.keep, description)
    return Exported(query.encode(), run)


def _c(model: Model, description: Plain, request: ExportRequest) -> Exported:
    stem, ending = os.path.splitext(request.path)
    file = os.path.basename(stem)
    if ending != ".c":
        raise MlpError(f"-o {request.path}: the file ends in .c, and its header, which stands beside it, in .h.")
    if any(sign in file for sign in '"\\\n'):
        raise MlpError(f"-o {request.path}: C cannot include a file of that name.")
    name = identifier(file)
    usual = None
    if request.fixed_point:
        if model.target.task == "regression":
            raise MlpError("--fixed-point keeps labels; this model predicts numbers. Leave it out.")
        usual = usual_inputs(model, TYPICAL_ROWS, seed=1)
    source, header = c_source(description, name, file, usual)
    run = run_c(source, header, file, name, model, description) if C_COMPILER else None
    return Exported(source.encode(), run, "" if run else "no C compiler was found", (f"{stem}.h", header.encode()))


def _onnx(model: Model, description: Plain, request: ExportRequest) -> Exported:
    data = onnx_model(description, model.record, model.ensemble.dtype.name)
    return Exported(data, run_onnx(data, model, description))


LANGUAGES: dict[str, Callable[[Model, Plain, ExportRequest], Exported]] = {
    "c": _c,
    "json": _json,
    "onnx": _onnx,
    "python": _python,
    "sql": _sql,
}
