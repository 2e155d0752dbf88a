"""The section `search` of the config: which keys are searched, over which values, for how long."""

from dataclasses import field
from typing import Annotated, Any, Literal

from mlpcli.options import Setting, options

Whole = int  # `int` is the name of a key below


@options
class Domain:
    """The values that a key may take: one of log, uniform, int, log_int, choice."""

    log: Annotated[
        tuple[float, float] | None, Setting("Least and greatest number, drawn uniformly on a logarithmic scale.")
    ] = None
    uniform: Annotated[tuple[float, float] | None, Setting("Least and greatest number, drawn uniformly.")] = None
    int: Annotated[tuple[Whole, Whole] | None, Setting("Least and greatest whole number, drawn uniformly.")] = None
    log_int: Annotated[
        tuple[Whole, Whole] | None, Setting("Least and greatest whole number, drawn on a logarithmic scale.")
    ] = None
    choice: Annotated[tuple[Any, ...] | None, Setting("The values, each as it would stand in the config.")] = None
    when: Annotated[
        dict[str, Any],
        Setting("The key is searched only where these other keys have these values (a list: one of them)."),
    ] = field(default_factory=dict)


@options
class SearchConfig:
    """What `mlp search` tries; `mlp train` takes no note of it."""

    space: Annotated[
        dict[str, Domain],
        Setting(
            "The values of each key that is searched, its path joined by points: "
            "`training.optimizer.learning_rate: {log: [1e-4, 0.1]}`."
        ),
    ]
    trials: Annotated[int | None, Setting("Trials in all; null is as many as the seconds allow.", ge=1)] = 50
    seconds: Annotated[float | None, Setting("After so long no trial goes on; null is any time.", gt=0)] = None
    metric: Annotated[
        str,
        Setting("The metric on the validation rows that trials are judged by; auto is the one that chooses the epoch."),
    ] = "auto"
    holdout: Annotated[
        float,
        Setting(
            "Fraction of the rows that no trial sees, where there is no data.test: they judge the winner.", gt=0, lt=1
        ),
    ] = 0.2
    processes: Annotated[
        Literal["auto"] | Annotated[int, Setting("Processes.", ge=1, le=1024)],
        Setting("Trials that run at the same time, each in a process with one thread; auto is one for each core."),
    ] = "auto"
    recipes: Annotated[
        bool, Setting("Whether the recipes of `mlp init` are the trials after the config as written.")
    ] = True
    prune: Annotated[bool, Setting("Whether trials end early whose validation score falls behind the others.")] = True
    seed: Annotated[int, Setting("Feeds the choice of the values.", ge=0, le=2**32 - 1)] = 0
