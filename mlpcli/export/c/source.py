"""`--to c`: a model in C99 without heap allocation; it calls only expf, tanhf and cosf of the mathematical library.

docs/export.md shows how a program calls it. Its functions are in runtime.c.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.export.c.cells import preprocessing_code
from mlpcli.export.c.decode import decoding_code, label_arrays, label_function
from mlpcli.export.c.fixed import FixedNetworks
from mlpcli.export.c.names import comment_safe, declared, identifiers, strings
from mlpcli.export.c.network import Networks
from mlpcli.export.c.program import main_source
from mlpcli.export.c.regions import n_set_labels, region_lines, tables_of
from mlpcli.export.c.runtime import needed
from mlpcli.export.description import Plain
from mlpcli.export.python.standalone.predictor import prediction_columns
from mlpcli.export.regions import n_read, read_columns

INCLUDES = "#include <float.h>\n#include <math.h>\n#include <stdint.h>\n#include <string.h>\n"
HEADER = """\
/* Predictions of a multi-layer perceptron, exported by mlp export. C99, without heap allocation. */
#ifndef {guard}
#define {guard}

/* The cells of a row. A missing number or date is NAN, a missing text a null pointer. */
typedef struct {{
{fields}
}} {name}_row;

enum {{ {name}_n_answers = {n_answers} }};

/* The name of each prediction. */
extern const char *const {name}_names[{n_answers}];
{labels}
/* {meaning} Returns 0, or 1 for a row that cannot be predicted: one with a cell
   that is infinite or too large, or missing in a column that must not be. */
int {name}_answer(const {name}_row *row, double answers[{n_answers}]{holds});
{functions}
#endif
"""


def c_source(model: Plain, name: str, file: str, typical: NDArray[np.float64] | None = None) -> tuple[str, str]:
    """The source and the header; `name` is the prefix of the C functions, `file` the name of both files without suffix.

    With `typical` inputs (n_rows, n_in) the networks compute in integers; raises MlpError for an unsupported layer.
    """
    target, columns = model["target"], read_columns(model)
    column_names = [*dict.fromkeys(column["name"] for column in columns)]
    fields = dict(zip(column_names, identifiers(column_names), strict=True))
    networks: Networks | FixedNetworks
    if typical is None:
        networks = Networks(model["networks"], len(model["inputs"]))
    else:
        networks = FixedNetworks(model["networks"], typical)
    body = _prediction_function(model, name, [fields[column["name"]] for column in columns], networks)
    functions, declarations = label_function(target, name)
    if any(column["role"] == "date" for column in columns):
        functions += DAY.format(name=name)
        declarations += DAY_DECLARED.format(name=name)
    own = "\n".join([networks.text, body, functions])
    by_field = [(next(column for column in columns if column["name"] == own), field) for own, field in fields.items()]
    names = _prediction_names(model)
    source = [
        f'#include "{file}.h"\n\n{INCLUDES}\n',
        *(text.rstrip() + "\n\n" for text in needed(own)),
        declared(f"const char *const {name}_names", strings(names)),
        label_arrays(target, name, ""),
        "\n",
        own,
        main_source(model, name, by_field, len(names)),
    ]
    header = HEADER.format(
        guard=f"{name.upper()}_H",
        name=name,
        fields="\n".join(_field(column, field) for column, field in by_field),
        n_answers=len(names),
        labels=label_arrays(target, name, "extern "),
        meaning=_meaning(model),
        holds=_holds(model),
        functions=declarations,
    )
    return "".join(source), header


MEANINGS = {
    "classes": "The probability of each class.",
    "booleans": "The probability that each target is true.",
    "numbers": "The predicted number of each target.",
}
WITH_REGIONS = {
    "classes": "The probability of each class, and 1 in `holds` for each label in the prediction set.",
    "booleans": "The probability that each target is true, and 1 in `holds` for false and true if in its set.",
    "numbers": "The predicted number of each target, and the lower and upper end of its interval.",
}
DAY = """
/* The days from 1970-01-01 to a date and time in UTC, the time as a fraction. */
double {name}_day(int year, int month, int day, double seconds)
{{
    const int64_t y = month <= 2 ? (int64_t)year - 1 : year, era = (y >= 0 ? y : y - 399) / 400;
    const int64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    const int64_t of_era = (y - era * 400) * 365 + (y - era * 400) / 4 - (y - era * 400) / 100 + of_year;
    return (double)(era * 146097 + of_era - 719468) + seconds / 86400.0;
}}
"""
DAY_DECLARED = """
/* The days from 1970-01-01 to a date and time in UTC, the time as a fraction: the value of a date in a row. */
double {name}_day(int year, int month, int day, double seconds);
"""


def _field(column: Mapping[str, Any], field: str) -> str:
    kind = "double " if column["role"] in ("number", "date") else "const char *"
    unit = ", days since 1970-01-01" if column["role"] == "date" else ""
    return f"    {kind}{field}; /* {comment_safe(column['name'])}{unit} */"


def _prediction_names(model: Plain) -> list[str]:
    """The name of each prediction, with the ends of intervals of numbers."""
    target = model["target"]
    return prediction_columns(target, bool(model.get("regions"))) if target["kind"] == "numbers" else target["answers"]


def _meaning(model: Plain) -> str:
    return (WITH_REGIONS if model.get("regions") else MEANINGS)[model["target"]["kind"]]


def _holds(model: Plain) -> str:
    return f", unsigned char holds[{n_set_labels(model)}]" if n_set_labels(model) else ""


def _prediction_function(model: Plain, name: str, fields: Sequence[str], networks: Networks | FixedNetworks) -> str:
    """The function that predicts a row."""
    target, n_out, n_in = model["target"], networks.n_out, n_read(model)
    arrays, reading = preprocessing_code(read_columns(model), fields)
    regions, folds = model.get("regions"), ""
    # Of quantile outputs, the predictions (medians) follow the lower quantiles.
    first = n_out // 3 if regions and regions.get("has_quantiles") else 0
    decoding_lines, tables = decoding_code(target, n_out, f"sums + {first}" if first else "sums")
    if regions:
        tables += tables_of(model)
        folds = f"    double folds[{regions['n_folds']}][{n_out}] = {{{{0}}}};\n    int fold;\n"
        decoding_lines += region_lines(model, name)
    return f"""\
{arrays}{tables}
int {name}_answer(const {name}_row *row, double answers[{len(_prediction_names(model))}]{_holds(model)})
{{
    float x[{n_in}] = {{0}}, out[{n_out}];
    double sums[{n_out}] = {{0}};
{folds}    int i;
{reading}
    for (i = 0; i < {n_in}; i++)
        if (!(x[i] >= -FLT_MAX && x[i] <= FLT_MAX))
            return 1;
{_summing(model, networks)}    for (i = 0; i < {n_out}; i++)
        if (!(sums[i] >= -FLT_MAX && sums[i] <= FLT_MAX))
            return 1;
{decoding_lines}    return 0;
}}
"""


def _summing(model: Plain, networks: Networks | FixedNetworks) -> str:
    """The lines that write the mean output of all networks into `sums`, and that of each fold's into `folds`."""
    output = "1.0 / (1.0 + exponential(-out[i]))" if model["networks"][0]["output"] == "sigmoid" else "out[i]"
    counts = [one["count"] for one in model["networks"]]
    n_folds = model["regions"]["n_folds"] if model.get("regions") else 0
    loop = f"    for (i = 0; i < {networks.n_out}; i++)"
    text = ""
    for index, (network, factor) in enumerate(zip(networks.names, networks.factors, strict=True)):
        text += f"    {network}(x, out);\n{loop}\n        sums[i] += {factor}{output};\n"
        if n_folds:
            text += f"{loop}\n        folds[{index % n_folds}][i] += {factor}{output};\n"
    totals = [(f"folds[{fold}]", sum(counts[fold::n_folds])) for fold in range(n_folds)]
    for sums, n in [("sums", sum(counts)), *totals]:
        text += f"{loop}\n        {sums}[i] /= {float(n)!r};\n"
    return text
