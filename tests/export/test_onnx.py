"""The ONNX graph answers as the model does, in onnxruntime and in the reference evaluator."""

import json
import sys

import numpy as np
import pytest

from mlpcli.export.agreement import agreement, sample_rows
from mlpcli.export.description import describe
from mlpcli.export.onnx import graph
from mlpcli.export.onnx.graph import onnx_model
from mlpcli.export.trials import onnx_inputs
from tests.export.models import CONFIGS
from tests.program import done, mlp, train, write_csv

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


def graph_of(model, record=()):
    return onnx_model(describe(model), dict(record), model.ensemble.dtype.name)


def answering(model, session):
    has_labels = model.target.task != "regression"

    def run(rows):
        found = session.run(None, onnx_inputs(rows, model))
        return found[-1] if has_labels else np.hstack(found)

    return run


@pytest.mark.parametrize("name", CONFIGS)
def test_onnxruntime_answers_as_the_model_does(loaded, name):
    model = loaded[name]
    found = agreement(model, sample_rows(model), answering(model, onnxruntime.InferenceSession(graph_of(model))))
    assert found.difference < 1e-5
    assert found.n_labels == 0


@pytest.mark.parametrize("name", ["plain", "calibrated", "quantile target", "scaled cosines", "activations"])
def test_the_reference_evaluator_agrees(loaded, name):
    from onnx.reference import ReferenceEvaluator

    model = loaded[name]
    with np.errstate(all="ignore"):  # log(0), and exponentials that a division takes back
        found = agreement(model, sample_rows(model, 40), answering(model, ReferenceEvaluator(graph_of(model))))
    assert found.difference < 1e-5
    assert found.n_labels == 0


@pytest.mark.parametrize("name", ["plain", "numbers", "cosines"])
def test_a_row_alone_gets_the_answer_that_it_gets_among_others(loaded, name):
    model = loaded[name]
    session, rows = onnxruntime.InferenceSession(graph_of(model)), sample_rows(model, 20)
    together = session.run(None, onnx_inputs(rows, model))
    for place in (0, 7, len(rows) - 1):
        alone = session.run(None, onnx_inputs(rows[place : place + 1], model))
        for one, all_ in zip(alone, together, strict=True):
            if one.dtype.kind == "f":
                np.testing.assert_allclose(one[0], all_[place], rtol=1e-6)
            else:
                assert one[0] == all_[place]


def test_inputs_and_outputs_have_the_names_and_types_of_the_table(loaded):
    session = onnxruntime.InferenceSession(graph_of(loaded["plain"]))
    types = {one.name: one.type for one in session.get_inputs()}
    assert types["plain"] == "tensor(double)"
    assert types["seen"] == "tensor(int64)"
    assert types["city"] == types["member"] == "tensor(string)"
    assert [(one.name, one.type) for one in session.get_outputs()] == [
        ("label", "tensor(string)"),
        ("probabilities", "tensor(float)"),
    ]
    numbers = onnxruntime.InferenceSession(graph_of(loaded["numbers"]))
    assert [one.name for one in numbers.get_outputs()] == ["price", "size"]
    assert onnxruntime.InferenceSession(graph_of(loaded["two classes"])).get_outputs()[0].type == "tensor(int64)"
    assert onnxruntime.InferenceSession(graph_of(loaded["booleans"])).get_outputs()[0].type == "tensor(bool)"


def test_a_row_that_cannot_be_answered_has_no_answer(loaded):
    model = loaded["plain"]
    session = onnxruntime.InferenceSession(graph_of(model))
    cells = onnx_inputs(sample_rows(model, 3)[:3], model)
    cells["plain"][:2, 0] = [np.inf, 1e300]
    label, probabilities = session.run(None, cells)
    assert [*label[:2]] == ["", ""]
    assert np.isnan(probabilities[:2]).all()
    assert label[2] in ("low", "middle", "high")


def test_the_metadata_has_schema_and_record(models, tmp_path):
    done("export", models["plain"], "--to", "onnx", "-o", tmp_path / "it.onnx")
    facts = {one.key: json.loads(one.value) for one in onnx.load(tmp_path / "it.onnx").metadata_props}
    assert {"name": "days", "role": "date"} in facts["columns"]
    assert facts["record"]


def test_equal_models_give_equal_bytes(loaded):
    assert graph_of(loaded["plain"]) == graph_of(loaded["plain"])


def test_a_column_and_an_output_of_one_name_are_told_apart(tmp_path):
    rows = [[value, "ab"[value > 9]] for value in range(20)]
    table = write_csv(tmp_path / "t.csv", ["probabilities", "y"], rows)
    weights = train(tmp_path, {"train": str(table), "target": "y"})
    ended = done("export", weights, "--to", "onnx", "-o", tmp_path / "it.onnx")
    assert "no label differs" in ended.stdout
    session = onnxruntime.InferenceSession(tmp_path / "it.onnx")
    assert [one.name for one in session.get_outputs()] == ["y", "probabilities_"]


def test_without_the_package_a_sentence_says_what_to_install(models, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx.checker", None)
    ended = mlp("export", models["plain"], "--to", "onnx", "-o", tmp_path / "it.onnx")
    assert ended.code == 2
    assert ended.stderr == f"--to onnx: needs the package onnx. Install it with: {graph.INSTALL}\n"
