"""A fuzzer per kind of file: damage it, give it to every verb that reads it, and judge how the program ends.

Whatever the file, the program ends with 0 or 2 (3 for a training that diverges) within the memory and the processor
time it is given. It says one to three printable lines when it refuses, and touches nothing.
"""

import io
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from mlpcli.config.loading import load_config
from mlpcli.config.yaml.dumping import dump_yaml
from tests.program import DATA, tree
from tests.soak.children import Ending, Nursery
from tests.soak.faults import Trouble
from tests.soak.hostile import (
    ARRAYS,
    CELLS,
    CONFIGS,
    ENTRY_NAMES,
    JSON_VALUES,
    RAW_HEADERS,
    TABLES,
    YAML_VALUES,
    archive,
    entries_of,
    header_of,
    with_header,
)  # fmt: skip
from tests.soak.staging import check_message

LIMITS = {"megabytes": 1500, "cpu_seconds": 20}
LARGE_LIMITS = {"megabytes": 2500, "cpu_seconds": 120}
CONFIG = """\
data: {train: t.csv, target: species, validation: 0.2}
model: {layers: [auto, 8, auto]}
training: {epochs: 2, optimizer: adam, threads: 1, early_stopping: {metric: log_loss, patience: 3}}
postprocess: {calibration: temperature}
"""
TABLE_CONFIG = "data: {train: t.csv, target: y}\nmodel: {layers: [auto, 4, auto]}\ntraining: {epochs: 1, threads: 1}\n"


class Laboratory:
    """A folder with sound files of every kind, and the damaged copy that is tried."""

    def __init__(self, scratch: Path, nursery: Nursery) -> None:
        self.nursery, self.folder = nursery, scratch / "laboratory"
        self.folder.mkdir(parents=True)
        self.n_tried = 0
        for name in ("iris", "penguins"):
            shutil.copy(DATA / f"{name}.csv", self.folder)
        shutil.copy(self.folder / "iris.csv", self.folder / "t.csv")
        (self.folder / "c.yaml").write_text(CONFIG)
        self.config = dump_yaml(load_config(str(self.folder / "c.yaml")).config)
        self.models = {name: self._model(name) for name in ("iris", "penguins")}
        self.checkpoint = self._checkpoint()
        self.tables = {
            name: (self.folder / f"{name}.csv").read_bytes()[:3000].rpartition(b"\n")[0] for name in self.models
        }
        self.typed = [(name, data) for name in self.models for data in _in_other_formats(self.folder / f"{name}.csv")]
        (self.folder / "y.yaml").write_text(TABLE_CONFIG)
        self._before = tree(self.folder)

    def _model(self, name: str) -> bytes:
        arguments = ("c.yaml", "--set", f"data.train={name}.csv", "-o", f"runs/{name}", "-q")
        ending = self.nursery.mlp(self.folder, "train", *arguments)
        assert ending.code == 0, ending
        return (self.folder / "runs" / name / "weights.npz").read_bytes()

    def _checkpoint(self) -> bytes:
        """The checkpoint of a training that was cut off in its last step, left to be resumed."""
        trouble = Trouble(58, "kill")
        ending = self.nursery.mlp(self.folder, "train", "c.yaml", "-o", "runs/cut", "-q", trouble=trouble)
        assert ending.code < 0, ending
        (self.folder / "runs" / "cut.lock").unlink()
        for path in (self.folder / "runs" / "cut.partial").glob(".mlp-*"):
            path.unlink()
        return (self.folder / "runs" / "cut.partial" / "checkpoint.npz").read_bytes()

    def attempt(
        self, files: Mapping[str, bytes], *arguments: str, codes: tuple[int, ...] = (0, 2), **limits: int
    ) -> Ending:
        """Put files into the folder, run a verb, judge its end, and bring the folder back to what it was."""
        self.n_tried += 1
        for name, data in files.items():
            (self.folder / name).write_bytes(data)
        try:
            ending = self.nursery.mlp(self.folder, *arguments, **(limits or LIMITS))
            assert ending.code in codes, ending
            if ending.code:
                check_message(ending)
                assert ending.stdout == "", ending
            assert all(line.isprintable() for line in ending.stdout.split("\n")), ending
            if ending.code == 2 or arguments[0] != "train":
                # A training that is refused only when it saves its model leaves what it has done.
                own = () if arguments[0] != "train" else ("runs/y.partial", "runs/x.partial")
                found = {name: data for name, data in tree(self.folder).items() if not name.startswith(own or "\0")}
                left = {name: data for name, data in found.items() if name not in files}
                kept = {name: data for name, data in self._before.items() if name not in files}
                assert left == kept, sorted(left.keys() ^ kept.keys())
        finally:
            self._restore(files)
        return ending

    def _restore(self, files: Mapping[str, bytes]) -> None:
        for name in files:
            if name not in self._before:
                (self.folder / name).unlink(missing_ok=True)
        if tree(self.folder) != self._before:
            for path in sorted(self.folder.rglob("*"), reverse=True):
                name = str(path.relative_to(self.folder))
                if name not in self._before:
                    path.rmdir() if path.is_dir() else path.unlink()
            for name, data in self._before.items():
                (self.folder / name).mkdir(exist_ok=True) if data is None else (self.folder / name).write_bytes(data)


# How files are damaged


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """Bytes with some bits flipped, some cut out, doubled or overwritten, or the end missing."""
    found = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(found) - 1, 0)))
        length = draw(st.sampled_from([1, 2, 4, 8, 64, 1000]))
        match draw(st.sampled_from(["flip", "cut", "end", "double", "overwrite", "insert"])):
            case "flip" if found:
                found[at] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del found[at : at + length]
            case "end":
                del found[at:]
            case "double":
                found[at:at] = found[at : at + length]
            case "overwrite":
                found[at : at + length] = draw(st.sampled_from([b"\0", b"\xff", b"\x7f", b"\x80"])) * length
            case _:
                found[at:at] = draw(st.binary(min_size=1, max_size=8))
    return bytes(found)


@st.composite
def rebuilt(draw: st.DrawFn, data: bytes) -> bytes:
    """A sound archive with one or two things in it that no sound model has."""
    entries = entries_of(data)
    for _ in range(draw(st.integers(1, 2))):
        name = draw(st.sampled_from(sorted(entries)))
        match draw(st.sampled_from(["header", "header", "header", "raw", "array", "name", "drop", "nested"])):
            case "header" if "header.npy" in entries:
                header = entries_of(data)["header.npy"] and header_of(entries_of(data))
                entries = with_header(entries, json.dumps(draw(_replaced(header))).encode())
            case "raw":
                entries = with_header(entries, draw(st.sampled_from(RAW_HEADERS)))
            case "array":
                entries[name] = ARRAYS[draw(st.sampled_from(sorted(ARRAYS)))]()
            case "name":
                entries[draw(st.sampled_from(ENTRY_NAMES))] = entries.pop(name)
            case "drop":
                del entries[name]
            case _:
                entries[name] = data
    return archive(entries, draw(st.sampled_from([0, 8])))


@st.composite
def _replaced(draw: st.DrawFn, value: Any) -> Any:
    """A JSON value in which one place holds something else, or is gone."""
    if isinstance(value, dict) and value and draw(st.integers(0, 7)):
        key = draw(st.sampled_from(sorted(value)))
        if not draw(st.integers(0, 7)):
            return {name: item for name, item in value.items() if name != key}
        return {**value, key: draw(_replaced(value[key]))}
    if isinstance(value, list) and value and draw(st.integers(0, 7)):
        at = draw(st.integers(0, len(value) - 1))
        if not draw(st.integers(0, 3)):
            return value[:at] + value[at + 1 :]
        return [*value[:at], draw(_replaced(value[at])), *value[at + 1 :]]
    return draw(st.sampled_from(JSON_VALUES))


@st.composite
def miswritten(draw: st.DrawFn, text: str) -> bytes:
    """A config with other values, or damaged."""
    lines = text.split("\n")
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(lines) - 1))
        key, colon, value = lines[at].partition(":")
        match draw(st.sampled_from(["value", "value", "value", "key", "line", "swap"])):
            case "value":
                lines[at] = f"{key}{colon or ':'} {draw(st.sampled_from(YAML_VALUES))}"
            case "key":
                lines[at] = f"{draw(st.sampled_from(YAML_VALUES))}: {value}"
            case "line":
                lines.insert(at, draw(st.sampled_from(YAML_VALUES)))
            case _:
                lines[at], lines[-1] = lines[-1], lines[at]
    data = "\n".join(lines).encode("utf-8", "replace")
    return draw(damaged(data)) if not draw(st.integers(0, 5)) else data


@st.composite
def scribbled(draw: st.DrawFn, data: bytes) -> bytes:
    """A table with other cells, or damaged."""
    rows = [line.split(b",") for line in data.split(b"\n")]
    for _ in range(draw(st.integers(1, 6))):
        row = rows[draw(st.integers(0, len(rows) - 1))]
        at = draw(st.integers(0, len(row) - 1))
        cell = draw(st.sampled_from(CELLS)).encode("utf-8", "surrogatepass")
        match draw(st.sampled_from(["cell", "cell", "cell", "column", "row", "drop"])):
            case "cell":
                row[at] = cell
            case "column":
                for one in rows[1:]:
                    one[min(at, len(one) - 1)] = cell
            case "row":
                rows.insert(draw(st.integers(0, len(rows))), [cell])
            case _:
                del row[at]
                row = row or [b""]
    found = b"\n".join(b",".join(row) for row in rows)
    if not draw(st.integers(0, 9)):
        found = found.decode("utf-8", "replace").encode(
            draw(st.sampled_from(["utf-16", "utf-8-sig", "utf-32", "utf-7"]))
        )
    return draw(damaged(found)) if not draw(st.integers(0, 5)) else found


def _in_other_formats(path: Path) -> list[bytes]:
    """The first rows of a table as Parquet, Feather, JSON Lines and a workbook, told apart by their content."""
    frame = pd.read_csv(path).head(40)
    written = [io.BytesIO() for _ in range(3)]
    frame.to_parquet(written[0])
    frame.to_feather(written[1])
    frame.to_excel(written[2], index=False)
    return [*(file.getvalue() for file in written), frame.to_json(orient="records", lines=True).encode()]


# Who reads them


def fuzz_model(laboratory: Laboratory, name: str, data: bytes, verb: str) -> None:
    """A damaged weights.npz for inspect, predict and eval."""
    arguments = {
        "inspect": ("inspect", "w.npz", "--json"),
        "predict": ("predict", "w.npz", f"{name}.csv", "-q", "-o", "answers.csv"),
        "eval": ("eval", "w.npz", f"{name}.csv", "-q"),
    }[verb]
    laboratory.attempt({"w.npz": data, "answers.csv": b""}, *arguments)


def fuzz_checkpoint(laboratory: Laboratory, data: bytes) -> None:
    """A damaged checkpoint.npz for train --resume."""
    files = {"runs/cut.partial/checkpoint.npz": data}
    laboratory.attempt(files, "train", "c.yaml", "-o", "runs/cut", "-q", "--resume", codes=(0, 2, 3))


def fuzz_config(laboratory: Laboratory, data: bytes, verb: str) -> None:
    """A damaged config for check and train."""
    options = ("-o", "runs/x", "--set", "training.epochs=1") if verb == "train" else ()
    laboratory.attempt(
        {"f.yaml": data}, verb, "f.yaml", "-q", *options, codes=(0, 1, 2, 3) if verb == "train" else (0, 2)
    )


def fuzz_table(laboratory: Laboratory, name: str, data: bytes, verb: str) -> None:
    """A damaged table for init, train, predict and eval."""
    weights = f"runs/{name}/weights.npz"
    arguments = {
        "init": ("init", "f.csv", "-o", "f.yaml", "--force", "-q"),
        "train": ("train", "c.yaml", "-q", "-o", "runs/x", "--set", "data.train=f.csv", "--set", "training.epochs=1"),
        "predict": ("predict", weights, "f.csv", "-q", "-o", "answers.csv"),
        "eval": ("eval", weights, "f.csv", "-q"),
    }[verb]
    files = {"f.csv": data, "f.yaml": b"", "answers.csv": b""}
    laboratory.attempt(files, *arguments, codes=(0, 2, 3) if verb == "train" else (0, 2))


Examples = Callable[[Laboratory, int, int], None]


def _fuzzer(strategy: Callable[[Laboratory], st.SearchStrategy[Any]], judge: Callable[..., None]) -> Examples:
    def run(laboratory: Laboratory, n: int, number: int) -> None:
        @seed(number)
        @settings(
            max_examples=n, deadline=None, database=None, suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink),
        )  # fmt: skip
        @given(strategy(laboratory))
        def one(arguments: tuple[Any, ...]) -> None:
            judge(laboratory, *arguments)

        one()

    return run


def _any_of(verbs: tuple[str, ...]) -> st.SearchStrategy[str]:
    return st.sampled_from(verbs)


def _models(laboratory: Laboratory) -> st.SearchStrategy[Any]:
    verbs = _any_of(("inspect", "predict", "eval"))
    return st.one_of(
        [
            st.tuples(st.just(name), how(data), verbs)
            for name, data in laboratory.models.items()
            for how in (damaged, rebuilt, rebuilt)
        ]
    )


FUZZERS: Mapping[str, Examples] = {
    "weights.npz": _fuzzer(_models, fuzz_model),
    "checkpoint.npz": _fuzzer(
        lambda laboratory: st.tuples(st.one_of(damaged(laboratory.checkpoint), rebuilt(laboratory.checkpoint))),
        fuzz_checkpoint,
    ),
    "config": _fuzzer(
        lambda laboratory: st.tuples(
            st.one_of(miswritten(laboratory.config), miswritten(CONFIG)), _any_of(("check", "train"))
        ),
        fuzz_config,
    ),
    "typed table": _fuzzer(
        lambda laboratory: st.one_of(
            [
                st.tuples(st.just(name), damaged(data), _any_of(("init", "train", "predict", "eval")))
                for name, data in laboratory.typed
            ]
        ),
        fuzz_table,
    ),
    "table": _fuzzer(
        lambda laboratory: st.one_of(
            [
                st.tuples(st.just(name), scribbled(data), _any_of(("init", "train", "predict", "eval")))
                for name, data in laboratory.tables.items()
            ]
        ),
        fuzz_table,
    ),
}


def try_table(laboratory: Laboratory, case: str) -> None:
    """One of the whole tables, for the verbs that read a table first."""
    data = TABLES[case]()
    for arguments in (("init", "t.csv", "-q"), ("check", "y.yaml", "-q"), ("train", "y.yaml", "-q")):
        laboratory.attempt({"t.csv": data}, *arguments, **LARGE_LIMITS)


def try_config(laboratory: Laboratory, case: str) -> None:
    """One of the whole configs, for the verbs that read one; none of them is accepted."""
    for verb in ("check", "train"):
        laboratory.attempt({"f.yaml": CONFIGS[case]}, verb, "f.yaml", "-q", codes=(2,), **LARGE_LIMITS)
