"""The section `intervals` of the config: which rows say how far the truth lies from an answer."""

from typing import Annotated, Literal

from mlpcli.options import Setting, options


@options
class IntervalsConfig:
    """The calibration rows of `mlp predict --interval`, whose errors are kept in the model."""

    rows: Annotated[
        Literal["auto", "none"] | Annotated[float, Setting("A fraction of the rows.", gt=0, lt=1)],
        Setting(
            "Calibration rows. auto: the out-of-fold rows of members on folds, else the validation rows, which also "
            "choose the epoch. A fraction: that part of the training rows is used for calibration only. none: no "
            "intervals."
        ),
    ] = "auto"
    by: Annotated[
        str | None,
        Setting(
            "A column of groups: coverage is guaranteed in each of them (Mondrian conformal prediction); the target "
            "itself stands for each class. The column is an input unless it is dropped."
        ),
    ] = None
    level: Annotated[
        float | None,
        Setting(
            "Level at which training reports coverage and width on data.test, for gates of expect; null: none are "
            "reported.",
            ge=0.5,
            lt=1,
        ),
    ] = None
