"""A thousand rows of each model in every language: `python -m tests.soak.exports`; exit code 1 where a label differs.

The models are those of the tests of exports, which between them have every part. The rows are drawn anew from what
training rows held (another seed than that of the tests), and followed by those with what is rare.
"""

import sys
import tempfile
from functools import partial
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

from mlpcli.export.agreement import agreement, sample_rows
from mlpcli.export.c.source import c_source
from mlpcli.export.description import describe
from mlpcli.export.onnx.graph import onnx_model
from mlpcli.export.python.program import python_source
from mlpcli.export.regions import with_regions
from mlpcli.export.sql.query import sql_query
from mlpcli.export.trials import C_COMPILER, run_c, run_json, run_onnx, run_python, run_sqlite
from mlpcli.storage.model.model_file import load_model
from mlpcli.storage.strict_json import format_json
from mlpcli.workflows.export import expected_regions
from mlpcli.workflows.predicting.intervals import ConformalPredictor
from tests.export.models import train_each
from tests.export.regions import LEVEL, train_regions

N_ROWS, SEED = 1000, 20


def answers_of(model, description):
    """By language, what answers rows by the exported model."""
    found = {
        "json": run_json(format_json(description)),
        "python": run_python(python_source(description).encode(), description),
        "sqlite": run_sqlite(sql_query(description, "sqlite", "data", ()), model, "data", (), description),
    }
    if C_COMPILER:
        found["c"] = run_c(*c_source(description, "model", "model"), "model", "model", model, description)
    if find_spec("onnx") is not None:
        found["onnx"] = run_onnx(onnx_model(description, model.record, model.ensemble.dtype.name), model, description)
    return found


def models_in(folder):
    """Every model by its name: as it is, and with what lies around its answers where it has calibration rows."""
    (folder / "plain").mkdir()
    for name, path in chain(train_each(folder / "plain"), train_regions(folder / "regions")):
        model = load_model(str(path))
        yield name, model, describe(model), None
        if model.conformity is not None:
            conformal = ConformalPredictor(model, LEVEL)
            expected = partial(expected_regions, conformal)
            yield f"{name} at {LEVEL}", model, with_regions(describe(model), model, LEVEL), expected


def main():
    worst, n_rows, n_wrong = {}, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for name, model, description, expected in models_in(Path(folder)):
            rows = sample_rows(model, N_ROWS, SEED, with_groups=expected is not None)
            n_rows += len(rows)
            kind = "double" if model.ensemble.dtype.name == "float64" else model.target.task
            for language, answer in answers_of(model, description).items():
                found = agreement(model, rows, answer, expected)
                n_wrong += found.n_labels
                key = (language, kind)
                worst[key] = max(worst.get(key, (0.0, "")), (found.difference, name))
                if found.n_labels:
                    print(f"{name} in {language}: {found.n_labels} of {found.n_rows} labels")
    print(f"{n_rows} rows, {n_wrong} labels that differ though they are no tie")
    for (language, kind), (difference, name) in sorted(worst.items()):
        print(f"{language:7s} {kind:15s} {difference:.1e}  ({name})")
    return int(n_wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
