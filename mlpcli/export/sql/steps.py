"""A query as a sequence of steps, each of which adds columns and carries those that are still needed."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Literal

from mlpcli.errors import MlpError

Dialect = Literal["sqlite", "postgresql", "duckdb"]
Vector = list[str]  # names of columns

DIALECTS: tuple[Dialect, ...] = ("sqlite", "postgresql", "duckdb")
MAX_COLUMNS = 1_500  # per step; the limit is 1664 in PostgreSQL and 2000 in SQLite
MAX_TERMS = 30  # of a sum in one pair of parentheses, because SQLite limits the depth of expressions
MAX_EXPONENT = 700.0  # PostgreSQL raises an error if EXP underflows, below about -708


class Steps:
    """A query over the columns of a table, built step by step; the columns `kept` are carried to its end."""

    def __init__(self, dialect: Dialect, table: str, kept: Sequence[str]) -> None:
        self.dialect, self._source = dialect, ".".join(map(quoted, table.split(".")))
        self._kept = [*map(quoted, kept)]
        self._tables: list[str] = []
        self._texts: list[str] = []
        self._pinned: list[Vector] = []

    def add(self, expressions: Iterable[str]) -> Vector:
        """Add a step with expressions over the columns of the previous one; returns the names of the new columns.

        Raises MlpError for more columns than databases allow.
        """
        number = len(self._texts) + 1
        new = {f"v{number}_{index}": expression for index, expression in enumerate(expressions, start=1)}
        carried = dict.fromkeys([*self._kept, *(name for vector in self._pinned for name in vector)])
        if len(new) + len(carried) > MAX_COLUMNS:
            raise MlpError(
                f"--to sql: a step of this model needs more than {MAX_COLUMNS} columns, which databases do not have.\n"
                "Train a smaller network, or choose another language."
            )
        columns = ",\n    ".join([*carried, *(f"{expression} AS {name}" for name, expression in new.items())])
        self._texts.append(f"step{number} AS MATERIALIZED (\n  SELECT\n    {columns}\n  FROM {self._source}\n)")
        self._source = f"step{number}"
        return list(new)

    def define(self, name: str, columns: Sequence[str], rows: Sequence[str]) -> None:
        """Add a constant table that subqueries of expressions may select from."""
        values = ",\n  ".join(rows)
        self._tables.append(f"{name}({', '.join(columns)}) AS MATERIALIZED (VALUES\n  {values}\n)")

    @property
    def infinity(self) -> str:
        """Positive infinity."""
        return "9e999" if self.dialect == "sqlite" else "CAST('Infinity' AS DOUBLE PRECISION)"

    def pin(self, vector: Vector) -> None:
        """Carry these columns to the end of the query."""
        self._pinned.append(vector)

    @contextmanager
    def pinned(self, vector: Vector) -> Iterator[None]:
        """Carry these columns through the steps added within the context."""
        self._pinned.append(vector)
        yield
        self._pinned.pop()

    def largest(self, vector: Vector) -> str:
        """The expression of the largest of some columns."""
        function = "MAX" if self.dialect == "sqlite" else "GREATEST"
        return vector[0] if len(vector) == 1 else f"{function}({', '.join(vector)})"

    def text(self, shown: Sequence[str]) -> str:
        """The query, which selects the expressions `shown` from the last step."""
        columns = ",\n  ".join(shown)
        return f"WITH {', '.join([*self._tables, *self._texts])}\nSELECT\n  {columns}\nFROM {self._source};\n"


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A text as an SQL literal."""
    return "'" + value.replace("'", "''") + "'"


def literal(value: float) -> str:
    """A number as an SQL literal that round-trips; its exponent makes it a float instead of a decimal."""
    digits = repr(float(value))
    return digits if "e" in digits else f"{digits}e0"


def number(value: float) -> str:
    """As `literal`, with a negative number in parentheses for use inside an expression."""
    return f"({literal(value)})" if value < 0 else literal(value)


def power(exponent: str) -> str:
    """An exponent, clipped so that EXP neither overflows nor underflows."""
    most = literal(MAX_EXPONENT)
    return f"CASE WHEN {exponent} > {most} THEN {most} WHEN {exponent} < -{most} THEN -{most} ELSE {exponent} END"


def total(terms: Sequence[str], operator: str = "+") -> str:
    """The sum of terms, or their combination by another operator, in parentheses."""
    while len(terms) > MAX_TERMS:
        terms = [total(terms[start : start + MAX_TERMS], operator) for start in range(0, len(terms), MAX_TERMS)]
    return f"({f' {operator} '.join(terms) or '0e0'})"


def interpolate(value: str, knots: Sequence[float], heights: Sequence[float]) -> str:
    """Piecewise linear interpolation, constant beyond the first and the last knot."""
    arms = [f"WHEN {value} <= {literal(knots[0])} THEN {literal(heights[0])}"]
    for (left, low), (right, high) in pairwise(zip(knots, heights, strict=True)):
        slope = (high - low) / (right - left)
        arms.append(
            f"WHEN {value} < {literal(right)} THEN {number(slope)} * ({value} - {number(left)}) + {number(low)}"
        )
    return f"CASE {' '.join(arms)} ELSE {literal(heights[-1])} END"
