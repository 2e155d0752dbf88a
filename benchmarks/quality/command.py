"""`python -m benchmarks quality [ablation | experiment] FOLDER`."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measuring import machine
from benchmarks.printing import RESULTS, in_time, print_machine
from benchmarks.quality.changes import CHANGES, changed
from benchmarks.quality.contestants import CONTESTANTS, DEFAULT, Contestant, compete
from benchmarks.quality.experiments import EXPERIMENTS
from benchmarks.quality.ledger import Ledger
from benchmarks.quality.report import ablation, scores_in_words, standings, write_page
from benchmarks.quality.splits import Split, find_splits


def main(words: Sequence[str]) -> None:
    if list(words[:1]) == ["experiment"]:
        _experiment(words[1:])
    else:
        _compare(words)


def _compare(words: Sequence[str]) -> None:
    is_ablation = list(words[:1]) == ["ablation"]
    asked, parser = _parse(words[1:] if is_ablation else words, is_ablation)
    described = machine()
    described["cores_used"] = _pin(asked.core)
    print_machine(described)
    try:
        splits, left_out = find_splits(asked.folder, asked.datasets)
        ledger = Ledger(asked.json, "ablation" if is_ablation else "quality", described)
        contestants = _changes_of(asked) if is_ablation else [CONTESTANTS[name] for name in asked.contestants]
    except (OSError, ValueError) as error:
        parser.error(str(error))
    if left_out:
        print(f"skipped, because the list in the folder does not name them: {', '.join(left_out)}")
    if not asked.report:
        missing = [contestant.name for contestant in contestants if not contestant.is_installed]
        if missing:
            print(f"skipped, because they are not installed: {', '.join(missing)}")
        anew = [one.name for one in contestants if one.is_installed and (is_ablation or one.name in asked.again)]
        ledger.forget(anew if asked.again else [], {split.name for split in splits})
        failures = _run(ledger, splits, [one for one in contestants if one.is_installed], asked.seeds)
    names, datasets = [contestant.name for contestant in contestants], {split.name for split in splits}
    runs = [run for run in ledger.runs if run["dataset"] in datasets and run["contestant"] in names]
    tables = ablation(runs, names[0], names[1:]) if is_ablation else standings(runs, names, asked.against)
    print(f"\n{tables}\n\n{asked.json}")
    if asked.page:
        try:
            write_page(asked.page, ledger.benchmark, tables, ledger.machine)
        except (OSError, ValueError) as error:
            parser.error(str(error))
    if not asked.report and failures:
        parser.exit(1, f"{failures} runs failed\n")


def _experiment(words: Sequence[str]) -> None:
    """Train what is missing of an experiment, and show its table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks quality experiment", description="Values of `strong` beside others, on its tables."
    )
    parser.add_argument("name", choices=EXPERIMENTS)
    parser.add_argument("folder", type=Path, help="what tables.py wrote")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="runs of each set (default: 1)")
    parser.add_argument("--datasets", type=_names, default=[], metavar="A,B", help="only these of its tables")
    parser.add_argument("--report", action="store_true", help="run nothing: only the table of what is there")
    parser.add_argument("--core", type=int, metavar="N", help="where all runs take place (default: the last)")
    parser.add_argument("--json", type=Path, default=RESULTS / "experiments.json", metavar="FILE", help="the results")
    asked = parser.parse_args(words)
    experiment, described = EXPERIMENTS[asked.name], machine()
    described["cores_used"] = _pin(asked.core)
    ledger = Ledger(asked.json, "experiments", described, compares_times=False)
    contestants, datasets = experiment.contestants(asked.name), asked.datasets or experiment.datasets
    failures = 0
    if not asked.report:
        failures = _run(ledger, find_splits(asked.folder, datasets)[0], contestants, asked.seeds)
    names = [one.name for one in contestants]
    runs = [run for run in ledger.runs if run["dataset"] in datasets and run["contestant"] in names]
    print(f"\n{ablation(runs, names[0], names[1:])}\n\n{asked.json}")
    if failures:
        parser.exit(1, f"{failures} runs failed\n")


def _parse(words: Sequence[str], is_ablation: bool) -> tuple[argparse.Namespace, argparse.ArgumentParser]:
    name = "ablation" if is_ablation else "quality"
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks quality{' ablation' if is_ablation else ''}",
        description="What each part of a recipe is worth." if is_ablation else "Scores of recipes beside their peers.",
        epilog=""
        if is_ablation
        else "What each part of a recipe is worth: python -m benchmarks quality ablation -h; how its values were "
        "chosen: python -m benchmarks quality experiment -h",
    )
    parser.add_argument("folder", type=Path, help="holds NAME/{train,test}.csv.gz, and peers.json with their targets")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="runs of each contestant (default: 3)")
    parser.add_argument("--datasets", type=_names, default=[], metavar="A,B", help="only these")
    if is_ablation:
        recipes = [one.name for one in CONTESTANTS.values() if one.needs is None]
        parser.add_argument("--recipe", choices=recipes, default="strong", help="which one (default: strong)")
        parser.add_argument(
            "--changes", type=_names, default=list(CHANGES), metavar="A,B", help=f"of {', '.join(CHANGES)}"
        )
        parser.add_argument("--again", action="store_true", help="measure all asked for anew: the recipe has changed")
        parser.set_defaults(contestants=[], against="")
    else:
        known = ", ".join(CONTESTANTS)
        parser.add_argument("--contestants", type=_names, default=DEFAULT, metavar="A,B", help=f"of {known}")
        parser.add_argument("--against", default="realmlp-td", metavar="NAME", help="whose error and time are 1")
        help_again = "measure these anew: they have changed"
        parser.add_argument("--again", type=_names, default=[], metavar="A,B", help=help_again)
    parser.add_argument("--report", action="store_true", help="run nothing: only the tables of what is there")
    parser.add_argument("--core", type=int, metavar="N", help="where all runs take place (default: the last)")
    parser.add_argument("--json", type=Path, default=RESULTS / f"{name}.json", metavar="FILE", help="the results")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the tables into this Markdown page too")
    asked = parser.parse_args(words)
    strangers = [one for one in (*asked.contestants, asked.against) if one and one not in CONTESTANTS]
    strangers += [] if is_ablation else [one for one in asked.again if one not in asked.contestants]
    strangers += [change for change in getattr(asked, "changes", ()) if change not in CHANGES]
    if strangers:
        parser.error(f"unknown: {', '.join(strangers)}")
    return asked, parser


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _changes_of(asked: argparse.Namespace) -> list[Contestant]:
    """The recipe, then it with each change."""
    recipe = CONTESTANTS[asked.recipe]
    wanted = {f"{recipe.name} {change}" for change in asked.changes}
    return [recipe, *(one for one in changed(recipe) if one.name in wanted)]


def _pin(core: int | None) -> list[int] | None:
    """This process and all its children on one core; None where the system cannot."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    chosen = max(os.sched_getaffinity(0)) if core is None else core
    os.sched_setaffinity(0, {chosen})
    return [chosen]


def _run(ledger: Ledger, splits: Sequence[Split], contestants: Sequence[Contestant], seeds: int) -> int:
    """All that is not in the ledger, a whole round of all contestants before the next seed; the number of failures."""
    failures = 0
    for seed in range(seeds):
        for split in splits:
            for contestant in contestants:
                if ledger.has(split.name, contestant.name, seed, contestant.overrides):
                    continue
                if not contestant.can_take(split):
                    continue
                begin = f"{split.name} · {contestant.name} · seed {seed}"
                try:
                    run = compete(contestant, split, seed)
                except RuntimeError as error:
                    failures += 1
                    print(f"{begin}: failed\n{error}", flush=True)
                    continue
                ledger.add(run)
                print(f"{begin} · {scores_in_words(run)} · {in_time(run['seconds'])}", flush=True)
    return failures
