"""`--to python`: a program of one file that needs nothing but Python."""

import ast
import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from mlpcli.data.schema import date_patterns, spelling
from mlpcli.export.description import Plain
from mlpcli.export.python.standalone import answers, cells, network, predictor, regions

# The texts that a program is made of, those that are used first.
PARTS: tuple[ModuleType, ...] = (spelling, date_patterns, cells, network, answers, regions, predictor)
USAGE = '''"""What a multi-layer perceptron answers to rows; written by `mlp export`, and all that is needed to run it.

As a filter on CSV:  python THIS_FILE.py < rows.csv > answers.csv
From Python:         THIS_FILE.predict({"a column": "its cell", ...})

`PREDICTOR.columns` are the columns that a row must have. Cells are texts as in the table, numbers, booleans, dates, or
None where one is missing.
"""

'''
ENDING = '''
PREDICTOR = Predictor(MODEL)


def predict(row: Mapping[str, Cell]) -> dict[str, Any]:
    """The label or number of each target, what lies around it if that is known, and the probability `p_NAME` of labels.

    Raises ValueError for a column that is missing, and for a cell that is not what its column has.
    """
    return PREDICTOR.predict(row)


if __name__ == "__main__":
    sys.exit(main(PREDICTOR))
'''


def python_source(model: Plain) -> str:
    """The text of the program."""
    parts = [_without_imports(part) for part in PARTS]
    # No text of the user stands anywhere but in this literal.
    literal = f"MODEL: dict[str, Any] = {_literal(model)}\n"
    return "\n\n".join([USAGE + _imports() + "\n", *parts, literal]) + ENDING


def _imports() -> str:
    """What the parts import of the standard library, each name once."""
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
    """The text of a module behind its imports."""
    source = inspect.getsource(part)
    last = max(node.end_lineno or 0 for node in ast.parse(source).body if isinstance(node, ast.Import | ast.ImportFrom))
    return "\n".join(source.splitlines()[last:]).strip() + "\n"


def _literal(value: Any) -> str:
    """Plain data as Python has it, a line for each row of numbers."""
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
