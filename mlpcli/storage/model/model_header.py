"""The header of a model file and its consistency checks; model_file.py reads the arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from mlpcli.data.features.feature import Feature
from mlpcli.data.reference import ReferenceProfile, find_profile_fault
from mlpcli.data.row_sketch import RowSketch
from mlpcli.data.schema.cells import separator_problem
from mlpcli.data.schema.column import ColumnSchema
from mlpcli.data.schema.dates.patterns import DATE_FORMATS
from mlpcli.data.table import TableFormat
from mlpcli.data.targets.target import ClassTarget, NumberTarget, Target, typed_labels
from mlpcli.errors import ModelFileError
from mlpcli.evaluation.conformal.conformity import CalibrationRows
from mlpcli.nn.activations import OUTPUT_ACTIVATIONS
from mlpcli.nn.chain import Chain, Residual
from mlpcli.nn.layers import MAX_SIZE, Dense, Layer
from mlpcli.nn.network import Network
from mlpcli.storage.model.model_record import check_record

# Layers of a network, including those in residual layers: more indicate a damaged file, or take minutes to build.
MAX_LAYERS = 1000
DAMAGED = "Copy it again, or train again with: mlp train CONFIG"


@dataclass(frozen=True)
class Header:
    """The JSON of a model file; field names are the keys."""

    kind: Literal["model"]
    format: int
    networks: tuple[Network, ...]
    counts: tuple[int, ...]
    dtype: Literal["float32", "float64"]
    columns: tuple[Feature, ...]
    feature_names: tuple[str, ...]
    target: Target
    reading: TableFormat
    weight: ColumnSchema | None
    scores: dict[str, float | None]
    record: dict[str, Any]
    reference: ReferenceProfile
    trained_rows: RowSketch
    conformity: CalibrationRows | None
    interval_by: ColumnSchema | None


def check_header(header: Header, path: str) -> None:
    """Raise ModelFileError for an inconsistent header, or one that this version cannot use."""
    _check_columns(header.columns, path)
    if fault := find_profile_fault(header.reference, header.columns):
        raise misfit(path, f"a reference profile {fault}")
    if fault := header.trained_rows.fault:
        raise misfit(path, fault)
    _check_reading(header, path)
    _check_networks(header, path)
    _check_conformity(header, path)
    check_record(header.record, path)


def _check_conformity(header: Header, path: str) -> None:
    """Check calibration rows against target, members and the column of groups."""
    rows, group_column, target = header.conformity, header.interval_by, header.target
    if rows is None:
        if group_column is not None:
            raise misfit(path, "groups of intervals without calibration rows")
        return
    if fault := rows.fault(1 if isinstance(target, ClassTarget) else len(target.names)):
        raise misfit(path, fault)
    if (rows.kind == "probability") == isinstance(target, NumberTarget):
        raise misfit(path, f"scores of the kind {rows.kind} of {target.kind}")
    if (rows.kind == "quantiles") != (isinstance(target, NumberTarget) and bool(target.fitted)):
        raise misfit(path, f"scores of the kind {rows.kind} of outputs of another kind")
    if len(header.networks) % rows.n_folds:
        raise misfit(path, f"{rows.n_folds} folds of {len(header.networks)} members")
    if isinstance(target, ClassTarget) and rows.by == target.name:
        if rows.groups != target.labels or group_column is not None:
            raise misfit(path, "groups of calibration rows that are not the classes")
    elif rows.by != ("" if group_column is None else group_column.name):
        raise misfit(path, "groups of calibration rows without their column")
    if rows.scale == "log" and getattr(target, "transform", "") != "log":
        raise misfit(path, "scores of logarithms of a target without")


def _check_reading(header: Header, path: str) -> None:
    """Check that tables can be read with the recorded format."""
    reading = header.reading
    if reading.delimiter is not None or reading.encoding is not None or not 0 <= (reading.skip_rows or 0) <= MAX_SIZE:
        raise misfit(path, "tables that are written in a way this version does not know")
    weights = () if header.weight is None else (header.weight,)
    groups = () if header.interval_by is None else (header.interval_by,)
    schemas = (*(column.schema for column in header.columns), *header.target.schemas, *weights, *groups)
    separators = [
        (reading.decimal, reading.thousands),
        *((schema.number.decimal, schema.number.thousands) for schema in schemas),
    ]
    for decimal, thousands in dict.fromkeys(separators):
        if fault := separator_problem(decimal, thousands):
            raise misfit(path, f"numbers that are written in a way this version does not know ({fault[0]})")


def _check_columns(columns: tuple[Feature, ...], path: str) -> None:
    for column in columns:
        if not column.is_numeric and (
            column.clip is not None or column.n_quantiles or column.n_bins or column.n_distinct
        ):
            raise misfit(path, f"a {column.role} column that is scaled like a number")
        if column.bin_span is not None and not column.n_bins:
            raise misfit(path, f"a span of bins in a {column.role} column that has none")
        if column.is_signed and column.role != "category":
            raise misfit(path, f"a {column.role} column with one input for two levels")
        if column.role == "date" and column.schema.date_format not in DATE_FORMATS:
            raise misfit(path, f"dates written in a way this version does not know (column {column.name})")
        levels = column.schema.levels if column.role == "boolean" else column.levels
        if (column.is_signed or column.role == "boolean") and len(levels) != 2:
            raise misfit(path, f"{len(levels)} levels that share one input as -1 and 1")


def _check_networks(header: Header, path: str) -> None:
    target, n_inputs = header.target, sum(column.n_inputs for column in header.columns)
    _check_labels(target, path)
    if not header.networks:
        raise misfit(path, "no network")
    if len(header.feature_names) != n_inputs:
        raise misfit(path, f"{len(header.feature_names)} input names for {n_inputs} inputs")
    allowed_n_out = (len(target.labels), 1) if isinstance(target, ClassTarget) else (len(target.names),)
    if isinstance(target, NumberTarget):
        ends = [0.0, *target.fitted, 1.0]
        if len(target.fitted) not in (0, 3) or any(not low < high for low, high in pairwise(ends)):
            raise misfit(path, "quantiles that are not three rising numbers between 0 and 1")
        allowed_n_out = (target.n_outputs,)
    for network in header.networks:
        _check_layers(network, path)
        if network.n_in != n_inputs:
            raise misfit(path, f"a network of {network.n_in} inputs for {n_inputs}")
        try:
            widths = network.chain.widths(network.n_in)
        except ValueError as error:
            raise misfit(path, f"layers that do not fit ({error})") from error
        if min(widths) < 1:
            raise misfit(path, "a layer without outputs")
        if network.output not in OUTPUT_ACTIVATIONS:
            raise misfit(path, "an output activation that this version does not know")
        if network.n_out not in allowed_n_out or (network.n_out == 1 and allowed_n_out[0] > 2):
            raise misfit(path, f"{network.n_out} outputs for {allowed_n_out[0]} classes or targets")
        if network.n_out != header.networks[0].n_out:
            raise misfit(path, f"networks of {header.networks[0].n_out} and {network.n_out} outputs")
    if len(header.counts) != len(header.networks) or not all(1 <= count <= MAX_SIZE for count in header.counts):
        raise misfit(path, "counts of members that are not one above 0 for each")


def _check_layers(network: Network, path: str) -> None:
    """Check layers without computing widths, which takes long for nested residual layers."""
    if count_layers(network.layers) > MAX_LAYERS:
        raise misfit(path, f"a network of more than {MAX_LAYERS} layers")
    inner = [layer.layers for layer in network.layers if isinstance(layer, Residual)]
    if any(isinstance(layer, Residual) for layers in inner for layer in layers):
        raise misfit(path, "a residual layer within another")
    if not network.layers or not isinstance(network.layers[-1], Dense):
        raise misfit(path, "a network whose last layer is not dense")


def count_layers(layers: Sequence[Layer]) -> int:
    """The number of layers, including nested ones."""
    return len(layers) + sum(count_layers(layer.layers) for layer in layers if isinstance(layer, Chain))


def _check_labels(target: Target, path: str) -> None:
    """Check that labels can be converted to the recorded cell type."""
    if isinstance(target, NumberTarget):
        return
    label_sets = (target.labels,) if isinstance(target, ClassTarget) else target.levels
    if len(target.cell_types) != len(label_sets):
        raise misfit(path, f"{len(target.cell_types)} types of {len(label_sets)} targets")
    for labels, cell_type in zip(label_sets, target.cell_types, strict=True):
        try:
            typed_labels(labels, cell_type)
        except (ValueError, TypeError, ArithmeticError) as error:
            raise misfit(path, f"labels that are not of the type {cell_type}") from error


def misfit(path: str, detail: str) -> ModelFileError:
    """The error for an inconsistent file."""
    return ModelFileError(f"{path}: its contents are inconsistent: {detail}. {DAMAGED}")
