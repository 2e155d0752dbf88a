"""`--to c`: a model in C99, without memory from the heap; of the mathematical library expf, tanhf and cosf alone.

docs/export.md says how a program calls it. The functions that do the work are in c/runtime.c.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.export.c.cells import cells_into_inputs
from mlpcli.export.c.fixed import FixedNetworks
from mlpcli.export.c.names import array, declared, identifiers, remark, strings
from mlpcli.export.c.network import Networks
from mlpcli.export.c.program import main_source
from mlpcli.export.c.runtime import needed
from mlpcli.export.description import Plain

INCLUDES = "#include <float.h>\n#include <math.h>\n#include <stdint.h>\n#include <string.h>\n"
HEADER = """\
/* What a multi-layer perceptron answers to a row; written by mlp export. C99, no memory from the heap. */
#ifndef {guard}
#define {guard}

/* The cells of a row. A missing number or day is NAN, a missing text a null pointer. */
typedef struct {{
{fields}
}} {name}_row;

enum {{ {name}_n_answers = {n_answers} }};

/* What the answers are of. */
extern const char *const {name}_names[{n_answers}];
{labels}
/* {meaning} Returns 0, or 1 for a row that cannot be answered: a cell that is
   infinite or too large, or one that is missing where the model refuses that. */
int {name}_answer(const {name}_row *row, double answers[{n_answers}]);
{functions}
#endif
"""


def c_source(model: Plain, name: str, file: str, usual: NDArray[np.float64] | None = None) -> tuple[str, str]:
    """The source and the header; `name` is the C name of the model, `file` that of both files without their ending.

    With `usual` inputs (n_rows, n_in) the networks compute in integers; raises MlpError for a layer that cannot.
    """
    target = model["target"]
    fields = identifiers([column["name"] for column in model["columns"]])
    networks: Networks | FixedNetworks
    if usual is None:
        networks = Networks(model["networks"], len(model["inputs"]))
    else:
        networks = FixedNetworks(model["networks"], usual)
    body = _answering(model, name, fields, networks)
    functions, declarations = _labelling(target, name)
    if any(column["role"] == "date" for column in model["columns"]):
        functions += DAY.format(name=name)
        declarations += DAY_DECLARED.format(name=name)
    own = "\n".join([networks.text, body, functions])
    source = [
        f'#include "{file}.h"\n\n{INCLUDES}\n',
        *(text.rstrip() + "\n\n" for text in needed(own)),
        declared(f"const char *const {name}_names", strings(target["answers"])),
        _label_arrays(target, name, ""),
        "\n",
        own,
        main_source(model, name, fields),
    ]
    header = HEADER.format(
        guard=f"{name.upper()}_H",
        name=name,
        fields="\n".join(_field(column, field) for column, field in zip(model["columns"], fields, strict=True)),
        n_answers=len(target["answers"]),
        labels=_label_arrays(target, name, "extern "),
        meaning=MEANINGS[target["kind"]],
        functions=declarations,
    )
    return "".join(source), header


BOUNDED = "{0} < 0.0 ? 0.0 : {0} > 1.0 ? 1.0 : {0}"
MEANINGS = {
    "classes": "The probability of each class.",
    "booleans": "The probability of yes of each target.",
    "numbers": "The number of each target.",
}
DAY = """
/* The days from 1970-01-01 to a date, and the part of its day. */
double {name}_day(int year, int month, int day, double seconds)
{{
    const int64_t y = month <= 2 ? (int64_t)year - 1 : year, era = (y >= 0 ? y : y - 399) / 400;
    const int64_t place = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    const int64_t of_era = (y - era * 400) * 365 + (y - era * 400) / 4 - (y - era * 400) / 100 + place;
    return (double)(era * 146097 + of_era - 719468) + seconds / 86400.0;
}}
"""
DAY_DECLARED = """
/* The days from 1970-01-01 to a date, and the part of its day in UTC: what a date is in a row. */
double {name}_day(int year, int month, int day, double seconds);
"""


def _field(column: Mapping[str, Any], field: str) -> str:
    kind = "double " if column["role"] in ("number", "date") else "const char *"
    unit = ", days since 1970-01-01" if column["role"] == "date" else ""
    return f"    {kind}{field}; /* {remark(column['name'])}{unit} */"


def _answering(model: Plain, name: str, fields: Sequence[str], networks: Networks | FixedNetworks) -> str:
    """The function from a row to its answers."""
    target, n_out, counts = model["target"], networks.n_out, [one["count"] for one in model["networks"]]
    arrays, reading = cells_into_inputs(model["columns"], fields)
    output = "1.0 / (1.0 + exponential(-out[i]))" if model["networks"][0]["output"] == "sigmoid" else "out[i]"
    calls = "".join(
        f"    {network}(x, out);\n    for (i = 0; i < {n_out}; i++)\n        sums[i] += {factor}{output};\n"
        for network, factor in zip(networks.names, networks.factors, strict=True)
    )
    decoding, tables = _decoding(target, n_out)
    return f"""\
{arrays}{tables}
int {name}_answer(const {name}_row *row, double answers[{len(target["answers"])}])
{{
    float x[{len(model["inputs"])}] = {{0}}, out[{n_out}];
    double sums[{n_out}] = {{0}};
    int i;
{reading}
    for (i = 0; i < {len(model["inputs"])}; i++)
        if (!(x[i] >= -FLT_MAX && x[i] <= FLT_MAX))
            return 1;
{calls}
    for (i = 0; i < {n_out}; i++) {{
        sums[i] /= {float(sum(counts))!r};
        if (!(sums[i] >= -FLT_MAX && sums[i] <= FLT_MAX))
            return 1;
    }}
{decoding}    return 0;
}}
"""


def _decoding(target: Mapping[str, Any], n_out: int) -> tuple[str, str]:
    """What makes answers of the outputs in `sums`, and the arrays that it needs."""
    tables, lines = "", list[str]()
    if target["kind"] == "numbers":
        tables = "".join(_number(target, index, lines) for index in range(n_out))
    elif target["kind"] == "booleans":
        lines = _yes(n_out, target.get("temperature", [1.0])[0])
    else:
        tables = _classes(target, n_out, lines)
    return "".join(f"    {line}\n" for line in lines), tables


def _yes(n: int, temperature: float) -> list[str]:
    """Probabilities of yes."""
    lines = [f"for (i = 0; i < {n}; i++) {{", f"    answers[i] = {BOUNDED.format('sums[i]')};"]
    if temperature != 1.0:
        odds = f"(logarithm(1.0 - answers[i]) - logarithm(answers[i])) / {temperature!r}"
        lines.append("    if (answers[i] > 0.0 && answers[i] < 1.0)")
        lines.append(f"        answers[i] = 1.0 / (1.0 + exponential({odds}));")
    return [*lines, "}"]


def _classes(target: Mapping[str, Any], n_out: int, lines: list[str]) -> str:
    """Probabilities of classes."""
    n, tables = len(target["answers"]), ""
    if n_out == 1 and n == 2:
        lines += [f"answers[1] = {BOUNDED.format('sums[0]')};", "answers[0] = 1.0 - answers[1];"]
    else:
        lines += ["memcpy(answers, sums, sizeof sums);", f"probabilities({n}, answers);"]
    if weights := target.get("class_weights"):
        tables = array("static const double class_weights", weights)
        lines += [f"for (i = 0; i < {n}; i++)", "    answers[i] /= class_weights[i];", f"shared({n}, answers);"]
    if (temperature := target.get("temperature", [1.0])[0]) != 1.0:
        lines.append(f"tempered({n}, {temperature!r}, answers);")
    return tables


def _number(target: Mapping[str, Any], index: int, lines: list[str]) -> str:
    """One target in the units of the table."""
    answer, tables = f"answers[{index}]", ""
    lines.append(f"{answer} = sums[{index}] * {target['target_scale'][index]!r} + {target['target_center'][index]!r};")
    if target["transform"] == "log":
        lines.append(f"{answer} = exponential({answer}) - 1.0;")
    if target["transform"] == "quantile":
        knots, scores = target["target_quantiles"][index], target["target_scores"][index]
        tables += array(f"static const double quantiles_{index}", knots)
        tables += array(f"static const double scores_{index}", scores)
        lines.append(f"{answer} = between({answer}, scores_{index}, quantiles_{index}, {len(knots)});")
    if "target_low" in target:
        low, high = target["target_low"][index], target["target_high"][index]
        lines.append(f"{answer} = {answer} < {low!r} ? {low!r} : {answer} > {high!r} ? {high!r} : {answer};")
    if target["largest"] is not None:
        lines += [f"if (!({answer} >= -{target['largest']!r} && {answer} <= {target['largest']!r}))", "    return 1;"]
    return tables


def _label_arrays(target: Mapping[str, Any], name: str, storage: str) -> str:
    """The labels of each target column, defined, or declared as `extern`."""
    if target["kind"] == "numbers":
        return ""
    kind = f"{storage}const char *const {name}_labels"
    if target["kind"] == "classes":
        labels = target["labels"][0]
        return f"{kind}[{len(labels)}];\n" if storage else declared(kind, strings(labels))
    pairs = [f"{{{', '.join(strings(pair))}}}" for pair in target["labels"]]
    return f"{kind}[{len(pairs)}][2];\n" if storage else f"{kind}[{len(pairs)}][2] = {{{', '.join(pairs)}}};\n"


def _labelling(target: Mapping[str, Any], name: str) -> tuple[str, str]:
    """The function from answers to the number of a label, and its declaration."""
    n, threshold = len(target["answers"]), target.get("threshold")
    if target["kind"] == "numbers":
        return "", ""
    if target["kind"] == "booleans":
        limits = array(f"static const double {name}_thresholds", threshold or [0.5] * n)
        head = f"int {name}_label(const double answers[{n}], int target)"
        body = f"\n{limits}\n{head}\n{{\n    return answers[target] > {name}_thresholds[target];\n}}\n"
        return body, f"\n/* 0 for no and 1 for yes of a target; see {name}_labels. */\n{head};\n"
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
    return body, f"\n/* The number of the answered class in {name}_labels. */\n{head};\n"
