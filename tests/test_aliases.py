"""The table of other programs' words leads to keys, values, metrics and verbs that exist."""

import pytest
from typer.main import get_command

from mlpcli.aliases import KEYS, VALUES, VERBS, key_of, value_of
from mlpcli.cli.main import app
from mlpcli.config.schema.fields import all_keys, spec_of
from mlpcli.config.schema.sections import Config
from mlpcli.config.yaml.source_map import path_text
from mlpcli.data.schema.column import ColumnOptions
from mlpcli.evaluation.metrics.registry import METRICS


def choices_below(spec):
    yield from spec.choices
    for part in spec.objects:
        for inner in part.keys.values():
            yield from choices_below(inner)


def test_every_word_for_a_key_leads_to_a_key_of_the_config():
    assert set(KEYS.values()) <= {path_text(path) for path in all_keys(spec_of(Config))}


def test_every_word_for_a_value_leads_to_a_choice_or_a_metric():
    known = {*choices_below(spec_of(Config)), *choices_below(spec_of(ColumnOptions)), *METRICS, "loss"}
    assert {ours for all_ours in VALUES.values() for ours in all_ours} <= known


def test_every_word_for_a_verb_leads_to_a_verb():
    assert set(VERBS.values()) <= set(get_command(app).commands)
    assert not set(VERBS) & set(get_command(app).commands)


@pytest.mark.parametrize("table", [KEYS, VALUES, VERBS])
def test_words_are_found_in_any_spelling(table):
    assert all(word == word.lower() and "-" not in word and " " not in word for word in table)
    assert key_of("LR") == key_of("Learning-Rate") == "training.optimizer.learning_rate"


def test_what_a_word_means_depends_on_what_may_stand_there():
    assert value_of("MSE", ("huber", "squared_error")) == "squared_error"
    assert value_of("mse", ("rmse", "mae")) == "rmse"
    assert value_of("mse", ("accuracy",)) == value_of("qqq", ("accuracy",)) == ""
