from pathlib import Path

import pytest
from typer.main import get_command

from mlpcli import errors
from mlpcli.cli.main import BUG, CLOSED_PIPE, INTERRUPTED, app
from mlpcli.cli.reference import reference_text
from mlpcli.evaluation.conformal.metrics import INTERVAL_METRICS
from mlpcli.evaluation.metrics.registry import METRICS

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
COMMANDS = get_command(app).commands


def section(title):
    return reference_text().partition(f"## {title}\n")[2].partition("\n## ")[0]


def rows_of(text):
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]


def test_the_page_in_docs_is_the_program_of_today():
    assert PAGE.read_text(encoding="utf-8") == reference_text(), (
        "run: python -m mlpcli.cli.reference > docs/cli.md; python -m mlpcli.cli.manual > docs/mlp.1"
    )


@pytest.mark.parametrize("columns", ["20", "300"])
def test_the_width_of_the_terminal_changes_nothing(columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("TERMINAL_WIDTH", columns)
    assert reference_text() == PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_argument_and_option_of_a_verb_has_a_row_with_a_sentence(verb):
    rows = dict(rows_of(section(f"mlp {verb}"))[1:])
    for parameter in COMMANDS[verb].params:
        spelled = [parameter.metavar] if parameter.param_type_name == "argument" else parameter.opts
        meaning = next(text for names, text in rows.items() if all(f"`{name}" in names for name in spelled))
        assert meaning.startswith(parameter.help)
        assert meaning.endswith(".")
    assert len(rows) == len(COMMANDS[verb].params)


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_verb_has_a_sentence_an_example_and_a_remark(verb):
    text = section(f"mlp {verb}")
    assert text.split("\n")[1].endswith(".")
    assert f"\nExample: `mlp {verb} " in text
    assert text.rstrip().endswith(".")
    assert not text.rstrip().endswith("|")


def test_every_exit_code_is_listed():
    listed = {int(code) for code, _ in rows_of(section("Exit codes"))[1:]}
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.MlpError)]
    assert len(kinds) > 5
    assert {kind("").exit_code for kind in kinds} | {0, BUG, INTERRUPTED, CLOSED_PIPE, 143} == listed


def test_every_metric_is_listed_with_its_direction_and_its_sentence():
    listed = {row[0].strip("`"): row[1:] for row in rows_of(section("Metrics"))[1:]}
    metrics = METRICS | INTERVAL_METRICS
    assert list(listed) == list(metrics)
    for name, metric in metrics.items():
        assert listed[name][-2:] == ["higher" if metric.higher_is_better else "lower", metric.doc]
        assert set(metric.tasks) <= set(" ".join(listed[name]).replace(",", "").split())
