"""Command lines and configs that are nearly right get the sentence that helps."""

import json

import pytest

from tests.program import DATA, done, mlp, write_config

IRIS = DATA / "iris.csv"


def fault(*arguments):
    ended = mlp(*arguments)
    assert (ended.code, ended.stdout) == (2, "")
    return ended.stderr


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        (["--epochs", "5"], "--set training.epochs=5"),
        (["--epoch", "5"], "--set training.epochs=5"),
        (["--lr=0.1"], "--set training.optimizer.learning_rate=0.1"),
        (["--batch-size", "8"], "--set training.batch_size=8"),
        (["--hidden-layers", "[auto, 8, auto]"], "--set model.layers='[auto, 8, auto]'"),
        (["--dropout"], "--set model.dropout=VALUE"),
        (["--ouput", "x"], "Did you mean --output?"),
    ],
)
def test_an_option_that_is_a_key_of_the_config_names_the_line_that_sets_it(options, advice):
    assert advice in fault("train", "a.yaml", *options)


def test_a_verb_without_keys_of_the_config_offers_none():
    assert fault("predict", "w.npz", "a.csv", "--epochs", "5") == "No such option: --epochs. See: mlp predict --help\n"


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (["fit", "a.yaml"], "mlp train a.yaml"),
        (["evaluate", "w.npz", "my table.csv"], "mlp eval w.npz 'my table.csv'"),
        (["trian", "a.yaml"], "mlp train a.yaml"),
        (["a.yaml"], "mlp train a.yaml"),
        (["w.npz"], "mlp inspect w.npz"),
        (["qqqqq"], "There is: init, check, "),
    ],
)
def test_a_word_that_is_no_verb_names_the_line_to_type(words, advice):
    assert advice in fault(*words)


@pytest.mark.parametrize(
    ("words", "fault_said"),
    [
        (["export", "w.npz"], "mlp export: --to LANGUAGE is missing: "),
        (["explain", "w.npz", "a.csv", "--rows", "2"], "mlp explain: --rows takes no value, got 2."),
        (["explain", "w.npz", "a.csv", "b.csv"], "mlp explain: b.csv: no more arguments are taken after WEIGHTS DATA."),
        (["schema", "a", "b"], "mlp schema: a b: no more arguments are taken."),
    ],
)
def test_words_too_few_or_too_many_are_named_and_an_example_is_shown(words, fault_said):
    first, example, *more = fault(*words).splitlines()
    assert first.startswith(fault_said)
    assert example.startswith(f"Example: mlp {words[0]} ")
    assert more == []


@pytest.mark.parametrize(("option", "rule"), [("--columns", "has no value"), ("--rows=2", "takes no value")])
def test_an_option_with_a_value_too_few_or_too_many_is_named(option, rule):
    said = fault("explain", "w.npz", "a.csv", option)
    assert said == f"mlp explain: {option.partition('=')[0]} {rule}. See: mlp explain --help\n"


def test_a_table_without_a_verb_or_a_config_is_offered_one(folder):
    (folder / "a.csv").write_text("a,b\n1,2\n")
    assert "mlp init a.csv --target COLUMN" in fault("a.csv")
    for verb in ("train", "check"):
        assert fault(verb, "a.csv") == (
            "a.csv: a table, not a config. "
            "Make its config: mlp init a.csv --target COLUMN -o a.yaml, then: mlp train a.yaml\n"
        )


@pytest.mark.parametrize("verb", ["predict", "eval", "check"])
def test_a_table_in_the_place_of_the_model_names_the_right_order(verb, iris):
    assert fault(verb, IRIS, iris).endswith(f"The model comes first: mlp {verb} {iris} {IRIS}\n")


def test_a_model_in_the_place_of_a_config_is_named(iris):
    assert fault("train", iris) == (f"{iris}: a model, not a config. Show its training config: mlp inspect {iris}\n")


def test_json_that_is_indented_with_tabs_is_a_config(folder):
    plain = {"data": {"train": str(IRIS), "target": "species"}, "output": "a b"}
    (folder / "tabs.json").write_text(json.dumps(plain, indent="\t"))
    found = done("check", folder / "tabs.json", "--json").document["config"]
    assert found["output"] == {"value": "a b", "origin": f"{folder / 'tabs.json'}:6"}


def test_tabs_in_what_is_no_json_are_refused(folder):
    (folder / "a.yaml").write_text("{\tdata: {train: a.csv}}\n")
    assert "Indent with spaces, not tabs." in fault("check", "a.yaml")


@pytest.mark.parametrize("layers", ["8", "[8]", "[8, 4]", "[auto, 8]", "[8, auto]", "[]", "8, 4"])
def test_what_is_advised_for_the_layers_is_accepted(folder, layers):
    config = write_config(folder / "a.yaml", {"train": str(IRIS), "target": "species"})
    message = fault("check", config, "--set", f"model.layers={layers}")
    advised = message.rpartition("Write ")[2].rstrip(".\n")
    assert advised.startswith("[auto, ")
    done("check", config, "--set", f"model.layers={advised}")


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["predict", "a.yaml", IRIS], "a model (weights.npz of a run)"),
        (["eval", "a.yaml", IRIS], "a model (weights.npz of a run)"),
        (["inspect", "a.yaml"], "a model (weights.npz of a run)"),
        (["init", "a.yaml"], "a table"),
    ],
)
def test_a_config_in_the_place_of_a_model_or_a_table_names_the_verb_for_it(folder, words, wanted):
    write_config(folder / "a.yaml", {"train": str(IRIS), "target": "species"})
    assert fault(*words) == f"a.yaml: a config, not {wanted}. Train it with: mlp train a.yaml\n"
