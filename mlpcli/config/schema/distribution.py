"""A distribution as the YAML names it: what a member of an ensemble, or a trial of a search, draws a value from."""

from typing import Annotated, Any

from mlpcli.options import Setting, options

Whole = int  # `int` is the name of a key below
KINDS = ("uniform", "log_uniform", "int", "log_int", "choice")
DIGITS = 5  # of a number that is drawn: more say nothing, and stand in the config of the winner or in the model file


@options
class Distribution:
    """What a value is drawn from: one of uniform, log_uniform, int, log_int, choice."""

    uniform: Annotated[tuple[float, float] | None, Setting("Bounds of a uniform distribution.")] = None
    log_uniform: Annotated[tuple[float, float] | None, Setting("Bounds of a log-uniform distribution.")] = None
    log: Annotated[tuple[float, float] | None, Setting("Alias of `log_uniform`.")] = None
    int: Annotated[
        tuple[Whole, Whole] | None, Setting("Bounds of a uniform distribution of integers, both included.")
    ] = None
    log_int: Annotated[
        tuple[Whole, Whole] | None, Setting("Bounds of a log-uniform distribution of integers, both included.")
    ] = None
    choice: Annotated[
        tuple[Any, ...] | None, Setting("A list of values as written in the config, all equally likely.")
    ] = None

    @property
    def given(self) -> tuple[str, ...]:
        """The words that the YAML has; one, where the distribution can be drawn from."""
        return tuple(word for word in (*KINDS[:2], "log", *KINDS[2:]) if getattr(self, word) is not None)

    @property
    def kind(self) -> str:
        """One of KINDS."""
        return "log_uniform" if self.given[0] == "log" else self.given[0]

    @property
    def bounds(self) -> tuple[Any, ...]:
        """Least and greatest value, or all choices."""
        return tuple(getattr(self, self.given[0]))

    @property
    def is_whole(self) -> bool:
        """Whether what is drawn is a whole number."""
        return self.kind in ("int", "log_int")

    def fault(self) -> str | None:
        """Why nothing can be drawn from it, as a sentence; None where something can."""
        if len(self.given) != 1:
            said = f"{' and '.join(self.given)} cannot be combined" if self.given else "gives no values"
            return f"{said}. Write one of {', '.join(KINDS)}."
        word, bounds = self.given[0], self.bounds
        if self.kind == "choice":
            return None if bounds else "choice needs at least one value."
        if not bounds[0] <= bounds[1]:
            return f"{word} needs the lower bound first: [{bounds[1]:g}, {bounds[0]:g}]."
        if self.kind.startswith("log_") and bounds[0] <= 0:
            return f"{word} needs bounds greater than 0, got {bounds[0]:g}."
        return None

    def rounded(self, drawn: float) -> float:
        """A number that was drawn, to DIGITS digits and within the bounds."""
        low, high = self.bounds
        return min(max(float(f"{drawn:.{DIGITS}g}"), float(low)), float(high))
