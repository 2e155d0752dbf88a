"""Preprocessing in C: from the cells of a row to the network inputs."""

from collections.abc import Mapping, Sequence
from typing import Any

from mlpcli.data.schema.spelling import boolean_pairs, canonical
from mlpcli.export.c.names import array, declared, strings


def preprocessing_code(columns: Sequence[Mapping[str, Any]], fields: Sequence[str]) -> tuple[str, str]:
    """The arrays that the code needs, and the code."""
    arrays, code = "", ""
    for number, (column, field) in enumerate(zip(columns, fields, strict=True), start=1):
        write = _number if "fill" in column else _sign if "sign" in column else _levels
        own, lines = write(column, field, number)
        if column["refuses_missing"]:
            lines.insert(2, "if (is_missing)\n            return 1;")
        if column["flag"] is not None:
            lines.append(f"if (is_missing)\n            x[{column['flag']}] = 1.0f;")
        arrays += own
        code += "    {\n" + "".join(f"        {line}\n" for line in lines) + "    }\n"
    return arrays, code.rstrip("\n")


def _number(column: Mapping[str, Any], field: str, suffix: int) -> tuple[str, list[str]]:
    arrays, is_missing = "", "v != v"
    if numbers := column.get("missing_numbers"):
        arrays += array(f"static const double missing_{suffix}", numbers)
        is_missing = f"v != v || is_number(v, missing_{suffix}, {len(numbers)})"
    lines = [f"double v = row->{field};", f"const int is_missing = {is_missing};"]
    lines.append(f"if (is_missing)\n            v = {column['fill']!r};")
    lines.append("if (!(v >= -DBL_MAX && v <= DBL_MAX))\n            return 1;")
    if "quantiles" in column:
        arrays += array(f"static const double knots_{suffix}", column["quantiles"])
        arrays += array(f"static const double heights_{suffix}", column["scores"])
        scaled = f"interpolate(v, knots_{suffix}, heights_{suffix}, {len(column['scores'])})"
    else:
        scaled = f"(v - {column['center']!r}) / {column['scale']!r}"
        scaled = scaled if column["clip"] is None else f"clipped({scaled}, {column['clip']!r})"
    lines.append(f"x[{column['at']}] = (float)({scaled});")
    if binning := column.get("bins"):
        arrays += array(f"static const double edges_{suffix}", binning["edges"])
        n_bins, span = len(binning["edges"]) - 1, binning["span"] or 0.0
        lines.append(f"bins(v, edges_{suffix}, {n_bins}, {span!r}, x + {binning['first']});")
    if cycle := column.get("cycles"):
        lines.append(f"if (!is_missing)\n            cycles(v, {int(cycle['has_time'])}, x + {cycle['first']});")
    return arrays, lines


def _text(column: Mapping[str, Any], field: str, suffix: int) -> tuple[str, list[str]]:
    """The arrays and lines that decide whether a text is missing."""
    markers = strings(column["missing"])
    arrays = declared(f"static const char *const missing_{suffix}", markers)
    is_missing = f"!cell || is_text(cell, missing_{suffix}, {len(markers)})"
    return arrays, [f"const char *cell = row->{field};", f"const int is_missing = {is_missing};"]


def _sign(column: Mapping[str, Any], field: str, suffix: int) -> tuple[str, list[str]]:
    arrays, lines = _text(column, field, suffix)
    levels = column["levels"] or [*map(canonical, column["words"])]
    arrays += declared(f"static const char *const levels_{suffix}", strings(levels))
    lines.append(f"int level = is_missing ? 0 : is_text(cell, levels_{suffix}, 2);")
    if column["role"] == "boolean":
        words = strings([word for pair in boolean_pairs(column["words"]) for word in pair])
        arrays += declared(f"static const char *const words_{suffix}", words)
        lines.append(f"const int word = is_missing ? 0 : is_word(cell, words_{suffix}, {len(words)});")
        lines.append("if (!level && word)\n            level = 2 - word % 2;")
    else:
        lines += _as_words(column, levels)
    lines.append(f"x[{column['sign']}] = level ? (level == 1 ? -1.0f : 1.0f) : 0.0f;")
    return arrays, lines


def _levels(column: Mapping[str, Any], field: str, suffix: int) -> tuple[str, list[str]]:
    arrays, lines = _text(column, field, suffix)
    levels, first = column["levels"], column["first"]
    if levels:
        arrays += declared(f"static const char *const levels_{suffix}", strings(levels))
        lines.append(f"int level = is_missing ? 0 : is_text(cell, levels_{suffix}, {len(levels)});")
        lines += _as_words(column, levels)
    else:
        lines.append("const int level = 0;")
    missing, other = (-1 if column[name] is None else column[name] for name in ("missing_level", "other_level"))
    lines.append(f"const int position = is_missing ? {missing} : level ? {first - 1} + level : {other};")
    lines.append("if (position >= 0)\n            x[position] = 1.0f;")
    return arrays, lines


def _as_words(column: Mapping[str, Any], levels: Sequence[str]) -> list[str]:
    """The lines for levels that are compared without regard to case."""
    return [
        f"if (!level && !is_missing && is_word(cell, (const char *const[]){{{strings([level.lower()])[0]}}}, 1))\n"
        f"            level = {number};"
        for number, level in enumerate(levels, start=1)
        if level in column["words"]
    ]
