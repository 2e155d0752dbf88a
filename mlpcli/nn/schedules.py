"""Learning-rate schedules: pure functions of progress, so that resuming needs only the epoch.

`factor(epoch, epochs)` multiplies the optimizer's learning rate. `epoch` counts from 0 and is fractional within an
epoch (step 5 of 10 in the third epoch is 2.5); `epochs` is the planned number. After a linear warm-up of `warmup`
epochs (`schedule_factor`), both count from its end. Schedules that start at 0 themselves have no warm-up.
"""

from math import cos, log2, pi
from typing import Annotated, ClassVar, Literal

from mlpcli.options import Setting, options

Warmup = Annotated[float, Setting("Epochs of linear warm-up from 0.", ge=0)]


@options
class Constant:
    """The same rate throughout."""

    name: Literal["constant"] = "constant"
    warmup: Warmup = 0.0

    def factor(self, epoch: float, epochs: float) -> float:
        return 1.0


@options
class Step:
    """The rate is multiplied by `gamma` every `every` epochs."""

    name: Literal["step"] = "step"
    every: Annotated[int, Setting("Epochs between two drops.", ge=1)] = 30
    gamma: Annotated[float, Setting("Factor of each drop.", gt=0, le=1)] = 0.1
    warmup: Warmup = 0.0

    def factor(self, epoch: float, epochs: float) -> float:
        return float(self.gamma ** int(epoch // self.every))


@options
class Exponential:
    """The rate decays continuously by the factor `gamma` per epoch."""

    name: Literal["exponential"] = "exponential"
    gamma: Annotated[float, Setting("Factor per epoch.", gt=0, le=1)] = 0.95
    warmup: Warmup = 0.0

    def factor(self, epoch: float, epochs: float) -> float:
        return float(self.gamma**epoch)


@options
class Cosine:
    """Cosine decay from the full rate to the fraction `final` of it (Loshchilov & Hutter 2017, no restarts)."""

    name: Literal["cosine"] = "cosine"
    final: Annotated[float, Setting("Fraction of the rate at the end.", ge=0, le=1)] = 0.0
    warmup: Warmup = 0.0

    def factor(self, epoch: float, epochs: float) -> float:
        return _half_cosine(1.0, self.final, min(epoch / epochs, 1.0))


@options
class OneCycle:
    """Rises to the full rate and falls again, both along half a cosine (Smith & Topin 2018)."""

    name: Literal["one_cycle"] = "one_cycle"
    peak: Annotated[float, Setting("Fraction of the training after which the rate is highest.", gt=0, lt=1)] = 0.3
    start: Annotated[float, Setting("Fraction of the rate at the start.", gt=0, le=1)] = 0.04
    final: Annotated[float, Setting("Fraction of the rate at the end.", ge=0, le=1)] = 0.0001
    warmup: Warmup = 0.0

    def factor(self, epoch: float, epochs: float) -> float:
        progress = min(epoch / epochs, 1.0)
        if progress < self.peak:
            return _half_cosine(self.start, 1.0, progress / self.peak)
        return _half_cosine(1.0, self.final, (progress - self.peak) / (1.0 - self.peak))


@options
class FlatCos:
    """The full rate for the fraction `flat` of the training, then cosine decay to 0 (Holzmüller et al. 2024)."""

    name: Literal["flat_cos"] = "flat_cos"
    flat: Annotated[float, Setting("Fraction of the training at the full rate.", ge=0, lt=1)] = 0.5
    warmup: Warmup = 0.0

    def factor(self, epoch: float, epochs: float) -> float:
        progress = min(epoch / epochs, 1.0)
        return 1.0 if progress < self.flat else _half_cosine(1.0, 0.0, (progress - self.flat) / (1.0 - self.flat))


@options
class CosLog:
    """Cosine cycles from 0 to the full rate and back, of doubling length (coslog4 of Holzmüller et al. 2024)."""

    name: Literal["coslog"] = "coslog"
    cycles: Annotated[int, Setting("Number of cycles; the last takes about half of the training.", ge=1, le=16)] = 4

    warmup: ClassVar[float] = 0.0  # the first cycle rises from 0

    def factor(self, epoch: float, epochs: float) -> float:
        # 0.5 (1 - cos(2 pi log2(1 + (2^cycles - 1) t))), t being the completed fraction of the training.
        turns = log2(1.0 + (2**self.cycles - 1) * min(epoch / epochs, 1.0))
        return 0.5 * (1.0 - cos(2.0 * pi * turns))


Schedule = Constant | Step | Exponential | Cosine | OneCycle | FlatCos | CosLog


def schedule_factor(schedule: Schedule, epoch: float, epochs: int) -> float:
    """Fraction of the learning rate at `epoch` (from 0, fractional) of `epochs`; in [0, 1]."""
    remaining = epochs - schedule.warmup
    if epoch < schedule.warmup:
        return epoch / schedule.warmup * schedule.factor(0.0, 1.0)
    return schedule.factor(epoch - schedule.warmup, remaining) if remaining > 0 else 1.0


def plateau_ends(schedule: Schedule, epochs: int) -> tuple[float, ...]:
    """Epochs before which scores stall and after which they improve, because the rate falls or a cycle ends.

    The drops of `step`, the end of the flat phase of `flat_cos` and of the rise of `one_cycle`, the ends of the cycles
    of `coslog`. Patience for early stopping should be longer than the intervals between them.
    """
    remaining = epochs - schedule.warmup
    if remaining <= 0:
        return ()
    match schedule:
        case Step():
            ends = [float(epoch) for epoch in range(schedule.every, int(remaining) + 1, schedule.every)]
        case OneCycle():
            ends = [schedule.peak * remaining]
        case FlatCos():
            ends = [schedule.flat * remaining]
        case CosLog():
            ends = [(2**cycle - 1) / (2**schedule.cycles - 1) * remaining for cycle in range(1, schedule.cycles + 1)]
        case _:
            ends = []
    return tuple(schedule.warmup + end for end in ends)


def _half_cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * 0.5 * (1.0 + cos(pi * progress))
