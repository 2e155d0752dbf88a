"""`--to c`: a model in C99, without memory from the heap; of the mathematical library expf, tanhf and cosf alone.

docs/export.md says how a program calls it. The functions that do the work are in c/runtime.c.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.export.c.answers import decoding, label_arrays, labelling
from mlpcli.export.c.cells import cells_into_inputs
from mlpcli.export.c.fixed import FixedNetworks
from mlpcli.export.c.names import declared, identifiers, remark, strings
from mlpcli.export.c.network import Networks
from mlpcli.export.c.program import main_source
from mlpcli.export.c.regions import n_held, regions_into_answers, tables_of
from mlpcli.export.c.runtime import needed
from mlpcli.export.description import Plain
from mlpcli.export.python.standalone.predictor import answer_columns
from mlpcli.export.regions import n_read, read_columns

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
int {name}_answer(const {name}_row *row, double answers[{n_answers}]{holds});
{functions}
#endif
"""


def c_source(model: Plain, name: str, file: str, usual: NDArray[np.float64] | None = None) -> tuple[str, str]:
    """The source and the header; `name` is the C name of the model, `file` that of both files without their ending.

    With `usual` inputs (n_rows, n_in) the networks compute in integers; raises MlpError for a layer that cannot.
    """
    target, columns = model["target"], read_columns(model)
    names = [*dict.fromkeys(column["name"] for column in columns)]
    fields = dict(zip(names, identifiers(names), strict=True))
    networks: Networks | FixedNetworks
    if usual is None:
        networks = Networks(model["networks"], len(model["inputs"]))
    else:
        networks = FixedNetworks(model["networks"], usual)
    body = _answering(model, name, [fields[column["name"]] for column in columns], networks)
    functions, declarations = labelling(target, name)
    if any(column["role"] == "date" for column in columns):
        functions += DAY.format(name=name)
        declarations += DAY_DECLARED.format(name=name)
    own = "\n".join([networks.text, body, functions])
    by_field = [(next(one for one in columns if one["name"] == name), field) for name, field in fields.items()]
    answers = _answer_names(model)
    source = [
        f'#include "{file}.h"\n\n{INCLUDES}\n',
        *(text.rstrip() + "\n\n" for text in needed(own)),
        declared(f"const char *const {name}_names", strings(answers)),
        label_arrays(target, name, ""),
        "\n",
        own,
        main_source(model, name, by_field, len(answers)),
    ]
    header = HEADER.format(
        guard=f"{name.upper()}_H",
        name=name,
        fields="\n".join(_field(column, field) for column, field in by_field),
        n_answers=len(answers),
        labels=label_arrays(target, name, "extern "),
        meaning=_meaning(model),
        holds=_holds(model),
        functions=declarations,
    )
    return "".join(source), header


MEANINGS = {
    "classes": "The probability of each class.",
    "booleans": "The probability of yes of each target.",
    "numbers": "The number of each target.",
}
WITH_REGIONS = {
    "classes": "The probability of each class, and 1 in `holds` for each label of the set.",
    "booleans": "The probability of yes of each target, and 1 in `holds` for no and for yes of each set.",
    "numbers": "The number of each target, the lower and the upper end of its interval.",
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


def _answer_names(model: Plain) -> list[str]:
    """What the answers are of; of numbers also their ends."""
    target = model["target"]
    return answer_columns(target, bool(model.get("regions"))) if target["kind"] == "numbers" else target["answers"]


def _meaning(model: Plain) -> str:
    return (WITH_REGIONS if model.get("regions") else MEANINGS)[model["target"]["kind"]]


def _holds(model: Plain) -> str:
    return f", unsigned char holds[{n_held(model)}]" if n_held(model) else ""


def _answering(model: Plain, name: str, fields: Sequence[str], networks: Networks | FixedNetworks) -> str:
    """The function from a row to its answers."""
    target, n_out, n_in = model["target"], networks.n_out, n_read(model)
    arrays, reading = cells_into_inputs(read_columns(model), fields)
    regions, folds = model.get("regions"), ""
    answers_at = n_out // 3 if regions and regions.get("has_quantiles") else 0  # they stand between the outer quantiles
    decoding_lines, tables = decoding(target, n_out, f"sums + {answers_at}" if answers_at else "sums")
    if regions:
        tables += tables_of(model)
        folds = f"    double folds[{regions['n_folds']}][{n_out}] = {{{{0}}}};\n    int fold;\n"
        decoding_lines += regions_into_answers(model, name)
    return f"""\
{arrays}{tables}
int {name}_answer(const {name}_row *row, double answers[{len(_answer_names(model))}]{_holds(model)})
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
    """The mean of the outputs of all networks in `sums`, and that of each fold's networks in `folds`."""
    output = "1.0 / (1.0 + exponential(-out[i]))" if model["networks"][0]["output"] == "sigmoid" else "out[i]"
    counts = [one["count"] for one in model["networks"]]
    n_folds, loop = (
        model["regions"]["n_folds"] if model.get("regions") else 0,
        f"    for (i = 0; i < {networks.n_out}; i++)",
    )
    text = ""
    for place, (network, factor) in enumerate(zip(networks.names, networks.factors, strict=True)):
        text += f"    {network}(x, out);\n{loop}\n        sums[i] += {factor}{output};\n"
        if n_folds:
            text += f"{loop}\n        folds[{place % n_folds}][i] += {factor}{output};\n"
    totals = [(f"folds[{fold}]", sum(counts[fold::n_folds])) for fold in range(n_folds)]
    for sums, n in [("sums", sum(counts)), *totals]:
        text += f"{loop}\n        {sums}[i] /= {float(n)!r};\n"
    return text
