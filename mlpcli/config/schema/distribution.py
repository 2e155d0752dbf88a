"""A distribution as the YAML names it: what a member of an ensemble draws a hyperparameter from."""

from typing import Annotated, Any

from mlpcli.options import Setting, options

Whole = int  # `int` is the name of a key below


@options
class Distribution:
    """What a value is drawn from: one of uniform, log_uniform, int, log_int, choice."""

    uniform: Annotated[tuple[float, float] | None, Setting("Least and greatest number, drawn uniformly.")] = None
    log_uniform: Annotated[
        tuple[float, float] | None, Setting("Least and greatest number, drawn uniformly on a logarithmic scale.")
    ] = None
    int: Annotated[tuple[Whole, Whole] | None, Setting("Least and greatest whole number, drawn uniformly.")] = None
    log_int: Annotated[
        tuple[Whole, Whole] | None, Setting("Least and greatest whole number, drawn on a logarithmic scale.")
    ] = None
    choice: Annotated[
        tuple[Any, ...] | None, Setting("The values, each as it would stand in the config; all as likely.")
    ] = None
