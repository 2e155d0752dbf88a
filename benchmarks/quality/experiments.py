"""Experiments by which values of `strong` are chosen: on which tables, and what `--set` changes in each.

The first set of each experiment is what the others are compared with. A set writes all values in question, so that it
says the same after the recipe has changed. The tables are those of tables.py.
"""

from dataclasses import dataclass

from benchmarks.quality.contestants import Contestant

LARGE = (
    "magic-large", "vietnam-large", "kr-vs-k-large", "health-insurance", "budget-food-large", "movies-large",
    "census-large", "baseball-large", "goods-large", "places-large", "friedman1-large", "impedance-large",
)  # fmt: skip

SMALL = (
    "australian", "german", "vehicle", "vowel", "segment", "pima", "kc1", "chile",
    "airfoil", "boom-bikes", "concrete", "laser", "medical-cost", "qsar-fish-toxicity", "winequality-red",
)  # fmt: skip

# Numbers, 240 to 1130 training rows.
SMALL_NUMBERS = (
    "airfoil", "auto-mpg", "baseball-salary", "boom-bikes", "concrete", "housing", "laser", "qsar-aquatic-toxicity",
    "qsar-fish-toxicity", "real-estate", "treasury", "wankara",
)  # fmt: skip

# Two classes, at least 2000 training rows.
BINARY = (
    "hypothyroid", "chess", "spambase", "benefits", "banana", "phoneme", "ring", "flchain", "magic",
    "magic-large", "vietnam-large", "health-insurance", "labor-large", "doctor-large",
)  # fmt: skip

# 2000 to 7000 training rows.
MEDIUM = ("airfare", "computers", "happiness", "magic", "phoneme", "puma32h", "satimage", "spambase")

# Numbers of which none is negative, at least 2000 training rows.
POSITIVE = ("airfare", "baseball-large", "computers", "goods-large", "medical-expenses", "places", "slid", "visits")


@dataclass(frozen=True)
class Experiment:
    """What is trained on `datasets`: `strong` with each of `sets` (KEY=VALUE for `mlp train --set`) by its name."""

    datasets: tuple[str, ...]
    sets: dict[str, tuple[str, ...]]

    def contestants(self, name: str) -> list[Contestant]:
        """One for each set; `name` is that of the experiment."""
        return [Contestant(f"{name}: {of}", recipe="strong", overrides=values) for of, values in self.sets.items()]


def _members(count: int, epochs: int, folds: int = 4) -> tuple[str, ...]:
    """So many members and epochs, with the patience that `strong` has then."""
    return (
        f"model.members.count={count}",
        f"model.members.folds={folds}",
        f"training.epochs={epochs}",
        f"training.early_stopping.patience={epochs // 4}",
    )


def _five_cycles(folds: int, batch_size: int) -> tuple[str, ...]:
    """The four cycles of 48 epochs and one more, on so many folds."""
    return (
        *_members(8, 96, folds),
        "training.schedule={name: coslog, cycles: 5}",
        "training.early_stopping.patience=12",
        f"training.batch_size={batch_size}",
    )


def _sigma(low: float, high: float) -> tuple[str, ...]:
    """The range that each member draws the deviation of its frequencies from."""
    return (f"model.members.draw={{model.numeric_embedding.sigma: {{log_uniform: [{low}, {high}]}}}}",)


def _width(neurons: int) -> tuple[str, ...]:
    """Three hidden layers of so many neurons."""
    return (f"model.layers=[auto, {neurons}, {neurons}, {neurons}, auto]",)


def _subspaces(*draws: str) -> dict[str, tuple[str, ...]]:
    """All columns for each member, 80% of them, or a fraction that each member draws along with what `strong` draws."""

    def drawing(*texts: str) -> str:
        return f"model.members.draw={{{', '.join(texts)}}}"

    return {
        "all columns": ("model.members.features=1", drawing(*draws)),
        "0.8 of the columns": ("model.members.features=0.8", drawing(*draws)),
        "fraction from [0.7, 1]": (drawing(*draws, "model.members.features: {uniform: [0.7, 1]}"),),
    }


def _repeats(count: int) -> dict[str, tuple[str, ...]]:
    """So many members on the same four folds, and on new ones in each round."""
    members = (f"model.members.count={count}", "model.members.folds=4")
    return {
        f"{count} members": (*members, "model.members.repeat_folds=false"),
        f"{count} members, repeated folds": (*members, "model.members.repeat_folds=true"),
    }


# One member for each fold, in half the time.
_HALF = ("model.members.count=4", "model.members.folds=4")

# All members see cosines, and none of them bins.
_ALL_COSINES = ("model.members.views=same", "preprocess.encoding=none")

EXPERIMENTS: dict[str, Experiment] = {
    "members": Experiment(
        LARGE,
        {
            "4 members, 48 epochs": _members(4, 48),
            "8 members, 16 epochs": _members(8, 16),
            "8 members, 15 epochs": _members(8, 15),
        },
    ),
    "frequencies": Experiment(
        (
            "magic-large",
            "vietnam-large",
            "health-insurance",
            "labor-large",
            "doctor-large",
            "goods-large",
            "places-large",
            "baseball-large",
        ),
        {
            "sigma from [0.2, 4]": _members(8, 16) + _sigma(0.2, 4),
            "sigma from [0.2, 8]": _members(8, 16) + _sigma(0.2, 8),
            "sigma from [1, 8]": _members(8, 16) + _sigma(1, 8),
            "sigma from [1, 16]": _members(8, 16) + _sigma(1, 16),
            "sigma from [0.2, 8], all members see cosines": _members(8, 16) + _sigma(0.2, 8) + _ALL_COSINES,
        },
    ),
    "smoothing": Experiment(
        BINARY,
        {f"label smoothing {value}": (f"training.loss.label_smoothing={value}",) for value in (0.1, 0.02)},
    ),
    "epochs": Experiment(
        ("doctor-8000", "labor-8000", "magic-8000", "vietnam-8000", "magic", "flchain", "phoneme", "banana"),
        {f"{epochs} epochs": _members(8, epochs) for epochs in (48, 16)},
    ),
    "slopes": Experiment(
        ("vowel", "penbased", "optdigits", "kr-vs-k", "segment", "satimage", "vehicle", "phoneme"),
        {
            "fixed": ("model.learn_slopes=false",),
            "learnt at 0.1 of the rate": ("model.learn_slopes=true", "training.rates.slopes=0.1"),
            "learnt at the whole rate": ("model.learn_slopes=true", "training.rates.slopes=1"),
        },
    ),
    "many-classes": Experiment(
        ("kr-vs-k-large", "vocab-large", "fars-large"),
        {
            "4 members, 48 epochs": _members(4, 48),
            "8 members, 24 epochs": _members(8, 24),
            "8 members, 48 epochs": _members(8, 48),
            "8 members of 192, 48 epochs": _members(8, 48) + _width(192),
        },
    ),
    "activations": Experiment(
        ("vowel", "segment", "satimage", "vehicle", "phoneme"),
        {name: (f"model.activation={name}", "model.learn_slopes=false") for name in ("selu", "mish")},
    ),
    # The only ones of these tables in which `mlp init` finds numbers that act as levels.
    "levels": Experiment(("vietnam-large", "computers"), {"numbers": ("data.columns={}",), "levels": ()}),
    "small": Experiment(
        SMALL,
        {
            "8 members of 128": _members(8, 48) + _width(128),
            "16 members of 64": _members(16, 48) + _width(64),
            "8 members of 64": _members(8, 48) + _width(64),
        },
    ),
    "small-numbers": Experiment(
        SMALL_NUMBERS,
        {
            "4 folds, 48 epochs": (*_members(8, 48), "training.schedule=coslog", "training.batch_size=64"),
            "8 folds, 48 epochs": (*_members(8, 48, 8), "training.schedule=coslog", "training.batch_size=64"),
            "8 folds, 96 epochs in 5 cycles": _five_cycles(8, 64),
            "8 folds, 96 epochs in 5 cycles, batches of 32": _five_cycles(8, 32),
        },
    ),
    # What was tried on top of the last of them, where noise is large.
    "small-numbers-more": Experiment(
        ("auto-mpg", "baseball-salary", "housing", "qsar-fish-toxicity", "real-estate", "wankara"),
        {
            "as it is": _five_cycles(8, 32),
            "learning rate 0.04": (*_five_cycles(8, 32), "training.optimizer.learning_rate=0.04"),
            "averaged weights": (*_five_cycles(8, 32), "training.averaging={name: ema, decay: 0.99}"),
            "SELU": (*_five_cycles(8, 32), "model.activation=selu"),
            "weight decay 0.05": (
                *_five_cycles(8, 32),
                "training.optimizer={name: adamw, learning_rate: 0.07, beta2: 0.95, weight_decay: 0.05}",
            ),
            "neither bins nor cosines": (
                *_five_cycles(8, 32),
                "model.members.views=same",
                "preprocess.encoding=none",
                "model.numeric_embedding=null",
            ),
            "width 64": (*_five_cycles(8, 32), *_width(64)),
        },
    ),
    "subspaces": Experiment(MEDIUM, _subspaces("model.numeric_embedding.sigma: {log_uniform: [0.2, 4]}")),
    "subspaces-small": Experiment(SMALL, _subspaces()),
    "logarithm": Experiment(
        POSITIVE,
        {
            "as it is": (*_HALF, "preprocess.target=auto", "postprocess.bias_correction=false"),
            "logarithm": (*_HALF, "preprocess.target=log", "postprocess.bias_correction=false"),
            "logarithm, bias corrected": (*_HALF, "preprocess.target=log", "postprocess.bias_correction=true"),
        },
    ),
    "repeats": Experiment((*SMALL, *MEDIUM), _repeats(8)),
}
