"""The C source answers as the model does, without a warning, and without a fault that a sanitizer finds."""

import re
import subprocess

import numpy as np
import pytest

import mlpcli.workflows.export as workflow
from mlpcli.errors import MlpError
from mlpcli.export.agreement import Agreement, agreement, sample_rows, usual_inputs
from mlpcli.export.c.fixed import LARGEST, MOST_INPUTS, FixedNetworks
from mlpcli.export.c.names import comment_safe, identifiers, strings
from mlpcli.export.c.runtime import runtime
from mlpcli.export.c.source import c_source
from mlpcli.export.description import describe
from mlpcli.export.regions import with_regions
from mlpcli.export.trials import C_COMPILER, run_c
from mlpcli.storage.model.model_file import load_model
from tests.export.models import CONFIGS
from tests.program import done, mlp, train, write_csv

pytestmark = pytest.mark.skipif(not C_COMPILER, reason="no C compiler on this machine")
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Wconversion", "-Wno-conversion"]
SANITIZED = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-O0"]
# Between them every function of the runtime.
SANITIZED_MODELS = (
    "counts",
    "calibrated",
    "scaled cosines",
    "slopes",
    "log",
    "quantile target",
    "bins",
    "embedded",
    "norm",
    "views",
    "weights",
    "activations",
)
WITH_REGIONS = ("log", "weights")  # models with these are tried in test_regions.py, sanitized too


@pytest.mark.parametrize("name", CONFIGS)
def test_the_program_answers_as_the_model_does(loaded, name):
    model, description = loaded[name], describe(loaded[name])
    flags = STRICT + (SANITIZED if name in SANITIZED_MODELS else ["-O0"])
    source, header = c_source(description, "model", "model")
    found = agreement(model, sample_rows(model), run_c(source, header, "model", "model", model, description, flags))
    assert found.difference < (5e-5 if model.target.task == "regression" else 1e-5)
    assert found.n_labels == 0


def test_every_function_of_the_runtime_is_run_by_some_model(loaded):
    texts = [c_source(describe(loaded[name]), "model", "model")[0] for name in SANITIZED_MODELS]
    texts += [c_source(with_regions(describe(loaded[name]), loaded[name], 0.8), "m", "m")[0] for name in WITH_REGIONS]
    unused = [name for name in runtime() if not any(re.search(rf"\b{name}\(", text) for text in texts)]
    assert unused == ["scaled"]  # networks are saved with factors of inputs merged into the weights above


def test_no_memory_of_the_heap_and_three_functions_of_the_mathematical_library(loaded, tmp_path):
    described = [describe(loaded[name]) for name in SANITIZED_MODELS]
    described += [with_regions(describe(loaded[name]), loaded[name], 0.8) for name in WITH_REGIONS]
    for description in described:
        source, header = c_source(description, "model", "model")
        (tmp_path / "model.c").write_text(source, "utf-8")
        (tmp_path / "model.h").write_text(header, "utf-8")
        # Some warnings are of the optimizer, which would make the programs above slow to compile.
        subprocess.run([C_COMPILER, "-std=c99", *STRICT, "-O1", "-c", "model.c"], cwd=tmp_path, check=True)
        listed = subprocess.run(["nm", "-u", "model.o"], cwd=tmp_path, check=True, capture_output=True).stdout.decode()
        needed = {line.split()[-1] for line in listed.splitlines()}
        own = {"memcpy", "memset", "strcmp", "__stack_chk_fail", "_GLOBAL_OFFSET_TABLE_"}
        assert needed <= {"expf", "tanhf", "cosf", *own}


def test_a_program_of_the_user_calls_the_model(tmp_path):
    rows = [[f"{day:02d}.03.2024", value, "ab"[value > 9]] for value, day in enumerate(range(1, 21))]
    weights = train(
        tmp_path, {"train": str(write_csv(tmp_path / "t.csv", ["day of", "int", "y"], rows)), "target": "y"}
    )
    ended = done("export", weights, "--to", "c", "-o", tmp_path / "my model.c")
    assert "no label differs" in ended.stdout
    (tmp_path / "main.c").write_text(
        """
        #include <stdio.h>
        #include "my model.h"
        int main(void)
        {
            const my_model_row row = {.day_of = my_model_day(2024, 3, 5, 0.0), .c_int = 4.0};
            double answers[my_model_n_answers];
            if (my_model_answer(&row, answers))
                return 1;
            printf("%s %.7f ", my_model_labels[my_model_label(answers)], answers[1]);
            printf("%.1f\\n", my_model_day(1900, 2, 28, 43200.0));
            return 0;
        }
        """
    )
    command = [C_COMPILER, "-std=c99", *STRICT[:4], "main.c", "my model.c", "-o", "it", "-lm"]
    subprocess.run(command, cwd=tmp_path, check=True)
    printed = subprocess.run([tmp_path / "it"], check=True, capture_output=True).stdout.decode().split()
    truth = done("predict", weights, "-", "--proba", stdin=b"day of,int\n05.03.2024,4\n").rows[0]
    assert printed[0] == truth["y"]
    assert float(printed[1]) == pytest.approx(float(truth["p_b"]), abs=1e-6)
    assert printed[2] == "-25508.5"


def test_names_labels_and_levels_stay_texts_in_the_source(tmp_path):
    odd = '*/ int x; /* "\\ ??/ ü'
    rows = [[value, f"{odd}{value > 4}", f"{odd}{value % 2}"] for value in range(20)]
    table = write_csv(tmp_path / "t.csv", [odd, "int", 'y "x"'], rows)
    weights = train(tmp_path, {"train": str(table), "target": 'y "x"'})
    assert "no label differs" in done("export", weights, "--to", "c", "-o", tmp_path / "it.c").stdout
    strict = [C_COMPILER, "-std=c99", *STRICT, "-c", "it.c"]
    subprocess.run(strict, cwd=tmp_path, check=True)


def test_levels_and_labels_may_hold_what_parts_cells_and_rows(tmp_path):
    rows = [["abc"[value % 3] + "\t\nz"[value % 2 :], value, "ab"[value > 9] + "\t\nz"] for value in range(20)]
    table = write_csv(tmp_path / "t.csv", ["NAN", "true", "y"], rows)
    weights = train(tmp_path, {"train": str(table), "target": "y"})
    assert "no label differs" in done("export", weights, "--to", "c", "-o", tmp_path / "it.c").stdout


def test_names_of_fields_are_names_of_c_each_of_its_own():
    assert identifiers(["a b", "a-b", "int", "2x", "Größe", "東", "", "x"]) == [
        *("a_b", "a_b_2", "c_int", "c_2x", "Groe", "column", "column_2", "x")
    ]  # fmt: skip
    assert strings(['é"1']) == ['"\\303\\251\\0421"']
    assert "*/" not in comment_safe("a */ b")


def test_a_row_that_cannot_be_answered_is_told(loaded, tmp_path):
    done_ = c_source(describe(loaded["plain"]), "model", "model")
    for name, text in zip(("model.c", "model.h"), done_, strict=True):
        (tmp_path / name).write_text(text, "utf-8")
    subprocess.run([C_COMPILER, "-std=c99", "-DMODEL_MAIN", "model.c", "-o", "it", "-lm"], cwd=tmp_path, check=True)
    tabs = "\t" * 7
    lines = f"inf{tabs}\n1e300{tabs}\n{tabs}\n"
    ended = subprocess.run([tmp_path / "it"], input=lines.encode(), capture_output=True, check=True)
    answers = ended.stdout.decode().splitlines()
    assert answers[:2] == ["?", "?"]
    assert answers[2].split("\t")[0] in ("low", "middle", "high")


def test_the_program_refuses_a_line_that_is_no_row(loaded, tmp_path):
    for name, text in zip(("model.c", "model.h"), c_source(describe(loaded["plain"]), "model", "model"), strict=True):
        (tmp_path / name).write_text(text, "utf-8")
    subprocess.run([C_COMPILER, "-std=c99", "-DMODEL_MAIN", "model.c", "-o", "it", "-lm"], cwd=tmp_path, check=True)
    whole = "\t" * 7
    for line in (f"NA{whole}", f"1x{whole}", "\t" * 6, "\t" * 8, f"1{whole}{'x' * 70_000}"):
        ended = subprocess.run([tmp_path / "it"], input=f"{whole}\n{line}\n".encode(), capture_output=True)
        assert ended.returncode == 2
        assert ended.stdout.count(b"\n") == 1
        assert ended.stderr.startswith(b"line 2: ")
    assert subprocess.run([tmp_path / "it"], input=f"1{whole}\r\n".encode()).returncode == 0


def test_the_file_ends_in_c(models, tmp_path):
    ended = mlp("export", models["plain"], "--to", "c", "-o", tmp_path / "it.cpp")
    assert ended.code == 2
    assert "the file ends in .c" in ended.stderr


FIXED = {
    "relu": {"layers": ["auto", 24, 12, "auto"]},
    "sigmoid and tanh": {"layers": ["auto", 12, 12, "auto"], "activation": ["sigmoid", "tanh"]},
    "leaky_relu, two networks": {"activation": "leaky_relu", "members": 2},
    "one column each": {"members": {"count": 2, "features": 0.5}},
}


@pytest.mark.parametrize("name", FIXED)
def test_networks_in_integers_keep_the_labels(name, tmp_path):
    rows = [[place % 31, (place * 7) % 17, "abc"[(place % 31 > 12) + (place % 17 > 8)]] for place in range(300)]
    table = write_csv(tmp_path / "t.csv", ["u", "v", "y"], rows)
    training = {"epochs": 30, "optimizer": {"name": "adam", "learning_rate": 0.01}}
    weights = train(tmp_path, {"train": str(table), "target": "y"}, training, model=FIXED[name])
    ended = done("export", weights, "--to", "c", "--fixed-point", "-o", tmp_path / "it.c", "--json")
    assert ended.document["tried"]["rows"] > 2000
    source = (tmp_path / "it.c").read_text()
    network = source[source.index("static void network_1") : source.index("it_answer(const")]
    assert "dense(a," in network
    assert not re.search(r"\b[a-z]\[i\] = [^;]*f\b", network), "no float between the layers"
    model = load_model(str(weights))
    source, header = c_source(describe(model), "it", "it", usual_inputs(model, 500, 1))
    found = agreement(
        model, sample_rows(model, 300, 3), run_c(source, header, "it", "it", model, describe(model), STRICT + SANITIZED)
    )
    assert found.n_labels == 0
    assert found.difference < 2e-3


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("norm", "layers of kind layer_norm, only dense layers with identity, relu, leaky_relu, sigmoid, tanh"),
        ("number", "--fixed-point keeps labels; this model predicts numbers"),
        ("cosines", "--fixed-point does not support layers of kind periodic"),
        ("activations", "--fixed-point does not support the activation elu"),
    ],
)
def test_what_integers_cannot_say_is_refused_by_name(models, tmp_path, name, message):
    ended = mlp("export", models[name], "--to", "c", "--fixed-point", "-o", tmp_path / "it.c")
    assert ended.code == 2
    assert message in " ".join(ended.stderr.split())
    assert not (tmp_path / "it.c").exists()
    assert (
        "--fixed-point applies to C only"
        in mlp("export", models["plain"], "--to", "json", "--fixed-point", "-o", "x").stderr
    )


def test_a_layer_whose_sums_could_overflow_is_refused():
    n = MOST_INPUTS
    layer = {"layer": "dense", "W": np.ones((1, n)), "b": None}
    with pytest.raises(MlpError, match=f"a layer of {n} inputs"):
        FixedNetworks([{"count": 1, "layers": [layer], "output": "identity"}], np.ones((1, n)))


@pytest.mark.parametrize(("scale", "weight"), [(5e6, 1.0), (1e9, 1.0), (np.inf, 1.0), (1.0, 1e9)])
def test_values_that_leave_no_headroom_in_32_bits_are_refused(scale, weight):
    layer = {"layer": "dense", "W": np.full((1, 2), weight), "b": None}
    network = {"count": 1, "layers": [layer], "output": "identity"}
    FixedNetworks([network], np.array([[LARGEST / (4 * weight), 0.0]]))
    with pytest.raises(MlpError, match="leave no bits for a fraction"):
        FixedNetworks([network], np.array([[scale, 0.0]]))


def test_a_model_whose_labels_integers_do_not_keep_is_not_written(models, tmp_path, monkeypatch):
    monkeypatch.setattr(workflow, "agreement", lambda *_: Agreement(2000, 0.5, 3))
    ended = mlp("export", models["plain"], "--to", "c", "--fixed-point", "-o", tmp_path / "it.c")
    assert ended.code == 1
    assert "in integer arithmetic the predicted labels differ (3 of 2000 rows): nothing was written" in " ".join(
        ended.stderr.split()
    )
    assert not (tmp_path / "it.c").exists()
