"""What is done to the program, over and over, and how often it was done."""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.soak.children import Nursery
from tests.soak.fuzzing import FUZZERS, Laboratory, try_config, try_table
from tests.soak.hostile import CONFIGS, TABLES
from tests.soak.kills import (
    calls_of,
    interrupt_at_random,
    kill_at_call,
    kill_at_random,
    readers_during_training,
    train_twice_at_once,
)  # fmt: skip
from tests.soak.long_runs import DAY, train_for_long
from tests.soak.staging import Theatre
from tests.soak.storage_faults import CODES, fail_at_byte, fail_at_call, fail_in_history, vanish_at_call

VICTIMS = ("runs", "runs/r.partial")
LONG_EPOCHS, LONGER_EPOCHS = 60, 10_000
EXAMPLES = 200


@dataclass
class Place:
    """Where a campaign works, and the numbers it has come to."""

    scratch: Path
    seed: int
    seconds: float
    nursery: Nursery
    second: Nursery
    figures: Counter[str] = field(default_factory=Counter)

    def rounds(self) -> Iterator[int]:
        """Count until the time is over; what is done once and for all, before, does not count."""
        started, number = time.monotonic(), 0
        while time.monotonic() - started < self.seconds:
            yield number
            number += 1

    def note(self, what: str, n: int = 1) -> None:
        self.figures[what] += n


def kills_at_calls(place: Place) -> None:
    """SIGKILL at every call on the disk."""
    theatre = Theatre(place.scratch, place.nursery)
    for has_old in (True, False):
        n_calls = len(calls_of(theatre, place.nursery, has_old))
        for nth in range(1, n_calls + 1):
            kill_at_call(theatre, place.nursery, has_old, nth)
            place.note("kills at a call on the disk")


def kills_at_random(place: Place) -> None:
    """SIGKILL at any moment."""
    chance = random.Random(place.seed)
    theatre = Theatre(place.scratch, place.nursery, LONG_EPOCHS)
    for _ in place.rounds():
        place.note("kills at a random moment", kill_at_random(theatre, place.nursery, chance))


def interruptions(place: Place) -> None:
    """Ctrl-C and SIGTERM at random moments."""
    chance = random.Random(place.seed)
    theatre = Theatre(place.scratch, place.nursery, LONG_EPOCHS)
    for _ in place.rounds():
        is_saved = interrupt_at_random(theatre, place.nursery, chance)
        place.note(
            "signals with a training to resume" if is_saved else "signals before the first epoch or after the last"
        )


def faults(place: Place) -> None:
    """Every call of a training fails once, and every byte of a file; folders vanish."""
    chance = random.Random(place.seed)
    (place.scratch / "bytes").mkdir(parents=True)
    data, rows = bytes(range(256)) * 8, [{"epoch": epoch, "loss": 1.0 / epoch} for epoch in range(1, 6)]
    for code in CODES:
        for k in range(len(data)):
            fail_at_byte(place.scratch / "bytes", data, k, code)
            place.note("writes cut off at a byte")
    for k in range(50):
        fail_in_history(place.scratch, rows, k, CODES[0])
        place.note("writes cut off at a byte")
    theatre = Theatre(place.scratch / "stages", place.nursery)
    for has_old in (True, False):
        n_calls = len(calls_of(theatre, place.nursery, has_old))
        for nth in range(1, n_calls + 1):
            fail_at_call(theatre, place.nursery, has_old, nth, chance.choice(CODES), chance.random() < 0.3)
            place.note("calls on the disk that failed")
    for nth in range(1, n_calls + 1):
        vanish_at_call(theatre, place.nursery, nth, chance.choice(VICTIMS))
        place.note("folders that vanished")
    for _ in place.rounds():
        nth, has_old = chance.randint(1, n_calls), chance.random() < 0.7
        fail_at_call(theatre, place.nursery, has_old, nth, chance.choice(CODES), chance.random() < 0.3)
        place.note("calls on the disk that failed")


def crowds(place: Place) -> None:
    """Two trainings into one folder; readers while trainings replace what they read."""
    chance = random.Random(place.seed)
    theatre = Theatre(place.scratch, place.nursery)
    nurseries = (place.nursery, place.second)
    for _ in place.rounds():
        is_refused = train_twice_at_once(theatre, nurseries, chance)
        place.note("second trainings refused" if is_refused else "second trainings that came after the first")
        n_reads = sum(readers_during_training(theatre, nurseries, 3))
        place.note("reads during a training, each of one whole version", n_reads)


def whole_files(place: Place) -> None:
    """The configs and tables that were made to hurt, each once."""
    laboratory = Laboratory(place.scratch, place.nursery)
    for case in CONFIGS:
        try_config(laboratory, case)
    for case in TABLES:
        try_table(laboratory, case)
    place.note("hostile files as a whole", len(CONFIGS) + len(TABLES))


def fuzz(name: str) -> Callable[[Place], None]:
    """Damaged files of one kind until the time is over."""

    def run(place: Place) -> None:
        laboratory = Laboratory(place.scratch, place.nursery)
        for number in place.rounds():
            FUZZERS[name](laboratory, EXAMPLES, place.seed + number)
        place.note(f"inputs fuzzed: {name}", laboratory.n_tried)

    return run


def long_runs(place: Place) -> None:
    """Ten thousand epochs that take a day by their clock."""
    place.note("checkpoints in a simulated day", train_for_long(place.scratch, LONGER_EPOCHS, DAY))
    place.note("epochs without growth of memory, handles or history", LONGER_EPOCHS)


# Each with its share of the time.
CAMPAIGNS: dict[str, tuple[Callable[[Place], None], float]] = {
    "kills at calls": (kills_at_calls, 0.0),
    "kills at random": (kills_at_random, 0.3),
    "interruptions": (interruptions, 0.1),
    "faults": (faults, 0.2),
    "crowds": (crowds, 0.1),
    **{f"fuzz {name}": (fuzz(name), 0.07) for name in FUZZERS},
    "hostile files": (whole_files, 0.0),
    "long runs": (long_runs, 0.0),
}
