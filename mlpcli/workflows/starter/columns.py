"""The entries of `data.columns` in the config of `mlp init`: role, number format, and a comment on each column."""

from collections.abc import Mapping, Sequence

import numpy as np

from mlpcli.config.recipes.starter import StarterColumn
from mlpcli.data.schema.column import ColumnOptions, ColumnSchema
from mlpcli.data.schema.findings import Finding
from mlpcli.data.schema.number_formats import format_as_yaml
from mlpcli.data.schema.profile import ColumnProfile
from mlpcli.data.schema.spelling import PLAIN, NumberFormat
from mlpcli.data.table import CategoricalColumn, Column, Table


def number_formats(
    table: Table, schemas: Sequence[ColumnSchema], number_findings: Mapping[str, Finding]
) -> dict[str, NumberFormat]:
    """The number format of each used column whose numbers have signs beyond digits, such as a decimal point."""
    formats = {schema.name: schema.number for schema in schemas if schema.role == "number"}
    formats |= {name: finding.number for name, finding in number_findings.items() if finding.number is not None}
    return {
        name: number_format
        for name, number_format in formats.items()
        if not number_format.is_plain or _has_decimals(table.columns[name])
    }


def starter_columns(
    targets: tuple[str, ...],
    profiles: Sequence[ColumnProfile],
    number_findings: Mapping[str, Finding],
    formats: Mapping[str, NumberFormat],
    shared: NumberFormat,
) -> tuple[StarterColumn, ...]:
    """The entries of `data.columns`, without the number signs that are set for all columns."""
    plain = format_as_yaml(shared, shared)
    written = {name: format_as_yaml(formats[name], shared) for name in targets if name in formats}
    doubts = {name: finding.doubt for name, finding in number_findings.items()}
    return (
        *(StarterColumn(name, yaml, doubts.get(name, "")) for name, yaml in written.items() if yaml != plain),
        *(
            StarterColumn(profile.name, _role(profile, formats.get(profile.name, shared), shared), _remark(profile))
            for profile in profiles
            if not profile.drop_reason
        ),
    )


def _has_decimals(column: Column) -> bool:
    """Whether a column of numbers in the plain format has decimals."""
    if isinstance(column, CategoricalColumn):
        return any("." in level for level in column.levels)
    return column.values.dtype.kind == "f" and bool(np.any(np.mod(column.values[~np.isnan(column.values)], 1)))


def shared_number_format(formats: Mapping[str, NumberFormat]) -> NumberFormat:
    """The decimal comma and thousands separator if most columns have them, otherwise the plain format."""
    n_commas = sum(number_format.decimal == "," for number_format in formats.values())
    if n_commas < 2 or 2 * n_commas <= len(formats):
        return PLAIN
    thousands = {number_format.thousands for number_format in formats.values() if number_format.decimal == ","} - {""}
    return NumberFormat(decimal=",", thousands=thousands.pop() if len(thousands) == 1 else "")


def number_column_options(number: NumberFormat) -> ColumnOptions:
    """The options that read a column as numbers in this format."""
    return ColumnOptions(
        role="number", prefix=number.prefix, suffix=number.suffix, decimal=number.decimal,
        thousands=number.thousands or None, parentheses=number.parentheses,
    )  # fmt: skip


def _role(profile: ColumnProfile, number: NumberFormat, shared: NumberFormat) -> str:
    """The config value of a column: its role, and its number or date format if it differs from the common one."""
    if profile.role in ("number", "category"):
        written, plain = (format_as_yaml(own, shared, profile.role) for own in (number, shared))
        if written != plain:
            return written
    if profile.role == "date" and " or " in profile.note:  # the cells fit both formats
        return f"{{role: date, format: {profile.schema.date_format}}}"
    if profile.role == "category" and profile.fault:  # a named role would hide the fault
        return "{role: null}"
    return profile.role


def _remark(profile: ColumnProfile) -> str:
    """The comment on a column in the config: number of levels, missing cells, and notes."""
    counts = [f"{profile.n_distinct} levels"] if profile.role == "category" else []
    counts += [f"{profile.n_missing} missing"] if profile.n_missing else []
    remarks = [remark for remark in (profile.note, profile.fault) if remark]
    return ", ".join(counts + [without_column_name(profile, remark) for remark in remarks])


def without_column_name(profile: ColumnProfile, remark: str) -> str:
    """A remark on a column without the column's name in front."""
    return remark.replace(f"column {profile.name}: ", "")
