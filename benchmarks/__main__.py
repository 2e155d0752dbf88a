"""`python -m benchmarks NAME`: steps, process, predict, startup, growth, reading, drift, chance, coverage, doctor."""

import argparse
import sys
from pathlib import Path
from typing import Any

from benchmarks import growth, predicting, process, startup
from benchmarks.measuring import machine
from benchmarks.printing import print_machine, write_result

NAMES = [
    "steps",
    "process",
    "predict",
    "report",
    "startup",
    "growth",
    "reading",
    "drift",
    "chance",
    "coverage",
    "doctor",
    "search",
    "cv",
    "cluster",
    "scale",
    "intervals",
    "export",
]


def main() -> None:
    if sys.argv[1:2] == ["quality"]:
        from benchmarks.quality import command  # a large parent would count in the measured memory of its children

        return command.main(sys.argv[2:])
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Timing against peers and floors, and how often verdicts are wrong.",
        epilog="Scores against peers: python -m benchmarks quality --help",
    )
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--quick", action="store_true", help="small and once: does it run?")
    parser.add_argument("--full", action="store_true", help="predict, report, growth, reading: 10^7 rows as well")
    parser.add_argument(
        "--only",
        metavar="NAME",
        help="one work, table, verb, number of rows, series, kind of coverage or doctor, recipe or split of chance, or "
        "alike or changed of drift",
    )
    parser.add_argument(
        "--data", metavar="FOLDER", type=Path, help="process, intervals: holds NAME/{train,test}.csv.gz"
    )
    parser.add_argument(
        "--page", metavar="FILE", type=Path, help="coverage, chance, intervals, scale: write the tables here too"
    )
    parser.add_argument("--json", metavar="FILE", help="where the results go (default: benchmarks/results/)")
    asked = parser.parse_args()
    if asked.name == "process" and asked.data is None:
        parser.error("process needs --data FOLDER")
    described = machine()
    print_machine(described)
    results = _run(asked)
    if not results:
        parser.error(f"nothing to measure: {asked.only or asked.data}")
    return write_result(asked.name, described, results, asked.json, asked.quick or asked.only is not None)


def _run(asked: argparse.Namespace) -> Any:
    match asked.name:
        case "steps":
            from benchmarks import steps  # a large parent would count in the measured memory of its children

            return steps.run(asked.quick, asked.only)
        case "process":
            return process.run(asked.data, asked.quick, asked.only)
        case "predict":
            return predicting.run(asked.quick, asked.full, asked.only)
        case "report":
            from benchmarks import reporting

            return reporting.run(asked.quick, asked.full, asked.only)
        case "startup":
            return startup.run(asked.quick, asked.only)
        case "reading":
            from benchmarks import reading

            return reading.run(asked.quick, asked.full, asked.only)
        case "cv":
            from benchmarks import crossing

            return crossing.run(asked.quick)
        case "cluster":
            from benchmarks import clustering

            return clustering.run(asked.quick, asked.only)
        case "export":
            from benchmarks import exporting

            return exporting.run(asked.quick)
        case "scale":
            from benchmarks import scaling

            return scaling.run(asked.quick, asked.only, asked.page)
        case "drift":
            from benchmarks import drift

            return drift.run(asked.quick, asked.only)
        case "chance":
            from benchmarks.chance import page as of_chance

            found = of_chance.run(asked.quick, asked.only)
            print(*of_chance.tables(found).values(), sep="\n\n")
            if asked.page:
                of_chance.write_page(asked.page, found)
            return found
        case "search":
            from benchmarks import searching

            return searching.run(asked.quick)
        case "doctor":
            from benchmarks import doctor

            return doctor.run(asked.quick, asked.only)
        case "coverage":
            from benchmarks.coverage import page, simulating

            counts = simulating.run(asked.quick, asked.only)
            print(page.tables(counts))
            if asked.page:
                page.write_page(asked.page, counts)
            return counts
        case "intervals":
            from benchmarks.intervals import page, simulating, splits

            found = {} if asked.data else {"simulated": simulating.run(asked.quick, asked.only)}
            found |= {"tables": splits.run(asked.data, asked.quick, asked.only)} if asked.data else {}
            print("\n\n".join(page.tables(found).values()))
            if asked.page:
                page.write_page(asked.page, found)
            return found
        case _:
            return growth.run(asked.quick, asked.full, asked.only)


if __name__ == "__main__":
    main()
