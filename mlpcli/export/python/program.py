"""`--to python`: write a model as one Python file that needs only the standard library."""

import ast
import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from mlpcli.data.schema import spelling
from mlpcli.data.schema.dates import patterns
from mlpcli.export.description import Plain
from mlpcli.export.python.standalone import cells, decode, network, predictor, regions

# The modules whose source is copied into the file, dependencies first.
PARTS: tuple[ModuleType, ...] = (spelling, patterns, cells, network, decode, regions, predictor)
USAGE = '''"""Predictions of a multi-layer perceptron, exported by `mlp export`. Needs only the Python standard library.

As a filter on CSV:  python THIS_FILE.py < rows.csv > predictions.csv
From Python:         THIS_FILE.predict({"column": cell, ...})

`PREDICTOR.columns` lists the columns that a row must have. A cell is a text as in the table, a number, a boolean, a
date, or None if it is missing.
"""

'''
ENDING = '''
PREDICTOR = Predictor(MODEL)


def predict(row: Mapping[str, Cell]) -> dict[str, Any]:
    """The predicted label or number of each target, its set or interval if exported, and the probabilities `p_NAME`.

    Raises ValueError for a column that is missing and for an invalid cell.
    """
    return PREDICTOR.predict(row)


if __name__ == "__main__":
    sys.exit(main(PREDICTOR))
'''


def python_source(model: Plain) -> str:
    """The source of the program."""
    parts = [_without_imports(part) for part in PARTS]
    # Text from the user's table appears only inside this literal, so that it cannot become code.
    literal = f"MODEL: dict[str, Any] = {_literal(model)}\n"
    return "\n\n".join([USAGE + _imports() + "\n", *parts, literal]) + ENDING


def _imports() -> str:
    """The imports from the standard library, without repetition."""
    modules, names = set[str](), dict[str, set[str]]()
    for part in PARTS:
        for node in ast.parse(inspect.getsource(part)).body:
            if isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.module.startswith("mlpcli"):
                names.setdefault(node.module, set()).update(alias.name for alias in node.names)
    lines = [f"import {module}" for module in sorted(modules)]
    lines += [f"from {module} import {', '.join(sorted(names[module], key=str.lower))}" for module in sorted(names)]
    return "\n".join(lines)


def _without_imports(part: ModuleType) -> str:
    """The source of a module after its imports."""
    source = inspect.getsource(part)
    last = max(node.end_lineno or 0 for node in ast.parse(source).body if isinstance(node, ast.Import | ast.ImportFrom))
    return "\n".join(source.splitlines()[last:]).strip() + "\n"


def _literal(value: Any) -> str:
    """Plain data as a Python literal, with one line per row of numbers."""
    return "".join(_pieces(value, ""))


def _pieces(value: Any, indent: str) -> Iterator[str]:
    inner = indent + "    "
    if isinstance(value, dict) and value:
        yield "{\n"
        for key, item in value.items():
            yield f"{inner}{key!r}: "
            yield from _pieces(item, inner)
            yield ",\n"
        yield indent + "}"
    elif isinstance(value, list) and any(isinstance(item, list | dict) for item in value):
        yield "[\n"
        for item in value:
            yield inner
            yield from _pieces(item, inner)
            yield ",\n"
        yield indent + "]"
    else:
        yield repr(value)
