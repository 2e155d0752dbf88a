"""Decoding of network outputs into probabilities, numbers and labels, in C."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mlpcli.export.c.names import array, declared, strings

BOUNDED = "{0} < 0.0 ? 0.0 : {0} > 1.0 ? 1.0 : {0}"


def decoding_code(target: Mapping[str, Any], n_out: int, outputs: str = "sums") -> tuple[str, str]:
    """The lines that decode the outputs into `answers`, and the arrays and the function that they need."""
    if target["kind"] == "numbers":
        return _numbers(target, outputs)
    if target["kind"] == "booleans":
        tables, lines = "", _booleans(n_out, target.get("temperature", [1.0])[0])
    else:
        lines = []
        tables = _classes(target, n_out, lines)
    function = _function("decode(const double *sums, double *answers)", lines)
    return f"    decode({outputs}, answers);\n", tables + function


def _function(head: str, lines: Sequence[str]) -> str:
    body = "".join(f"    {line}\n" for line in [*(["int i;"] if any("(i = 0" in one for one in lines) else []), *lines])
    return f"\nstatic void {head}\n{{\n{body}}}\n"


def _booleans(n: int, temperature: float) -> list[str]:
    """The lines for the probability that each target is true."""
    lines = [f"for (i = 0; i < {n}; i++) {{", f"    answers[i] = {BOUNDED.format('sums[i]')};"]
    if temperature != 1.0:
        odds = f"(logarithm(1.0 - answers[i]) - logarithm(answers[i])) / {temperature!r}"
        lines.append("    if (answers[i] > 0.0 && answers[i] < 1.0)")
        lines.append(f"        answers[i] = 1.0 / (1.0 + exponential({odds}));")
    return [*lines, "}"]


def _classes(target: Mapping[str, Any], n_out: int, lines: list[str]) -> str:
    """Append the lines for class probabilities; returns the arrays that they need."""
    n, tables = len(target["answers"]), ""
    if n_out == 1 and n == 2:
        lines += [f"answers[1] = {BOUNDED.format('sums[0]')};", "answers[0] = 1.0 - answers[1];"]
    else:
        lines += [f"memcpy(answers, sums, {n} * sizeof *sums);", f"probabilities({n}, answers);"]
    if weights := target.get("class_weights"):
        tables = array("static const double class_weights", weights)
        lines += [f"for (i = 0; i < {n}; i++)", "    answers[i] /= class_weights[i];", f"normalize({n}, answers);"]
    if (temperature := target.get("temperature", [1.0])[0]) != 1.0:
        lines.append(f"tempered({n}, {temperature!r}, answers);")
    return tables


def _numbers(target: Mapping[str, Any], outputs: str) -> tuple[str, str]:
    """As `decoding_code`; the function computes numbers on the scale of the conformity scores."""
    tables, lines, n = "", list[str](), len(target["names"])
    for index in range(n):
        number = f"numbers[{index}]"
        lines.append(
            f"{number} = sums[{index}] * {target['target_scale'][index]!r} + {target['target_center'][index]!r};"
        )
        if target["transform"] == "quantile":
            knots, scores = target["target_quantiles"][index], target["target_scores"][index]
            tables += array(f"static const double quantiles_{index}", knots)
            tables += array(f"static const double scores_{index}", scores)
            lines.append(f"{number} = interpolate({number}, scores_{index}, quantiles_{index}, {len(knots)});")
        if "target_low" in target:
            bounds = target["target_low"][index], target["target_high"][index]
            low, high = map(math.log1p, bounds) if target["transform"] == "log" else bounds
            lines.append(f"{number} = {number} < {low!r} ? {low!r} : {number} > {high!r} ? {high!r} : {number};")
    each = [f"answers[i] = {restored(target, 'answers[i]')};"] if target["transform"] == "log" else []
    if (largest := target["largest"]) is not None:
        each += [f"if (!(answers[i] >= -{largest!r} && answers[i] <= {largest!r}))", "    return 1;"]
    if each:
        each = [f"for (i = 0; i < {n}; i++) {{", *(f"    {line}" for line in each), "}"]
    text = "".join(f"    {line}\n" for line in [f"on_scale({outputs}, answers);", *each])
    return text, tables + _function("on_scale(const double *sums, double *numbers)", lines)


def restored(target: Mapping[str, Any], number: str) -> str:
    """The expression that converts from the scale of the conformity scores to the units of the table."""
    return f"exponential({number}) - 1.0" if target["transform"] == "log" else number


def label_arrays(target: Mapping[str, Any], name: str, storage: str) -> str:
    """The definition of the labels of each target column, or with `storage` "extern " their declaration."""
    if target["kind"] == "numbers":
        return ""
    kind = f"{storage}const char *const {name}_labels"
    if target["kind"] == "classes":
        labels = target["labels"][0]
        return f"{kind}[{len(labels)}];\n" if storage else declared(kind, strings(labels))
    pairs = [f"{{{', '.join(strings(pair))}}}" for pair in target["labels"]]
    return f"{kind}[{len(pairs)}][2];\n" if storage else f"{kind}[{len(pairs)}][2] = {{{', '.join(pairs)}}};\n"


def label_function(target: Mapping[str, Any], name: str) -> tuple[str, str]:
    """The function from predictions to the index of a label, and its declaration."""
    n, threshold = len(target["answers"]), target.get("threshold")
    if target["kind"] == "numbers":
        return "", ""
    if target["kind"] == "booleans":
        limits = array(f"static const double {name}_thresholds", threshold or [0.5] * n)
        head = f"int {name}_label(const double answers[{n}], int target)"
        body = f"\n{limits}\n{head}\n{{\n    return answers[target] > {name}_thresholds[target];\n}}\n"
        return (
            body,
            f"\n/* 1 if a target is predicted true, otherwise 0; see {name}_labels. */\n{head};\n",
        )
    head = f"int {name}_label(const double answers[{n}])"
    if threshold is not None and len(threshold) == 1:
        body = f"\n{head}\n{{\n    return answers[1] > {threshold[0]!r};\n}}\n"
    else:
        limits = "" if threshold is None else array(f"static const double {name}_thresholds", threshold)
        each = "answers[{0}]" if threshold is None else f"answers[{{0}}] / {name}_thresholds[{{0}}]"
        better = f"{each.format('i')} > {each.format('best')}"
        body = (
            f"\n{limits}\n{head}\n{{\n    int i, best = 0;\n    for (i = 1; i < {n}; i++)\n"
            f"        if ({better})\n            best = i;\n    return best;\n}}\n"
        )
    return body, f"\n/* The index of the predicted class in {name}_labels. */\n{head};\n"
