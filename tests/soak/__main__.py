"""Attack the program for as long as you like: `python -m tests.soak --minutes 10 --seed 1`.

Each campaign goes once through what it has a list of, and then on at random for its share of the time. The figures
stand on standard output; an attack that succeeds ends its campaign, is shown, and makes the exit code 1.
"""

import argparse
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

import pytest

from tests.soak.campaigns import CAMPAIGNS, Place
from tests.soak.children import Nursery


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="time for all campaigns together")
    parser.add_argument("--seed", type=int, default=1, help="what is drawn at random follows from it")
    parser.add_argument("--only", action="append", choices=list(CAMPAIGNS), help="a campaign; repeatable")
    options = parser.parse_args()
    names = options.only or list(CAMPAIGNS)
    shares = {name: CAMPAIGNS[name][1] for name in names}
    scratch = Path(tempfile.mkdtemp(prefix="mlp-soak-"))
    n_lost = 0
    print(f"seed {options.seed}, {options.minutes:g} minutes")
    for name in names:
        started = time.monotonic()
        seconds = 60.0 * options.minutes * shares[name] / (sum(shares.values()) or 1.0)
        folder = scratch / name.replace(" ", "-")
        with Nursery(folder / "first") as nursery, Nursery(folder / "second") as second:
            place = Place(folder / "work", options.seed, seconds, nursery, second)
            place.scratch.mkdir()
            try:
                CAMPAIGNS[name][0](place)
            except (Exception, pytest.fail.Exception):
                n_lost += 1
                traceback.print_exc()
                print(f"repeat it with: python -m tests.soak --only '{name}' --seed {options.seed}", file=sys.stderr)
        for what, n in sorted(place.figures.items()):
            print(f"{n:>8}   {what}")
        print(f"           ({name}: {time.monotonic() - started:.0f} s)", flush=True)
    if not n_lost:
        shutil.rmtree(scratch)
    print("nothing lost" if not n_lost else f"{n_lost} campaigns failed; see {scratch}")
    return min(n_lost, 1)


if __name__ == "__main__":
    sys.exit(main())
