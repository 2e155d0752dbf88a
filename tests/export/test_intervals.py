"""Intervals in exported models: the ends that predict gives, or a sentence why not."""

import csv
import io
import json
import re
import subprocess
import sys

import numpy as np
import pytest

from mlpcli.errors import MlpError
from mlpcli.export.agreement import agreement, table_of, tried_rows
from mlpcli.export.description import describe
from mlpcli.export.intervals import with_intervals
from mlpcli.export.trials import run_json
from mlpcli.storage.model_file import load_model
from mlpcli.workflows.export import ExportRequest, _with_ends, export
from mlpcli.workflows.predicting.intervals import ConformalPredictor
from tests.export.models import NUMBER, SHORT, TARGETS, write_table
from tests.program import done, mlp, train

EXACT = ["number", "numbers", "log", "quantile target", "clamped", "counts", "slopes"]
# By name: the target, and the sections of the config.
MORE = {
    "signed": ("price", {"training": SHORT | {"loss": {"name": "quantile", "quantile": 0.8}}}),
    "clamped logarithms": ("price", {"preprocess": {"target": "log"}, "postprocess": {"clamp": True}}),
    "clamped counts": ("size", {"training": SHORT | {"loss": "poisson"}, "postprocess": {"clamp": True}}),
    "members": (
        "price",
        {"model": {"members": {"count": 2, "rows": "folds"}}, "intervals": {"rows": 0.3}, "validation": None},
    ),
}
REFUSED = {
    "folds": ("price", {"model": {"members": {"count": 2, "rows": "folds"}}, "validation": None}, "those of folds"),
    "groups": ("price", {"intervals": {"by": "pair"}}, "each pair has its own"),
    "outputs": (
        "size",
        {"training": SHORT | {"loss": "poisson"}, "model": {"output_activation": "identity"}},
        "those of identity outputs are not",
    ),
}


def trained(folder, target, sections):
    sections = dict(sections)
    data = {
        "train": str(write_table(folder / "table.csv")),
        "target": target,
        "drop": [other for other in TARGETS if other != target],
        "columns": {"money": NUMBER},
        "missing": ["", "?", "-99"],
        "validation": sections.pop("validation", 0.2),
    }
    model = {"layers": ["auto", 8, "auto"], **sections.pop("model", {})}
    return train(folder, data, **{"training": SHORT, "task": "regression", **sections, "model": model})


def difference(model, level=0.8):
    """How far the ends of the exported description are from those of the model."""
    conformal = ConformalPredictor(model, level)
    answer = run_json(json.dumps(with_intervals(describe(model), model, level)).encode())
    found = agreement(model, tried_rows(model, 40), answer, lambda read: _with_ends(conformal, read))
    return found.difference


@pytest.mark.parametrize("name", EXACT)
def test_the_ends_are_those_of_predict(loaded, name):
    assert difference(loaded[name]) < 1e-4


@pytest.mark.parametrize("name", MORE)
def test_the_ends_of_every_kind_of_scores_are_those_of_predict(folder, name):
    assert difference(load_model(str(trained(folder, *MORE[name])))) < 1e-4


@pytest.mark.parametrize(("language", "ending"), [("python", "py"), ("sql", "sql"), ("json", "json"), ("c", "c")])
def test_every_language_has_the_ends_behind_the_answer(models, tmp_path, language, ending):
    path = tmp_path / f"it.{ending}"
    result = export(ExportRequest(str(models["numbers"]), language, str(path), level=0.9))
    assert result.tried is None or result.tried.difference < 1e-4
    text = path.read_text("utf-8")
    assert all(name in text for name in ("price_low", "price_high", "size_low", "size_high"))


def test_onnx_has_an_output_for_each_end(models, tmp_path):
    onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
    export(ExportRequest(str(models["number"]), "onnx", str(tmp_path / "it.onnx"), level=0.9))
    graph = onnx.load(str(tmp_path / "it.onnx")).graph
    assert [one.name for one in graph.output] == ["price", "price_low", "price_high"]


def test_the_program_writes_the_columns_of_predict(models, tmp_path):
    table, program = write_table(tmp_path / "rows.csv", 8), tmp_path / "it.py"
    wanted = done("predict", models["number"], table, "--interval", 0.9).rows
    assert done("export", models["number"], "--to", "python", "-o", program, "--interval", 0.9).code == 0
    ended = subprocess.run([sys.executable, "-I", "-S", program], input=table.read_bytes(), capture_output=True)
    found = list(csv.DictReader(io.StringIO(ended.stdout.decode())))
    assert list(found[0]) == list(wanted[0]) == ["price", "price_low", "price_high"]
    for own, other in zip(found, wanted, strict=True):
        assert {name: float(cell) for name, cell in own.items()} == pytest.approx(
            {name: float(cell) for name, cell in other.items()}, rel=1e-4, abs=1e-2
        )


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_more_than_a_number_away_from_the_answer_is_refused_by_name(folder, name):
    target, sections, message = REFUSED[name]
    model = load_model(str(trained(folder, target, sections)))
    with pytest.raises(MlpError, match=f"--interval cannot be exported: {re.escape(message)}"):
        with_intervals(describe(model), model, 0.8)


def test_three_quantiles_and_sets_are_refused_and_the_rule_of_a_set_is_told(loaded, models, tmp_path):
    with pytest.raises(MlpError, match="those of three quantiles are not"):
        with_intervals(describe(loaded["quantiles"]), loaded["quantiles"], 0.8)
    ended = mlp("export", models["plain"], "--to", "python", "-o", tmp_path / "it.py", "--interval", 0.8)
    assert ended.code == 2
    least = float(re.search(r"at least ([0-9.e-]+)\.$", ended.stderr.strip())[1])
    answers, regions, _ = answered(loaded["plain"], 0.8)
    expected = answers >= least - 1e-6
    np.put_along_axis(expected, answers.argmax(axis=1)[:, None], True, axis=1)
    np.testing.assert_array_equal(regions.holds, expected)
    assert not (tmp_path / "it.py").exists()


def answered(model, level):
    conformal = ConformalPredictor(model, level)
    return conformal.answers(conformal.read(table_of(tried_rows(model, 100), model)))
