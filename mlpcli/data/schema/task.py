"""Inference of the task from the target columns, and their schemas."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.reading.faults import format_yaml, join_names, quote_text
from mlpcli.data.schema.cells import (
    canonical_texts,
    find_boolean,
    join_spellings,
    labels_differing_in_case,
    lookalike_labels,
    missing_mask,
    parse_numbers,
)
from mlpcli.data.schema.column import (
    ColumnOptions,
    ColumnSchema,
    as_categorical,
    as_category,
    cast,
    missing_markers,
    normalize_booleans,
)
from mlpcli.data.schema.findings import Finding, drop_advice, find_equivalent_spellings
from mlpcli.data.schema.roles import INFER, TextFormat, infer_schema
from mlpcli.data.schema.spelling import BOOLEAN_WORDS, PLAIN, number_text
from mlpcli.data.table import CategoricalColumn, NumericColumn, Role, Table
from mlpcli.data.targets.encode import require_targets
from mlpcli.data.targets.target import Target, Task
from mlpcli.errors import DataError

TASKS: tuple[str, ...] = ("auto", *get_args(Task))

MAX_CODES = 20
# With more distinct integers, the message does not suggest that they may be codes.
MAX_PLAUSIBLE_CODES = 100
# Maximum number of classes: this fraction of the rows, but at least FEW_CLASSES.
MAX_CLASS_FRACTION = 0.2
FEW_CLASSES = 10
_BOOLEAN_WORDS = frozenset(word for pair in BOOLEAN_WORDS for word in pair)


@dataclass(frozen=True)
class TargetSpec:
    """The task and why, the schemas of the target columns, and findings for the user."""

    task: Task
    reason: str
    schemas: tuple[ColumnSchema, ...]
    findings: tuple[Finding, ...]
    model_target: Target | None = None


def are_codes(numbers: NDArray[np.float64]) -> bool:
    """Whether distinct numbers are at most 20 consecutive integers from 0 or 1."""
    ordered = np.unique(numbers)
    if not 0 < len(ordered) <= MAX_CODES or ordered[0] not in (0.0, 1.0):
        return False
    return bool(np.array_equal(ordered, ordered[0] + np.arange(len(ordered))))


def infer_targets(
    table: Table,
    names: Sequence[str],
    task: str = "auto",
    options: Mapping[str, ColumnOptions] | None = None,
    text_format: TextFormat = TextFormat(),  # noqa: B008
    instruction: str = "write task:",
) -> TargetSpec:
    """Infer the task and the schemas of the targets of a table before casting.

    `instruction` is the beginning of the advice on how to set the task.
    One column: texts, two distinct values, or codes (`are_codes`) are classes, other numbers are regression. Several
    columns: all booleans is multilabel, else regression. Raises DataError if a target column is not in the table, has
    no values, or has too many classes to learn.
    """
    require_targets(table, names)
    inferred = [infer_schema(table, name, (options or {}).get(name, INFER), text_format) for name in names]
    schemas = tuple(schema for schema, _ in inferred)
    findings = tuple(
        replace(finding, text=finding.text.replace(drop_advice(finding.column), ""))
        for _, column_findings in inferred
        for finding in column_findings
    )
    distinct_texts = {schema.name: _distinct_texts(table, schema) for schema in schemas}
    for name, texts in distinct_texts.items():
        if not texts:
            raise DataError(f"{table.name}: the target {name} is missing in every row. See data.missing.")
    if task == "auto":
        task, reason = _task_of(table, schemas, distinct_texts, findings, instruction)
    else:
        reason = "as requested"
    if task == "regression":
        for schema in schemas:
            advice = f"{instruction} classification" * (len(schemas) == 1)
            _require_numbers(table, schema, distinct_texts[schema.name], advice, findings)
        schemas = tuple(replace(schema, role="number") for schema in schemas)
    elif task == "multilabel":
        schemas = tuple(_boolean(table, schema, distinct_texts[schema.name]) for schema in schemas)
        findings = tuple(finding for finding in findings if finding.is_fault)
    else:
        schemas, is_inferred = tuple(map(as_category, schemas)), reason != "as requested"
        requested = {name for name, option in (options or {}).items() if option.role is not None}
        without_role = {name: texts for name, texts in distinct_texts.items() if name not in requested}
        findings = (
            *(finding for finding in findings if _concerns_classes(finding, distinct_texts, is_inferred)),
            *_label_notes(distinct_texts),
            *_none_notes(without_role),
            *(finding for schema in schemas for finding in find_equivalent_spellings(table, schema, "class")),
        )
    return TargetSpec(task, reason, schemas, findings)  # type: ignore[arg-type]  # one of the tasks


def _concerns_classes(finding: Finding, distinct_texts: Mapping[str, tuple[str, ...]], is_inferred: bool) -> bool:
    """Whether a finding on a target matters if that is read as classes; `is_inferred`: nobody asked for classes."""
    casts_doubt = is_inferred and (finding.is_fault or finding.number is not None)
    return finding.is_of_labels or casts_doubt or _merges_labels(distinct_texts[finding.column], finding)


def _merges_labels(texts: Sequence[str], finding: Finding) -> bool:
    """Whether labels are the same number in the format of a note, as `0` and `0,0` with decimal commas."""
    if finding.number is None or finding.is_fault:
        return False
    return len(set(canonical_texts(texts, finding.number))) < len(texts)


def _label_notes(distinct_texts: Mapping[str, tuple[str, ...]]) -> Iterator[Finding]:
    """Notes on labels that may be spellings of one class."""
    for name, texts in distinct_texts.items():
        notes = [
            f"classes that differ in case only: {join_names(labels)}" for labels in labels_differing_in_case(texts)
        ]
        notes += [f"classes that look alike: {join_spellings(labels)}" for labels in lookalike_labels(texts)]
        words = {text.casefold() for text in texts}
        if len(words) > 2 and words <= _BOOLEAN_WORDS:
            notes.append(f"several words for no and yes, read as classes: {join_names(texts)}")
        yield from (Finding(name, f"column {name}: {note}", is_fault=False) for note in notes)


def _none_notes(distinct_texts: Mapping[str, tuple[str, ...]]) -> Iterator[Finding]:
    """Notes on a class None, which may be a missing value that a program has written."""
    for name, texts in distinct_texts.items():
        for text in [text for text in texts if text.casefold() == "none"]:
            message = (
                f"column {name}: {text!r} is read as a class. If it is a missing value: data.missing; "
                f"if it is a class: data.columns: {{{format_yaml(name)}: category}}"
            )
            yield Finding(name, message, is_fault=False)


def _task_of(
    table: Table,
    schemas: Sequence[ColumnSchema],
    distinct_texts: Mapping[str, tuple[str, ...]],
    findings: Sequence[Finding],
    instruction: str,
) -> tuple[str, str]:
    if len(schemas) > 1:
        columns = ", ".join(distinct_texts)
        if all(find_boolean(texts) is not None for texts in distinct_texts.values()):
            return "multilabel", f"{columns}: booleans"
        return "regression", f"{columns}: several columns, read as numeric"
    (schema,), ((name, texts),) = schemas, distinct_texts.items()
    if len(texts) == 2 and not any(finding.is_fault for finding in findings):
        return "classification", f"{name}: two distinct values, read as classes"
    if schema.role != "number":
        _require_few_classes(table, schema, texts, findings)
        kind = "dates" if schema.role == "date" else "texts"
        return "classification", f"{name}: {kind}, read as {len(texts)} classes"
    if any(finding.is_fault for finding in findings):
        return "regression", f"{name}: nearly all cells are numbers"
    numbers = np.sort(parse_numbers(texts)[0])  # beside an infinite one, missing markers are NaN
    if not np.isfinite(numbers).all() or not np.array_equal(numbers, np.round(numbers)):
        return "regression", f"{name}: numbers, read as numeric"
    span = f"integers {number_text(numbers[0])} to {number_text(numbers[-1])}"
    if are_codes(numbers):
        reading = f"without gaps, read as {len(numbers)} classes; {instruction} regression if they are numeric"
        return "classification", f"{name}: {span} {reading}"
    hint = f"; {instruction} classification if they are codes" if len(numbers) <= MAX_PLAUSIBLE_CODES else ""
    return "regression", f"{name}: {span}, read as numeric{hint}"


def _distinct_texts(table: Table, schema: ColumnSchema) -> tuple[str, ...]:
    """The distinct canonical texts of a target column; those of a faulty column are unchanged."""
    column = table.columns[schema.name]
    number = schema.number
    if isinstance(column, NumericColumn):
        role: Role = "date" if column.role == "date" else "number"
        column, number = as_categorical(cast(column, replace(schema, role=role), table)), PLAIN
    elif schema.role == "number":
        with suppress(DataError):  # reported among the findings
            column, number = as_categorical(cast(column, schema, table)), PLAIN
    levels = tuple(column.level_counts)
    is_missing = missing_mask(levels, missing_markers(table, schema), number).tolist()
    present = [level for level, is_marker in zip(levels, is_missing, strict=True) if not is_marker]
    texts = normalize_booleans(canonical_texts(present, number), as_category(schema).levels)
    return tuple(dict.fromkeys(text for text in texts if text))


def _boolean(table: Table, schema: ColumnSchema, texts: tuple[str, ...]) -> ColumnSchema:
    levels = find_boolean(texts) or (tuple(sorted(texts)) if len(texts) == 2 else ())
    if not levels:
        description = (
            f"{len(texts)} values ({join_names(texts, 4)})" if len(texts) > 1 else f"one value only ({texts[0]!r})"
        )
        raise DataError(f"{table.name}: the target {schema.name} has {description}; multilabel needs booleans.")
    return replace(schema, role="boolean", levels=levels)


def _require_numbers(
    table: Table, schema: ColumnSchema, texts: tuple[str, ...], advice: str, findings: Sequence[Finding]
) -> None:
    """Raise DataError for a numeric target without any number.

    `advice` tells how to choose classification; a finding on formatted numbers takes precedence.
    """
    if schema.role in ("number", "date") or any(map(_is_number, texts)):
        return
    examples = join_names(list(map(quote_text, texts)), 3)
    fault = next((finding.text for finding in findings if finding.is_fault and finding.column == schema.name), "")
    suggestion = f"To predict classes, {advice}" if advice else "Name it alone to predict its classes."
    explanation = f"\n{fault}" if fault else f" {suggestion}"
    raise DataError(
        f"{table.name}: the target {schema.name} holds texts ({examples}), which are not numbers.{explanation}"
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _require_few_classes(
    table: Table, schema: ColumnSchema, texts: tuple[str, ...], findings: Sequence[Finding]
) -> None:
    column = table.columns[schema.name]
    n_rows = int(column.counts.sum()) if isinstance(column, CategoricalColumn) else len(column)
    if len(texts) <= max(MAX_CLASS_FRACTION * n_rows, FEW_CLASSES):
        return
    fault = next((finding.text for finding in findings if finding.is_fault), "")
    if not fault and schema.role == "date":
        fault = "They are dates, which cannot be predicted; write them as numbers."
    fault = fault or next((finding.text for finding in findings if finding.column == schema.name), "")
    fault = fault or "They look like names or free texts: name another target."
    raise DataError(
        f"{table.name}: the target {schema.name} has {len(texts)} classes in {n_rows} rows, such as "
        f"{quote_text(texts[0])}: too many to learn.\n{fault}"
    )
