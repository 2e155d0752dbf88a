"""Prediction intervals and prediction sets in C."""

from collections.abc import Mapping
from itertools import accumulate
from typing import Any

import numpy as np

from mlpcli.errors import MlpError
from mlpcli.export.c.decode import restored
from mlpcli.export.c.names import array, declared
from mlpcli.export.description import Plain
from mlpcli.export.python.standalone.network import LARGEST_LOG
from mlpcli.export.regions import FLOAT_INTEGERS

ENDS = """\
    {{
        double scaled[{n_folds}][{n_scaled}];
        for (fold = 0; fold < {n_folds}; fold++)
            for (i = 0; i < {n_scaled}; i += {n})
                on_scale(folds[fold] + i, scaled[fold] + i);
        for (i = {n} - 1; i >= 0; i--) {{
            double below[{n_folds}], above[{n_folds}], low = -HUGE_VAL, high = HUGE_VAL;
            for (fold = 0; fold < {n_folds}; fold++) {{
                const double *own = scaled[fold] + i, predicted = own[{middle}];
                below[fold] = -(own[0] < predicted ? own[0] : predicted);
                above[fold] = own[{last}] > predicted ? own[{last}] : predicted;
            }}
            if (group >= 0) {{
                const int index = i * {n_groups} + group;
                low = -upper_end(below, {n_folds}, firsts_{side}[index], scores_{side}, counts_{side}, needed[index]);
                high = upper_end(above, {n_folds}, firsts_above[index], scores_above, counts_above, needed[index]);
            }}
{lines}            answers[3 * i] = answers[i];
            answers[3 * i + 1] = low;
            answers[3 * i + 2] = high;
        }}
    }}
"""
SETS = """\
    {{
        double by_fold[{n_folds}][{n}], negated[{n_folds}];
        for (fold = 0; fold < {n_folds}; fold++)
            decode(folds[fold], by_fold[fold]);
        for (i = 0; i < {n_labels}; i++) {{
            const int index = {index};
            for (fold = 0; fold < {n_folds}; fold++)
                negated[fold] = {negated};
            holds[i] = group < 0
                || contains(negated, {n_folds}, firsts_above[index], scores_above, counts_above, needed[index]);
        }}
{labels}    }}
"""


def n_set_labels(model: Plain) -> int:
    """The number of labels of all targets that a set may contain; 0 without sets."""
    return sum(map(len, model["target"].get("labels", ()))) if model.get("regions") else 0


def tables_of(model: Plain) -> str:
    """The arrays of conformity scores by target and group, and the function that finds the group of a row."""
    regions = model["regions"]
    calibrations = [scores for groups in regions["calibration"] for scores in groups]
    text = declared("static const int64_t needed", [str(scores["needed"]) for scores in calibrations])
    sides = ["above"] if calibrations[0]["below"] is None else ["above", "below"]
    for side in sides:
        folds = [fold for scores in calibrations for fold in scores[side]]
        ends = [0, *accumulate(len(fold["scores"]) for fold in folds)]
        n = regions["n_folds"]
        firsts = [f"{{{', '.join(map(str, ends[k : k + n + 1]))}}}" for k in range(0, len(folds), n)]
        text += declared(f"static const int firsts_{side}", firsts).replace("] = {", f"][{n + 1}] = {{", 1)
        text += array(f"static const double scores_{side}", [score for fold in folds for score in fold["scores"]])
        counts = [str(count) for fold in folds for count in fold["counts"]]
        text += declared(f"static const int64_t counts_{side}", counts)
    return text + _group(regions["by"])


def _group(by: Mapping[str, Any] | None) -> str:
    if by is None:
        return ""
    values = [np.float32(group["value"]).item() for group in by["groups"]]
    tests = [f"x[{group['input']}] == {value!r}f" for group, value in zip(by["groups"], values, strict=True)]
    if len({*tests}) < len(tests) or max(map(abs, values)) >= FLOAT_INTEGERS:
        raise MlpError(f"--to c: float cannot tell the groups of {by['column']['name']} apart.")
    lines = "".join(f"    if ({test})\n        return {index};\n" for index, test in enumerate(tests))
    return f"\nstatic int group_of(const float *x)\n{{\n{lines}    return -1;\n}}\n"


def region_lines(model: Plain, name: str) -> str:
    """The lines that add interval ends to `answers`, or write sets into `holds`, from `folds`, `x` and `answers`."""
    target, regions = model["target"], model["regions"]
    n_folds, n_groups = regions["n_folds"], len(regions["calibration"][0])
    group = "    const int group = 0;\n" if regions["by"] is None else "    const int group = group_of(x);\n"
    if target["kind"] == "numbers":
        return group + _ends(target, regions, n_folds, n_groups)
    n = len(target["answers"])
    if target["kind"] == "classes":
        index, negated, n_labels = "i" if regions["of_labels"] else "group", "-by_fold[fold][i]", n
        labels = f"        holds[{name}_label(answers)] = 1;\n"
    else:
        index, n_labels = f"i / 2 * {n_groups} + group", 2 * n
        negated = "-(i % 2 ? by_fold[fold][i / 2] : 1.0 - by_fold[fold][i / 2])"
        labels = f"        for (i = 0; i < {n}; i++)\n            holds[2 * i + {name}_label(answers, i)] = 1;\n"
    return group + SETS.format(n_folds=n_folds, n=n, n_labels=n_labels, index=index, negated=negated, labels=labels)


def _ends(target: Mapping[str, Any], regions: Mapping[str, Any], n_folds: int, n_groups: int) -> str:
    n, lines = len(target["names"]), list[str]()
    n_quantiles = 3 if regions["has_quantiles"] else 1
    if target["transform"] == "log":
        lines.append(f"low = {restored(target, 'low')};")
        lines.append(f"high = high > {LARGEST_LOG!r} ? HUGE_VAL : {restored(target, 'high')};")
    if (least := regions["least"]) is not None:
        lines.append(f"low = low < {least!r} ? {least!r} : low;")
    if regions["holds_answer"]:
        lines += ["low = low > answers[i] ? answers[i] : low;", "high = high < answers[i] ? answers[i] : high;"]
    side = "above" if regions["calibration"][0][0]["below"] is None else "below"
    return ENDS.format(
        n_folds=n_folds, n=n, n_scaled=n_quantiles * n, middle=n_quantiles // 2 * n, last=(n_quantiles - 1) * n,
        side=side, n_groups=n_groups, lines="".join(f"            {line}\n" for line in lines),
    )  # fmt: skip
