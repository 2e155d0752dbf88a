"""The steps of a query: each names new columns, and carries those that are still needed."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

from mlpcli.errors import MlpError

Dialect = Literal["sqlite", "postgresql", "duckdb"]
Vector = list[str]  # names of columns

DIALECTS: tuple[Dialect, ...] = ("sqlite", "postgresql", "duckdb")
MOST_COLUMNS = 1_500  # of a step; PostgreSQL has 1664, SQLite 2000
TERMS = 30  # of a sum in one pair of parentheses: SQLite bounds how deep an expression goes
MOST_POWER = 700.0  # PostgreSQL refuses to round the exponential of less than about -708 to zero


class Steps:
    """A query in the making, over the columns of a table; `kept` are carried to its end."""

    def __init__(self, dialect: Dialect, table: str, kept: Sequence[str]) -> None:
        self.dialect, self._source = dialect, ".".join(map(quoted, table.split(".")))
        self._kept = [*map(quoted, kept)]
        self._tables: list[str] = []
        self._texts: list[str] = []
        self._pinned: list[Vector] = []

    def add(self, expressions: Iterable[str]) -> Vector:
        """One more step, from the columns of the one before; returns the names of what the expressions give.

        Raises MlpError for more columns than databases have.
        """
        number = len(self._texts) + 1
        made = {f"v{number}_{place}": expression for place, expression in enumerate(expressions, start=1)}
        carried = dict.fromkeys([*self._kept, *(name for vector in self._pinned for name in vector)])
        if len(made) + len(carried) > MOST_COLUMNS:
            raise MlpError(
                f"--to sql: a step of this model needs more than {MOST_COLUMNS} columns, which databases do not have.\n"
                "Train a smaller network, or choose another language."
            )
        columns = ",\n    ".join([*carried, *(f"{expression} AS {name}" for name, expression in made.items())])
        self._texts.append(f"step{number} AS MATERIALIZED (\n  SELECT\n    {columns}\n  FROM {self._source}\n)")
        self._source = f"step{number}"
        return list(made)

    def define(self, name: str, columns: Sequence[str], rows: Sequence[str]) -> None:
        """A table of the query's own, which expressions may ask."""
        values = ",\n  ".join(rows)
        self._tables.append(f"{name}({', '.join(columns)}) AS MATERIALIZED (VALUES\n  {values}\n)")

    @property
    def infinity(self) -> str:
        """The number that is beyond all others."""
        return "9e999" if self.dialect == "sqlite" else "CAST('Infinity' AS DOUBLE PRECISION)"

    def pin(self, vector: Vector) -> None:
        """Carry these columns to the end."""
        self._pinned.append(vector)

    @contextmanager
    def pinned(self, vector: Vector) -> Iterator[None]:
        """Carry these columns through the steps that are added inside."""
        self._pinned.append(vector)
        yield
        self._pinned.pop()

    def largest(self, vector: Vector) -> str:
        """The largest of some columns."""
        function = "MAX" if self.dialect == "sqlite" else "GREATEST"
        return vector[0] if len(vector) == 1 else f"{function}({', '.join(vector)})"

    def text(self, shown: Sequence[str]) -> str:
        """The whole query, which gives the expressions `shown` of the last step."""
        columns = ",\n  ".join(shown)
        return f"WITH {', '.join([*self._tables, *self._texts])}\nSELECT\n  {columns}\nFROM {self._source};\n"


def quoted(name: str) -> str:
    """A name as an identifier."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A text as a literal."""
    return "'" + value.replace("'", "''") + "'"


def literal(value: float) -> str:
    """A number with every digit and an exponent, which makes it a float and no decimal."""
    digits = repr(float(value))
    return digits if "e" in digits else f"{digits}e0"


def number(value: float) -> str:
    """The same for the middle of an expression."""
    return f"({literal(value)})" if value < 0 else literal(value)


def power(exponent: str) -> str:
    """An exponent as EXP takes it without an error."""
    most = literal(MOST_POWER)
    return f"CASE WHEN {exponent} > {most} THEN {most} WHEN {exponent} < -{most} THEN -{most} ELSE {exponent} END"


def total(terms: Sequence[str], operator: str = "+") -> str:
    """Their sum, or what another operator makes of them, in parentheses."""
    while len(terms) > TERMS:
        terms = [total(terms[start : start + TERMS], operator) for start in range(0, len(terms), TERMS)]
    return f"({f' {operator} '.join(terms) or '0e0'})"


def between(value: str, knots: Sequence[float], heights: Sequence[float]) -> str:
    """The height at a value, on the lines between the knots; the ends beyond them."""
    arms = [f"WHEN {value} <= {literal(knots[0])} THEN {literal(heights[0])}"]
    for place in range(1, len(knots)):
        slope = (heights[place] - heights[place - 1]) / (knots[place] - knots[place - 1])
        line = f"{number(slope)} * ({value} - {number(knots[place - 1])}) + {number(heights[place - 1])}"
        arms.append(f"WHEN {value} < {literal(knots[place])} THEN {line}")
    return f"CASE {' '.join(arms)} ELSE {literal(heights[-1])} END"
