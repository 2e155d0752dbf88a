"""The optional `main` of a C export: a filter that predicts lines of cells, compiled if its macro is defined."""

from collections.abc import Sequence

from mlpcli.export.c.regions import n_set_labels
from mlpcli.export.description import Plain

MAIN = """
#ifdef {macro}_MAIN
#include <stdio.h>
#include <stdlib.h>

#ifndef {macro}_CELL_END
#define {macro}_CELL_END '\\t'
#endif
#ifndef {macro}_ROW_END
#define {macro}_ROW_END '\\n'
#endif

static char line[{size}], *rest;
static int is_invalid;

/* Reads a row into `line`; returns 0 at the end of the input, -1 if the row is too long. */
static int read_row(void)
{{
    int c;
    size_t n = 0;
    while ((c = getchar()) != EOF && c != {macro}_ROW_END) {{
        if (n == sizeof line - 1)
            return -1;
        line[n++] = (char)c;
    }}
    line[n] = 0;
    if (n && line[n - 1] == '\\r')
        line[n - 1] = 0;
    return n || c != EOF;
}}

/* The next cell of the row. */
static const char *text_cell(void)
{{
    char *cell = rest;
    if (!cell) {{
        is_invalid = 1;
        return "";
    }}
    rest = strchr(cell, {macro}_CELL_END);
    if (rest)
        *rest++ = 0;
    return cell;
}}
{functions}
/* Predicts lines of tab-separated cells in the order of the struct; an empty cell is missing. */
int main(void)
{{
    {name}_row row;
    double answers[{n_answers}];{holds}
    long n_rows = 0;
    int status, i;
    while ((status = read_row()) != 0) {{
        n_rows++;
        rest = line;
{reading}
        if (status < 0 || is_invalid || rest) {{
            fprintf(stderr, "line %ld: too long, another number of cells, or a text among numbers\\n", n_rows);
            return 2;
        }}
        if ({name}_answer(&row, answers{argument})) {{
            printf("?%c", {macro}_ROW_END);
            continue;
        }}
{printing}
        for (i = 0; i < {n_answers}; i++)
            printf("%.17g%c", answers[i], i < {n_answers} - 1 ? {macro}_CELL_END : {macro}_ROW_END);
    }}
    return 0;
}}
#endif
"""
NUMBER = """
/* The next cell as a number, NAN if it is missing. */
static double number_cell(void)
{
    const char *cell = text_cell();
    char *end;
    const double value = strtod(cell, &end);
    is_invalid |= *end != 0;
    return *cell ? value : NAN;
}
"""
PUT_SET = """
/* Prints the labels of a set, separated by |. */
static void put_set(const char *const *labels, const unsigned char *holds, int n, char end)
{
    int i, is_first = 1;
    for (i = 0; i < n; i++) {
        const char *c = labels[i];
        if (!holds[i])
            continue;
        if (!is_first)
            putchar('|');
        is_first = 0;
        for (; *c; c++) {
            if (*c == '|' || *c == '\\\\')
                putchar('\\\\');
            putchar(*c);
        }
    }
    putchar(end);
}
"""
# The line buffer has at least MIN_BYTES, and BYTES_PER_CELL for each cell.
MIN_BYTES, BYTES_PER_CELL = 1 << 16, 64


def main_source(model: Plain, name: str, fields: Sequence[tuple[Plain, str]], n_answers: int) -> str:
    """The source of `main` for the model `name`, whose row has these columns and fields."""
    macro, n_labels = name.upper(), n_set_labels(model)
    has_number = [column["role"] in ("number", "date") for column, _ in fields]
    reading = "\n".join(
        f"        row.{field} = {'number_cell' if is_number else 'text_cell'}();"
        for (_, field), is_number in zip(fields, has_number, strict=True)
    )
    printing = "\n".join(f"        {line}" for line in _printing(model["target"], name, n_labels > 0))
    return MAIN.format(
        macro=macro, name=name, n_answers=n_answers, reading=reading, printing=printing,
        size=max(MIN_BYTES, BYTES_PER_CELL * len(fields)),
        functions=(NUMBER if any(has_number) else "") + (PUT_SET if n_labels else ""),
        holds=f"\n    unsigned char holds[{n_labels}];" if n_labels else "",
        argument=", holds" if n_labels else "",
    )  # fmt: skip


def _printing(target: Plain, name: str, has_sets: bool) -> list[str]:
    """The lines that print the label of each target column, and its set."""
    n, end = len(target["answers"]), f"{name.upper()}_CELL_END"
    if target["kind"] == "numbers":
        return []
    if target["kind"] == "classes":
        lines = [f'printf("%s%c", {name}_labels[{name}_label(answers)], {end});']
        return [*lines, *([f"put_set({name}_labels, holds, {n}, {end});"] if has_sets else [])]
    lines = [f'printf("%s%c", {name}_labels[i][{name}_label(answers, i)], {end});']
    lines += [f"put_set({name}_labels[i], holds + 2 * i, 2, {end});"] if has_sets else []
    return [f"for (i = 0; i < {n}; i++) {{", *(f"    {line}" for line in lines), "}"]
