"""What an editor makes of the published schema: the YAML language server that most of them use, run for real."""

import pytest

from tests.language_server import Editor, server_command
from tests.program import DATA, done

SERVER = server_command()
pytestmark = pytest.mark.skipif(
    SERVER is None,
    reason="no YAML language server: npm install --prefix DIR yaml-language-server, then YAML_LANGUAGE_SERVER=DIR",
)
ROWS = "data:\n  train: a.csv\n  target: y\n"


@pytest.fixture(scope="module", params=["of the installation", "beside the config"])
def editor(request, tmp_path_factory):
    """An editor in a folder, and the first line of the config that `mlp init` writes there."""
    folder = tmp_path_factory.mktemp("editor")
    if request.param == "beside the config":
        done("schema", "-o", folder / "mlp.schema.json")
    done("init", DATA / "iris.csv", "-o", folder / "iris.yaml")
    text = (folder / "iris.yaml").read_text("utf-8")
    with Editor(SERVER, folder) as session:
        yield session, text.partition("\n")[0] + "\n" + ROWS, text


def test_what_init_writes_has_no_fault(editor):
    session, _, text = editor
    assert session.faults(text) == []
    assert session.faults(text.replace("epochs: ", "epochs: a")) != []


@pytest.mark.parametrize(
    ("sections", "line", "message"),
    [
        ("trainin:\n  epochs: 3\n", 5, "Property trainin is not allowed."),
        ("training:\n  epochs: 0\n", 6, "Value is below the minimum of 1."),
        ("training:\n  optimizer: adm\n", 6, 'Valid values: "sgd", "adam"'),
        ("training:\n  optimizer: {name: adam, momentum: 0.9}\n", 6, "Property momentum is not allowed."),
        ("training:\n  optimizer: {learning_rate: -1}\n", 6, "Value is below the exclusive minimum of 0."),
        ("model:\n  layers: [auto, 0]\n", 6, ""),
    ],
)
def test_a_mistake_is_marked_in_its_line(editor, sections, line, message):
    session, rows, _ = editor
    ((found, text), *_) = session.faults(rows + sections)
    assert found == line
    assert message in text


@pytest.mark.parametrize(
    "sections",
    [
        "training:\n",
        "training:\n  epochs: ${EPOCHS}\n  optimizer: ${OPTIMIZER}\n",
        "training:\n  optimizer: {learning_rate: 1e-3}\n  loss: huber\nmodel:\n  members: 4\n",
    ],
)
def test_short_forms_and_variables_are_not_marked(editor, sections):
    session, rows, _ = editor
    assert session.faults(rows + sections) == []


@pytest.mark.parametrize(
    ("text", "label", "description"),
    [
        ("tra|", "training", "Loss, optimizer, learning rate and stopping."),
        (
            "training:\n  ear|",
            "early_stopping",
            "Choice of the best epoch and early stopping; null keeps the last epoch.",
        ),
        (
            "training:\n  optimizer: |",
            "adamw",
            "Adam with decoupled weight decay (Loshchilov & Hutter 2019), as in torch.",
        ),
        ("training:\n  optimizer:\n    name: adam\n    |", "beta1", "Decay rate of the mean gradient."),
        ("model:\n  activation: |", "gelu", ""),
        ("training:\n  early_stopping:\n    metric: |", "balanced_accuracy", ""),
        ("expect:\n  min:\n    |", "roc_auc", ""),
    ],
)
def test_keys_and_values_are_completed_with_what_they_mean(editor, text, label, description):
    session, rows, _ = editor
    offered = session.completions(rows + text)
    assert offered[label] == description


def test_a_key_is_explained_under_the_pointer(editor):
    session, rows, _ = editor
    assert "passes over the training rows." in session.hover(rows + "training:\n  epo|chs: 3\n")
