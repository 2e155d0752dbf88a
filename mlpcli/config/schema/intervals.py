"""The section `intervals` of the config: which rows say how far the truth lies from an answer."""

from typing import Annotated, Literal

from mlpcli.options import Setting, options


@options
class IntervalsConfig:
    """The calibration rows of `mlp predict --interval`, whose errors are kept in the model."""

    rows: Annotated[
        Literal["auto", "none"] | Annotated[float, Setting("A fraction of the rows.", gt=0, lt=1)],
        Setting(
            "auto: the out-of-fold rows of members on folds, else the validation rows, which choose the epoch as well; "
            "a fraction of the training file is set apart, is not trained on and chooses nothing; none."
        ),
    ] = "auto"
    by: Annotated[
        str | None,
        Setting(
            "A column in each of whose groups intervals hold as often as asked; the target itself for each class. It "
            "is an input unless it is dropped."
        ),
    ] = None
    level: Annotated[
        float | None,
        Setting(
            "Level at which training reports coverage and width on data.test, for gates of expect; null reports none.",
            ge=0.5,
            lt=1,
        ),
    ] = None
