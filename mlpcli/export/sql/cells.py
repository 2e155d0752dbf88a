"""Preprocessing in SQL: from the columns of a table to the network inputs."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from mlpcli.data.schema.spelling import boolean_pairs, canonical
from mlpcli.export.description import spellings_of
from mlpcli.export.sql.steps import Dialect, Steps, Vector, interpolate, literal, number, quoted, text

LARGEST = "1.7976931348623157e308"
LARGE = 1e100  # larger ratios are clipped to the bound anyway, and their squares overflow
UNIX_EPOCH = "2440587.5e0"  # as a Julian day
TURN = 6.283185307179586


def read_cells(steps: Steps, columns: Sequence[Mapping[str, Any]]) -> tuple[Vector, str]:
    """The value of each column, NULL if missing, and a column that is 1 for rows that can be predicted, otherwise 0."""
    values, conditions = [], []
    for column in columns:
        name = quoted(column["name"])
        value, condition = CELLS[column["role"]](column, name, steps.dialect)
        values.append(value)
        conditions += [condition] if condition else []
        conditions += [f"{value} IS NOT NULL"] if column["refuses_missing"] else []
    is_valid = f"CASE WHEN {' AND '.join(f'({one})' for one in conditions) or '1 = 1'} THEN 1 ELSE 0 END"
    *cells, is_valid = steps.add([*values, is_valid])
    return cells, is_valid


def inputs(steps: Steps, columns: Sequence[Mapping[str, Any]], cells: Vector, n_inputs: int) -> Vector:
    """Every input of the networks."""
    with steps.pinned(cells):
        names = [column["name"] for column in columns if "fill" in column]
        imputed = dict(zip(names, _imputed(steps, columns, cells), strict=True))
        with steps.pinned(list(imputed.values())):
            clipped = _clip_ratios(steps, columns, imputed)
            with steps.pinned(list(clipped.values())):
                days = _days_of_year(steps, columns, imputed)
                x = ["0e0"] * n_inputs
                indicators: dict[int, list[str]] = {}
                for column, cell in zip(columns, cells, strict=True):
                    if column["flag"] is not None:
                        indicators.setdefault(column["flag"], []).append(f"{cell} IS NULL")
                    for index, expression in _column_inputs(column, cell, imputed, clipped, days):
                        x[index] = expression
                for index, missing in indicators.items():
                    x[index] = _one_if(" OR ".join(missing))
                return steps.add(f"CAST({expression} AS DOUBLE PRECISION)" for expression in x)


def _number_cell(column: Mapping[str, Any], name: str, dialect: Dialect) -> tuple[str, str]:
    raw = f"CAST({name} AS DOUBLE PRECISION)"
    if dialect != "sqlite":
        raw = f"NULLIF({raw}, CAST('NaN' AS DOUBLE PRECISION))"
    if numbers := column["missing_numbers"]:
        raw = f"CASE WHEN {raw} IN ({', '.join(map(literal, numbers))}) THEN NULL ELSE {raw} END"
    bounded = f"{raw} IS NULL OR ABS({raw}) <= {LARGEST}"
    # SQLite would cast a text to its numeric prefix, or to 0.
    is_number = f"typeof({name}) IN ('integer', 'real', 'null') AND " if dialect == "sqlite" else ""
    return f"({raw})", f"{is_number}({bounded})"


def _date_cell(column: Mapping[str, Any], name: str, dialect: Dialect) -> tuple[str, str]:
    if dialect == "postgresql":
        return f"(CAST(EXTRACT(EPOCH FROM {name}) AS DOUBLE PRECISION) / 86400e0)", ""
    if dialect == "duckdb":
        return f"(epoch({name}) / 86400e0)", ""
    # SQLite reads a number as a Julian day, and February 31 as March 2.
    is_missing = f"{name} IN ({', '.join(map(text, column['missing']))})"
    is_date = f"date(substr({name}, 1, 10), '+0 days') = substr({name}, 1, 10) AND julianday({name}) IS NOT NULL"
    day = f"CASE WHEN {is_missing} THEN NULL ELSE julianday({name}) - {UNIX_EPOCH} END"
    return f"({day})", f"{name} IS NULL OR {is_missing} OR {is_date}"


def _text_cell(column: Mapping[str, Any], name: str, dialect: Dialect) -> tuple[str, str]:
    cell = f"TRIM(CAST({name} AS TEXT))"
    missing = ", ".join(text(one) for marker in column["missing"] for one in spellings_of(marker))
    return f"(CASE WHEN {cell} IN ({missing}) THEN NULL ELSE {cell} END)", ""


CELLS: dict[str, Callable[[Mapping[str, Any], str, Dialect], tuple[str, str]]] = {
    "number": _number_cell,
    "date": _date_cell,
    "boolean": _text_cell,
    "category": _text_cell,
}


def _imputed(steps: Steps, columns: Sequence[Mapping[str, Any]], cells: Vector) -> Vector:
    """Numbers and days with missing values imputed."""
    pairs = zip(columns, cells, strict=True)
    return steps.add(f"COALESCE({cell}, {literal(one['fill'])})" for one, cell in pairs if "fill" in one)


def _clip_ratios(steps: Steps, columns: Sequence[Mapping[str, Any]], imputed: Mapping[str, str]) -> dict[str, str]:
    """For columns with a clip, the scaled number divided by it."""
    own = [column for column in columns if column.get("clip") is not None]
    if not own:
        return {}
    ratios = [
        f"({imputed[one['name']]} - {number(one['center'])}) / {number(one['scale'])} / {number(one['clip'])}"
        for one in own
    ]
    bounded = steps.add(
        f"CASE WHEN {ratio} > {LARGE} THEN {LARGE} WHEN {ratio} < -{LARGE} THEN -{LARGE} ELSE {ratio} END"
        for ratio in ratios
    )
    return dict(zip([one["name"] for one in own], bounded, strict=True))


def _days_of_year(
    steps: Steps, columns: Sequence[Mapping[str, Any]], imputed: Mapping[str, str]
) -> dict[str, tuple[str, str]]:
    """For date columns, the whole day number and the day of the year from 0 (H. Hinnant, civil_from_days)."""
    own = [column["name"] for column in columns if "cycles" in column]
    if not own:
        return {}
    whole = steps.add(f"FLOOR({imputed[name]})" for name in own)
    with steps.pinned(whole):
        eras = steps.add(f"FLOOR(({day} + 719468e0) / 146097e0)" for day in whole)
        with steps.pinned(eras):
            days = steps.add(f"{day} + 719468e0 - {era} * 146097e0" for day, era in zip(whole, eras, strict=True))
            with steps.pinned(days):
                years = steps.add(
                    f"FLOOR(({day} - FLOOR({day} / 1460e0) + FLOOR({day} / 36524e0) - FLOOR({day} / 146096e0)) / 365e0)"
                    for day in days
                )
                with steps.pinned(years):
                    # Day of the year counted from March 1.
                    from_march = steps.add(
                        f"{day} - (365e0 * {year} + FLOOR({year} / 4e0) - FLOOR({year} / 100e0))"
                        for day, year in zip(days, years, strict=True)
                    )
                    from_january = steps.add(
                        f"CASE WHEN {day} >= 306e0 THEN {day} - 306e0 ELSE {day} + 59e0 + {_leap(year)} END"
                        for day, year in zip(from_march, years, strict=True)
                    )
        with steps.pinned(from_january):
            names = steps.add([*whole, *from_january])
    return {name: (names[index], names[len(own) + index]) for index, name in enumerate(own)}


def _leap(year: str) -> str:
    """1 in a leap year, otherwise 0; `year` is counted within its cycle of 400 years."""
    fourth, hundredth = (f"{year} = {n}e0 * FLOOR({year} / {n}e0)" for n in (4, 100))
    return f"(CASE WHEN {fourth} AND (NOT {hundredth} OR {year} = 0e0) THEN 1e0 ELSE 0e0 END)"


def _column_inputs(
    column: Mapping[str, Any],
    cell: str,
    imputed: Mapping[str, str],
    clipped: Mapping[str, str],
    days: Mapping[str, tuple[str, str]],
) -> list[tuple[int, str]]:
    """The index and the expression of each input of a column."""
    name = column["name"]
    if "sign" in column:
        return [(column["sign"], _sign(column, cell))]
    if "fill" not in column:
        return _levels(column, cell)
    value = imputed[name]
    if "quantiles" in column:
        pairs = [(column["at"], interpolate(value, column["quantiles"], column["scores"]))]
    elif name in clipped:
        ratio = clipped[name]
        pairs = [(column["at"], f"{ratio} / SQRT(1e0 + {ratio} * {ratio}) * {number(column['clip'])}")]
    else:
        pairs = [(column["at"], f"({value} - {number(column['center'])}) / {number(column['scale'])}")]
    if bins := column.get("bins"):
        for index, (low, high) in enumerate(pairwise(bins["edges"]), start=bins["first"]):
            fraction = f"({value} - {number(low)}) / {number(high - low)}"
            below, above = f"{value} <= {literal(low)}", f"{value} >= {literal(high)}"
            fraction = f"CASE WHEN {below} THEN 0e0 WHEN {above} THEN 1e0 ELSE {fraction} END"
            span = bins["span"]
            pairs.append((index, fraction if span is None else f"(2e0 * ({fraction}) - 1e0) * {number(span)}"))
    if cycles := column.get("cycles"):
        whole, day_of_year = days[name]
        week = f"({whole} + 3e0 - 7e0 * FLOOR(({whole} + 3e0) / 7e0)) / 7e0"
        turns = [f"({day_of_year} / 365.25e0)", f"({week})"] + [f"({value} - {whole})"] * cycles["has_time"]
        waves = [f"{function}({literal(TURN)} * {turn})" for turn in turns for function in ("SIN", "COS")]
        for index, wave in enumerate(waves, start=cycles["first"]):
            pairs.append((index, f"CASE WHEN {cell} IS NULL THEN 0e0 ELSE {wave} END"))
    return pairs


def group_of(by: Mapping[str, Any], cell: str) -> str:
    """The index of a row's calibration group, NULL for none."""
    column, arms = by["column"], []
    for index, group in enumerate(by["groups"]):
        if group["input"] == column["flag"]:
            condition = f"{cell} IS NULL"
        elif "fill" in column:
            condition = f"{cell} = {literal(group['value'])}"
        elif "sign" in column:
            condition = f"({_sign(column, cell)}) = {literal(group['value'])}"
        else:
            condition = _is_level(column, cell, group["name"])
        arms.append(f"WHEN {condition} THEN {index}")
    return f"CASE {' '.join(arms)} END"


def _one_if(condition: str) -> str:
    return f"CASE WHEN {condition} THEN 1e0 ELSE 0e0 END"


def _sign(column: Mapping[str, Any], cell: str) -> str:
    """-1 and 1 for the two levels or the boolean words, 0 for any other text."""
    if column["role"] != "boolean":
        no, yes = (_is_level(column, cell, level) for level in column["levels"])
        return f"CASE WHEN {no} THEN -1e0 WHEN {yes} THEN 1e0 ELSE 0e0 END"
    levels, pairs = [*map(canonical, column["words"])], boolean_pairs(column["words"])
    exact = [f"{cell} IN ({', '.join(map(text, spellings_of(level)))})" for level in levels]
    words = [
        f"LOWER({cell}) IN ({', '.join(text(one) for pair in pairs for one in spellings_of(pair[side]))})"
        for side in (0, 1)
    ]
    arms = zip([*exact, *words], ("-1e0", "1e0") * 2, strict=True)
    return f"CASE {' '.join(f'WHEN {condition} THEN {sign}' for condition, sign in arms)} ELSE 0e0 END"


def _levels(column: Mapping[str, Any], cell: str) -> list[tuple[int, str]]:
    pairs = [
        (index, _one_if(_is_level(column, cell, level)))
        for index, level in enumerate(column["levels"], start=column["first"])
    ]
    if column["missing_level"] is not None:
        pairs.append((column["missing_level"], _one_if(f"{cell} IS NULL")))
    if column["other_level"] is not None:
        known = " OR ".join(_is_level(column, cell, level) for level in column["levels"]) or "1 = 0"
        pairs.append((column["other_level"], _one_if(f"{cell} IS NOT NULL AND NOT ({known})")))
    return pairs


def _is_level(column: Mapping[str, Any], cell: str, level: str) -> str:
    if level in column["words"]:  # compared without regard to case
        return f"LOWER({cell}) = {text(level.lower())}"
    return f"{cell} IN ({', '.join(map(text, spellings_of(level)))})"
