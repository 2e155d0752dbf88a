"""Trainings that are killed, interrupted and run into each other: a complete run is always there."""

import random
import signal
from collections.abc import Iterator

from tests.soak.children import INTERRUPTIONS, Job, Nursery
from tests.soak.faults import Trouble
from tests.soak.staging import (
    NEW_SEED,
    OLD_SEED,
    OTHER_SEED,
    Stage,
    Theatre,
    check_clean,
    check_message,
    check_whole,
    go_on,
)


def calls_of(theatre: Theatre, nursery: Nursery, has_old: bool) -> list[str]:
    """Every call on the disk that an undisturbed training makes, in order: "rename runs/r.partial"."""
    stage = theatre.stage(has_old)
    trace = stage.folder.parent / f"trace{has_old}"
    trace.unlink(missing_ok=True)
    assert nursery.mlp(stage.folder, *stage.command(), trace=str(trace)).code == 0
    check_clean(stage)
    return trace.read_text().splitlines()


def kill_at_call(theatre: Theatre, nursery: Nursery, has_old: bool, nth: int) -> None:
    """SIGKILL just before the nth call on the disk, or in the middle of it if it writes."""
    stage = theatre.stage(has_old)
    ending = nursery.mlp(stage.folder, *stage.command(), trouble=Trouble(nth, "kill"))
    assert ending.code == -signal.SIGKILL, ending
    check_whole(stage)
    go_on(stage, nursery, may_resume=bool(nth % 3))


def kill_at_random(theatre: Theatre, nursery: Nursery, random: random.Random) -> int:
    """SIGKILL at any moment of a training, and of the one that resumes it, up to three times; gives the kills."""
    stage = theatre.stage(random.random() < 0.7)
    n_kills = 0
    for _ in range(random.randint(1, 3)):
        flag = ("--resume",) if (stage.partial / "checkpoint.npz").exists() else ()
        job = Job(stage.command(NEW_SEED, *flag), str(stage.folder))
        after = random.uniform(0.0, 1.1 * theatre.seconds)
        ending = nursery.mlp(stage.folder, *job.arguments, after=after, signal=signal.SIGKILL)
        assert ending.code in (0, -signal.SIGKILL), ending
        n_kills += ending.code != 0
        if check_whole(stage) == NEW_SEED and not (stage.partial / "checkpoint.npz").exists():
            break
    go_on(stage, nursery)
    return n_kills


def interrupt_at_random(theatre: Theatre, nursery: Nursery, random: random.Random) -> bool:
    """Ctrl-C or SIGTERM at any moment: 130 or 143, or the training is done; says whether there was one to resume."""
    stage = theatre.stage(random.random() < 0.7)
    number, code = random.choice(list(INTERRUPTIONS.items()))
    after = random.uniform(0.0, 1.1 * theatre.seconds)
    ending = nursery.mlp(stage.folder, *stage.command(), after=after, signal=number)
    # The shell shows a program that SIGTERM ends before the training as 143 too.
    assert ending.code in (0, code, -number), ending
    if ending.code == code:
        check_message(ending)
    assert check_whole(stage) in ((NEW_SEED,) if ending.code == 0 else (OLD_SEED, 0, NEW_SEED)), ending
    is_saved = (stage.partial / "checkpoint.npz").exists()
    if is_saved:
        is_scored = "before scoring" not in ending.stderr
        assert (stage.partial / "weights.npz").exists() == is_scored, ending
        assert "Resume with: " in ending.stderr
    go_on(stage, nursery)
    return is_saved


def train_twice_at_once(theatre: Theatre, nurseries: tuple[Nursery, Nursery], random: random.Random) -> bool:
    """Two trainings into one folder: the second is refused while the first goes on; says whether it was."""
    stage = theatre.stage(random.random() < 0.7)
    seeds = (NEW_SEED, OTHER_SEED)
    for nursery, seed in zip(nurseries, seeds, strict=True):
        nursery.start(Job(stage.command(seed), str(stage.folder)))
    endings = [nursery.wait() for nursery in nurseries]
    refused = [ending for ending in endings if ending.code == 2]
    assert len(refused) <= 1, endings
    for ending in refused:
        check_message(ending)
        assert "runs/r: another training " in ending.stderr
    assert all(ending.code in (0, 2) for ending in endings), endings
    found = check_whole(stage, seeds)
    if refused:
        assert endings[seeds.index(found)].code == 0
    check_clean(stage, found)
    return bool(refused)


def readers_during_training(
    theatre: Theatre, nurseries: tuple[Nursery, Nursery], n_trainings: int, n_readers: int = 4
) -> Iterator[int]:
    """Read a run with predict and eval while trainings replace it: each reader sees one whole version.

    Gives 1 per reader that was right.
    """
    trainer, reader = nurseries
    stage = theatre.stage(has_old=True)
    answers = {seed: _answers(stage, reader, seed) for seed in (OLD_SEED, NEW_SEED, OTHER_SEED)}
    for number in range(n_trainings):
        trainer.start(Job(stage.command((NEW_SEED, OTHER_SEED)[number % 2]), str(stage.folder)))
        for _ in range(n_readers):
            for verb, options in (("predict", ()), ("eval", ("--json",))):
                ending = reader.mlp(stage.folder, verb, "runs/r/weights.npz", "t.csv", "--quiet", *options)
                assert ending.code == 0, ending
                assert ending.stdout in [known[verb] for known in answers.values()], ending
                yield 1
        ending = trainer.wait()
        assert ending.code == 0, ending


def _answers(stage: Stage, reader: Nursery, seed: int) -> dict[str, str]:
    assert reader.mlp(stage.folder, *stage.command(seed)).code == 0
    weights = stage.run / "weights.npz"
    found = {}
    for verb, options in (("predict", ()), ("eval", ("--json",))):
        ending = reader.mlp(stage.folder, verb, weights.relative_to(stage.folder), "t.csv", "--quiet", *options)
        assert ending.code == 0, ending
        found[verb] = ending.stdout
    return found
