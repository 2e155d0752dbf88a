"""A distribution in YAML, from which members of an ensemble and trials of a search draw values."""

from typing import Annotated, Any

from mlpcli.options import Setting, options

Integer = int  # `int` is a key below
KINDS = ("uniform", "log_uniform", "int", "log_int", "choice")
DIGITS = 5  # significant digits of a drawn number, which is written to configs and model files


@options
class Distribution:
    """A distribution: one of uniform, log_uniform, int, log_int, choice."""

    uniform: Annotated[tuple[float, float] | None, Setting("Bounds of a uniform distribution.")] = None
    log_uniform: Annotated[tuple[float, float] | None, Setting("Bounds of a log-uniform distribution.")] = None
    log: Annotated[tuple[float, float] | None, Setting("Alias of `log_uniform`.")] = None
    int: Annotated[
        tuple[Integer, Integer] | None, Setting("Bounds of a uniform distribution of integers, both included.")
    ] = None
    log_int: Annotated[
        tuple[Integer, Integer] | None, Setting("Bounds of a log-uniform distribution of integers, both included.")
    ] = None
    choice: Annotated[
        tuple[Any, ...] | None, Setting("A list of values as written in the config, all equally likely.")
    ] = None

    @property
    def given(self) -> tuple[str, ...]:
        """The keys that are set; exactly one in a valid distribution."""
        return tuple(key for key in (*KINDS[:2], "log", *KINDS[2:]) if getattr(self, key) is not None)

    @property
    def kind(self) -> str:
        """One of KINDS."""
        return "log_uniform" if self.given[0] == "log" else self.given[0]

    @property
    def bounds(self) -> tuple[Any, ...]:
        """The lower and the upper bound, or all choices."""
        return tuple(getattr(self, self.given[0]))

    @property
    def is_whole(self) -> bool:
        """Whether integers are drawn."""
        return self.kind in ("int", "log_int")

    def fault(self) -> str | None:
        """Why the distribution is invalid, as a sentence; None if it is valid."""
        if len(self.given) != 1:
            problem = f"{' and '.join(self.given)} cannot be combined" if self.given else "gives no values"
            return f"{problem}. Write one of {', '.join(KINDS)}."
        key, bounds = self.given[0], self.bounds
        if self.kind == "choice":
            return None if bounds else "choice needs at least one value."
        if not bounds[0] <= bounds[1]:
            return f"{key} needs the lower bound first: [{bounds[1]:g}, {bounds[0]:g}]."
        if self.kind.startswith("log_") and bounds[0] <= 0:
            return f"{key} needs bounds greater than 0, got {bounds[0]:g}."
        return None

    def rounded(self, drawn: float) -> float:
        """A drawn number, rounded to DIGITS significant digits and clipped to the bounds."""
        low, high = self.bounds
        return min(max(float(f"{drawn:.{DIGITS}g}"), float(low)), float(high))
