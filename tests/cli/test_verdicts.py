"""Verdicts that a CI job reads: intervals, gates on their ends, groups, JUnit, Markdown, annotations."""

import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from mlpcli.cli.ci import annotation, junit_xml
from mlpcli.cli.rendering.markdown import code, prose
from mlpcli.evaluation.gates import Gate, GateResult
from mlpcli.evaluation.uncertainty.intervals import wilson
from tests.program import DATA, done, mlp, train, write_config, write_csv

PENGUINS = DATA / "penguins.csv"
HOSTILE = 'a|b`c``<b>@x</b>%0A\n::error::\r"&\x1b[31m\x00\ud800,:'


@pytest.fixture(autouse=True)
def _outside_of_github(monkeypatch):
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


def test_every_score_but_those_without_one_has_an_interval(penguins):
    document = done("eval", penguins, PENGUINS, "--json").document
    assert set(document["scores"]) - set(document["intervals"]) == {"ece"}
    assert document["confidence"] == 0.95
    share = document["scores"]["accuracy"]
    assert document["intervals"]["accuracy"]["low"] == pytest.approx(wilson(share, 344, 1.959964).low, abs=1e-6)
    (reason,) = [ends.pop("reason") for ends in document["intervals"].values() if "reason" in ends]
    assert re.fullmatch(r"too few wrong predictions \(\d of 344 rows, needs 3\)", reason)
    assert document["intervals"].pop("log_loss") == {"low": None, "high": None}
    for key, ends in document["intervals"].items():
        assert ends["low"] <= document["scores"][key] <= ends["high"], key


def test_the_same_command_gives_the_same_bytes(penguins):
    one, other = (mlp("eval", penguins, PENGUINS, "--json", "--by", "island") for _ in range(2))
    assert one == other


def test_confidence_and_replicates_are_what_is_asked_for(penguins):
    wide = done("eval", penguins, PENGUINS, "--json", "--confidence", "0.99").document["intervals"]
    narrow = done("eval", penguins, PENGUINS, "--json", "--confidence", "0.8", "--replicates", "50").document[
        "intervals"
    ]
    assert wide["accuracy"]["low"] < narrow["accuracy"]["low"]
    assert wide["brier"]["high"] > narrow["brier"]["high"]
    assert done("eval", penguins, PENGUINS, "--confidence", "0.8").lines[0].endswith("intervals at 0.8")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--confidence", "95"], "--confidence 95: must be a fraction"),
        (["--confidence", "nan"], "--confidence nan: must be a fraction"),
        (["--replicates", "1e3"], "--replicates 1e3: must be an integer"),
        (["--replicates", "5"], "--replicates 5: must be an integer from 20"),
        (["--by", "island", "--cross"], "--cross: needs several columns"),
        (["--gate-groups", "--min", "accuracy=0.5"], "--gate-groups: needs groups and gates"),
        (["--by", "island", "--gate-groups"], "--gate-groups: needs groups and gates"),
        (["--by", "iland"], "--by iland: no such column. Did you mean island?"),
        (["--json", "--markdown"], "--json and --markdown: cannot be combined"),
        (["--min", "accuracy.lo=1"], "Did you mean accuracy.low?"),
        (["--min", "ece.low=1"], "unknown metric 'ece.low'"),
        (["--junit", "no/such/folder.xml"], "no/such/folder.xml: cannot be written"),
    ],
)
def test_what_makes_no_sense_ends_with_2_and_says_what_would(penguins, options, message):
    ended = mlp("eval", penguins, PENGUINS, *options)
    assert ended.code == 2
    assert message in ended.stderr


def test_a_gate_on_an_end_judges_the_end(penguins):
    ends = done("eval", penguins, PENGUINS, "--json").document["intervals"]["f1[Adelie]"]
    assert mlp("eval", penguins, PENGUINS, "--min", f"f1[Adelie].low={ends['low']!r}").code == 0
    ended = mlp("eval", penguins, PENGUINS, "--max", f"f1[Adelie].high={ends['high'] - 1e-9!r}")
    assert ended.code == 1
    assert "f1[Adelie].high <= " in ended.stderr


def test_expect_judges_ends_when_the_training_is_done(folder):
    data = {"train": str(DATA / "iris.csv"), "target": "species"}
    data |= {"test": str(DATA / "iris.csv")}
    weights = train(folder, data, expect={"min": {"accuracy.low": 0.0}, "max": {"log_loss.high": 100}})
    assert weights.exists()
    missed = mlp("train", "config.yaml", "-o", "again", "--quiet", "--set", "expect.min={accuracy.low: 0.999}")
    assert missed.code == 1
    assert "1 of 2 gates missed: accuracy.low >= 0.999" in missed.stderr
    unknown = mlp("train", "config.yaml", "-o", "again", "--quiet", "--set", "expect.min={accuracy.lower: 0.9}")
    assert unknown.code == 2
    assert "unknown metric 'accuracy.lower'. Did you mean accuracy.low?" in unknown.stderr


def regions(folder):
    """A model that is right in the north and a coin in the south; the region is no input."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=300).round(4)
    region = np.where(np.arange(300) % 3 == 0, "south", np.where(np.arange(300) % 30 == 1, "", "north"))
    flip = (region == "south") & (rng.random(300) < 0.5)
    label = np.where((x > 0) ^ flip, "yes", "no")
    table = write_csv(folder / "t.csv", ["x", "region", "day", "label"], zip(x, region, range(300), label, strict=True))
    data = {"train": str(table), "target": "label", "features": ["x"]}
    return train(folder, data, {"epochs": 40, "optimizer": {"name": "adam", "learning_rate": 0.05}}), table


def test_groups_are_scored_the_worst_first_with_the_missing_cells_among_them(folder):
    weights, table = regions(folder)
    document = done("eval", weights, table, "--by", "region,day", "--json").document
    by_region, by_day = document["slices"]
    assert by_region["by"] == ["region"]
    assert by_region["groups"][0]["name"] == "region = south"
    assert {one["name"]: one["n_rows"] for one in by_region["groups"]} == {
        "region = south": 100,
        "region = north": 190,
        "region = (missing)": 10,
    }
    assert [one["name"] for one in by_region["groups"] if one["is_small"]] == ["region = (missing)"]
    accuracies = [one["scores"]["accuracy"] for one in by_region["groups"]]
    assert accuracies == sorted(accuracies)
    total = sum(one["n_rows"] * one["scores"]["accuracy"] for one in by_region["groups"])
    assert total / 300 == pytest.approx(document["scores"]["accuracy"])
    assert [one["n_rows"] for one in by_day["groups"]] == [75] * 4
    shown = done("eval", weights, table, "--by", "region").lines
    start = next(number for number, line in enumerate(shown) if line.startswith("by region"))
    assert shown[start + 1].startswith("region = south")
    assert [line for line in shown if line.endswith("under 30 rows")] == [
        line for line in shown if line.startswith("region = (missing)")
    ]


def test_the_scores_of_a_group_are_those_of_a_file_with_its_rows_alone(folder):
    weights, table = regions(folder)
    lines = table.read_text().splitlines()
    (folder / "south.csv").write_text("\n".join([lines[0], *(line for line in lines if ",south," in line)]) + "\n")
    alone = done("eval", weights, "south.csv", "--json").document["scores"]
    groups = done("eval", weights, table, "--by", "region", "--json").document["slices"][0]["groups"]
    assert groups[0]["scores"] == pytest.approx(alone)


def test_a_metric_of_which_less_is_better_puts_the_largest_first(diabetes):
    groups = done("eval", diabetes, DATA / "diabetes.csv", "--by", "sex,age", "--json").document["slices"][1]["groups"]
    errors = [one["scores"]["rmse"] for one in groups]
    assert errors == sorted(errors, reverse=True)


def test_crossed_columns_are_one_table_of_combinations(penguins):
    (table,) = done("eval", penguins, PENGUINS, "--by", "island,sex", "--cross", "--json").document["slices"]
    assert sum(one["n_rows"] for one in table["groups"]) == 344
    assert "island = Dream, sex = female" in [one["name"] for one in table["groups"]]


def test_with_each_a_gate_that_holds_for_all_rows_fails_where_a_group_misses_it(folder):
    weights, table = regions(folder)
    gate = ("--min", "accuracy=0.7", "--by", "region")
    assert mlp("eval", weights, table, *gate).code == 0
    ended = mlp("eval", weights, table, *gate, "--gate-groups")
    assert ended.code == 1
    assert ended.stderr.splitlines()[-1] == "1 of 4 gates missed: accuracy >= 0.7 in region = south"
    assert "gates in groups: 2 of 3 pass" in ended.lines
    gates = mlp("eval", weights, table, *gate, "--gate-groups", "--json").document["gates"]
    assert [(one.get("where"), one["passed"]) for one in gates][:2] == [(None, True), ("region = south", False)]


def test_a_group_where_a_score_is_not_defined_meets_no_gate(penguins):
    ended = mlp("eval", penguins, PENGUINS, "--by", "island", "--gate-groups", "--min", "roc_auc=0")
    assert ended.code == 1
    assert "roc_auc >= 0 in island = Torgersen" in ended.stderr


def test_junit_holds_a_case_per_gate_whether_they_pass_or_not(folder, penguins):
    assert mlp("eval", penguins, PENGUINS, "--min", "accuracy=0.5", "--junit", "j.xml").code == 0
    root = ElementTree.parse(folder / "j.xml").getroot()
    assert (root.tag, root.get("tests"), root.get("failures")) == ("testsuites", "1", "0")
    assert mlp("eval", penguins, PENGUINS, "--min", "accuracy=0.5", "--max", "log_loss=0", "--junit", "j.xml").code == 1
    (suite,) = ElementTree.parse(folder / "j.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "1", "0")
    passed, missed = suite.findall("testcase")
    assert passed.get("name") == "accuracy >= 0.5"
    assert float(passed.get("time")) >= 0
    assert passed.find("failure") is None
    assert re.fullmatch(r"log_loss <= 0: [\d.]+ FAIL", missed.find("failure").get("message"))


def test_junit_of_no_gates_is_an_empty_suite(folder, penguins):
    done("eval", penguins, PENGUINS, "--junit", "j.xml")
    (suite,) = ElementTree.parse(folder / "j.xml").getroot()
    assert (suite.get("tests"), len(suite)) == ("0", 0)


def test_no_name_breaks_the_xml():
    result = GateResult(Gate(f"f1[{HOSTILE}]", 0.5, True), math.nan, False, HOSTILE)
    (case,) = ElementTree.fromstring(junit_xml([result], 0.5)).iter("testcase")
    assert "\n" not in case.get("name")
    assert "\\x1b[31m\\x00\\ud800" in case.get("name")
    assert "<b>@x</b>" in case.get("name")


def test_markdown_is_the_answer_as_tables(penguins):
    ended = mlp("eval", penguins, PENGUINS, "--markdown", "--max", "log_loss=0", "--by", "island")
    assert ended.code == 1
    assert ended.lines[0] == "### mlp eval: 1 of 1 gate missed"
    assert any(re.fullmatch(r"\| `log_loss <= 0` \| [\d.]+ \| \*\*FAIL\*\* \|", line) for line in ended.lines)
    assert any(line.startswith("| `accuracy` | ") for line in ended.lines)
    assert any(line.startswith("| `island = Dream` | 124 | ") for line in ended.lines)
    for line in ended.lines:
        assert not line or line.startswith(("#", "|", "344", "no interval of `log_loss`: too few wrong predictions"))


@pytest.mark.parametrize("text", [HOSTILE, "`", "``a", "", "|", " "])
def test_any_name_is_one_code_span_in_one_cell(text):
    span = code(text)
    assert not re.search(r"(?<!\\)\|", span)
    assert "\n" not in span
    fence = re.match("`+", span).group()
    inner = span[len(fence) : -len(fence)]
    assert span.endswith(fence)
    assert fence not in re.findall("`+", inner)


SIGNS = st.text(alphabet="ab12 >-+=.)(#*_`~[]<>!|&:@\\\t", max_size=12)


@given(
    SIGNS | st.tuples(st.sampled_from(["> ", "- ", "+ ", "1. ", "2) ", "# ", "---", "===", "    "]), SIGNS).map("".join)
)
def test_a_sentence_is_one_paragraph_of_markdown_that_reads_as_it_is(text):
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(prose(text))
    words = " ".join(text.replace("\t", "\\t").split())
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"] * bool(words)
    inline = [child for token in tokens for child in token.children or []]
    assert {child.type for child in inline} <= {"text", "text_special", "code_inline"}
    assert "".join(child.content for child in inline) == words


def test_words_of_a_sentence_that_could_be_markup_are_code_and_the_others_text():
    assert (
        prose("no interval of log_loss (a_b): @team, too few") == "no interval of `log_loss` (`a_b`): `@team`, too few"
    )
    assert prose("* best so far") == r"\* best so far"


def test_an_annotation_is_one_workflow_command_whatever_the_name():
    line = annotation("a:b,c%", HOSTILE)
    assert line.startswith("::error title=a%3Ab%2Cc%25::")
    assert "\n" not in line
    assert "\r" not in line
    assert "%250A" in line


def test_annotations_and_the_page_of_the_job_are_for_github_alone(folder, penguins, monkeypatch):
    gates = ("--min", "accuracy=0.5", "--max", "log_loss=0", "--quiet")
    assert "::error" not in mlp("eval", penguins, PENGUINS, *gates).stderr
    page = folder / "summary.md"
    page.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    mlp("eval", penguins, PENGUINS, *gates)
    assert page.read_text() == "before\n"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    ended = mlp("eval", penguins, PENGUINS, *gates, "--json")
    assert ended.document["passed"] is False
    commands = [line for line in ended.stderr.splitlines() if line.startswith("::")]
    assert len(commands) == 1
    assert commands[0].startswith("::error title=gate missed::log_loss <= 0: ")
    assert page.read_text().startswith("before\n### mlp eval: 1 of 2 gates missed\n")


def test_a_page_that_cannot_be_written_does_not_change_the_verdict(folder, penguins, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(folder / "no" / "page.md"))
    assert mlp("eval", penguins, PENGUINS, "--min", "accuracy=0.5").code == 0
    assert mlp("eval", penguins, PENGUINS, "--max", "log_loss=0").code == 1


def test_a_group_named_by_a_hostile_file_starts_no_line(folder):
    rows = [(i / 10, ("no", "yes")[i % 2], "a\n::error::b") for i in range(20)]
    table = write_csv(folder / "t.csv", ["x", "label", "g"], rows)
    weights = train(folder, {"train": str(table), "target": "label", "features": ["x"]})
    ended = mlp("eval", weights, table, "--by", "g", "--gate-groups", "--max", "log_loss=0")
    assert ended.code == 1
    assert "a\\n::error::b" in ended.stderr
    assert not [line for line in (*ended.lines, *ended.stderr.splitlines()) if line.startswith("::")]


def test_a_gate_that_fails_for_want_of_an_interval_says_why(penguins, folder):
    for gate in (("--max", "log_loss.high=9"), ("--min", "log_loss.low=0")):
        failed = mlp("eval", penguins, PENGUINS, *gate, "--json")
        assert failed.code == 1
        (judged,) = failed.document["gates"]
        assert (judged["score"], judged["passed"], judged["reason"][:25]) == (None, False, "too few wrong predictions")
    failed = mlp("eval", penguins, PENGUINS, *gate, "--junit", folder / "v.xml")
    assert "gate log_loss.low >= 0: there is no interval: too few wrong predictions" in failed.stderr
    assert "needs 3)" in (folder / "v.xml").read_text()
    (folder / "one.csv").write_text("".join(PENGUINS.read_text().splitlines(keepends=True)[:2]))
    assert "roc_auc itself is not defined for these rows" in mlp(
        "eval", penguins, folder / "one.csv", "--min", "roc_auc.low=0.1"
    ).stderr.replace("\n", " ")


def test_groups_of_a_column_that_the_model_knows_are_what_it_takes_it_for(folder):
    rows = [(8000 + i % 29, i % 40, i % 7, "ab"[i % 2]) for i in range(290)]
    write_csv(folder / "t.csv", ["zip", "age", "z", "y"], rows)
    data = {"train": "t.csv", "target": "y", "columns": {"zip": "category"}, "features": ["zip", "age"]}
    done("train", write_config(folder / "c.yaml", data))
    document = done("eval", "runs/c/weights.npz", "t.csv", "--by", "zip,age,z", "--json").document
    names = [{group["name"] for group in of["groups"]} for of in document["slices"]]
    assert names[0] == {f"zip = {8000 + i}" for i in range(29)}
    assert len(names[1]) == 4
    assert names[2] == {f"z = {i}" for i in range(7)}
