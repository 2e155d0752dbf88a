"""The section `search`: the search space, and limits on trials and time."""

from dataclasses import field
from typing import Annotated, Any, Literal

from mlpcli.config.schema.distribution import Distribution
from mlpcli.options import Setting, options


@options
class Domain(Distribution):
    """The distribution of a key's values, and a condition under which it is searched."""

    when: Annotated[
        dict[str, Any],
        Setting("The key is searched only if these other keys have these values (a list: one of them)."),
    ] = field(default_factory=dict)


@options
class SearchConfig:
    """Search space and limits of `mlp search`; `mlp train` ignores them."""

    space: Annotated[
        dict[str, Domain],
        Setting(
            "The domain of each key that is searched, by its dotted path: `training.optimizer.learning_rate: "
            "{log_uniform: [1e-4, 0.1]}`."
        ),
    ]
    trials: Annotated[int | None, Setting("Number of trials; null: as many as `seconds` allows.", ge=1)] = 50
    seconds: Annotated[float | None, Setting("Seconds after which the search ends; null: no limit.", gt=0)] = None
    metric: Annotated[
        str,
        Setting("Metric of the validation rows that is optimized; auto is the one that chooses the epoch."),
    ] = "auto"
    holdout: Annotated[
        float,
        Setting(
            "Fraction of the rows that no trial sees; they score the best trial. Not used with data.test.",
            gt=0,
            lt=1,
        ),
    ] = 0.2
    processes: Annotated[
        Literal["auto"] | Annotated[int, Setting("Processes.", ge=1, le=1024)],
        Setting("Trials that run in parallel, each in a process with one thread; auto is one per core."),
    ] = "auto"
    recipes: Annotated[
        bool, Setting("Whether the recipes of `mlp init` are tried first, after the config as written.")
    ] = True
    prune: Annotated[bool, Setting("Whether trials end early if their validation score falls behind the others.")] = (
        True
    )
    seed: Annotated[int, Setting("Seed of the sampled values.", ge=0, le=2**32 - 1)] = 0
