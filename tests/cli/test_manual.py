"""docs/mlp.1: what the code generates, without a fault for those who format it, and complete."""

import re
import shutil
import subprocess

import pytest

from mlpcli.cli.manual import manual_text
from mlpcli.cli.reference import parameters, verbs
from mlpcli.evaluation.metrics.registry import METRICS
from tests.program import ROOT

PAGE = ROOT / "docs" / "mlp.1"


def test_the_page_is_what_the_code_generates():
    assert PAGE.read_text("utf-8") == manual_text(), "run: python -m mlpcli.cli.manual > docs/mlp.1"


def test_it_holds_every_verb_option_and_metric():
    text = PAGE.read_text("utf-8").replace(r"\-", "-")
    for name, command in verbs().items():
        (section,) = re.findall(rf"^\.SS mlp {name}$(.*?)(?=^\.S)", text, re.M | re.S)
        for option in parameters(command)[1]:
            assert all(spelled in section for spelled in option.opts), option.opts
    assert all(rf"\fB{name}\fR" in text for name in METRICS)


def test_no_sign_of_markdown_is_left_and_no_line_begins_with_a_request_that_is_none():
    lines = PAGE.read_text("utf-8").splitlines()
    requests = {line.split()[0] for line in lines if line.startswith(".")}
    assert requests == {".TH", ".SH", ".SS", ".PP", ".TP", ".IP", ".EX", ".EE"}
    assert not [line for line in lines if "](" in line or "`" in line or line.startswith("'")]


@pytest.mark.skipif(shutil.which("groff") is None, reason="there is no groff")
def test_groff_formats_it_without_a_warning_and_shows_hyphens_that_can_be_pasted():
    command = ["groff", "-man", "-Tascii", "-ww", "-b", "-P-cbou", str(PAGE)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert ended.stderr == ""
    assert "mlp init data/penguins.csv --target species -o penguins.yaml" in ended.stdout
    assert "DESCRIPTION" in ended.stdout
