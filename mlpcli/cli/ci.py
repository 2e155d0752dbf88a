"""Verdicts for machines that run `mlp eval`: a JUnit file, and what GitHub Actions shows."""

import os
import sys
from collections.abc import Sequence
from xml.etree import ElementTree

from mlpcli.cli.document import Document
from mlpcli.cli.rendering.markdown import markdown
from mlpcli.evaluation.gates import Verdict
from mlpcli.messages import on_one_line
from mlpcli.storage.atomic import write_file
from mlpcli.workflows.evaluate import EvalResult

# GitHub shows ten annotations of a step.
MOST_ANNOTATIONS = 10


def junit_xml(verdicts: Sequence[Verdict], seconds: float) -> bytes:
    """One test case per gate; a missed one has a failure. The time is that of the whole evaluation, in equal parts."""
    n_missed = sum(not verdict.passed for verdict in verdicts)
    totals = {"tests": f"{len(verdicts)}", "failures": f"{n_missed}", "errors": "0", "time": f"{seconds:.3f}"}
    root = ElementTree.Element("testsuites", {"name": "mlp eval", **totals})
    suite = ElementTree.SubElement(root, "testsuite", {"name": "mlp eval", **totals, "skipped": "0"})
    for verdict in verdicts:
        case = ElementTree.SubElement(
            suite,
            "testcase",
            {
                "classname": on_one_line(f"mlp.eval.{verdict.where}" if verdict.where else "mlp.eval"),
                "name": on_one_line(verdict.name),
                "time": f"{seconds / len(verdicts):.3f}",
            },
        )
        if not verdict.passed:
            text = on_one_line(verdict.text)
            ElementTree.SubElement(case, "failure", {"message": text, "type": "GateMissed"}).text = text
    ElementTree.indent(root)
    document: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def report(result: "EvalResult", shown: Document, junit: str) -> None:
    """Write what is asked for by `--junit` and by the environment; raises OutputError."""
    if junit:
        write_file(junit, junit_xml(result.verdicts, result.seconds))
    if os.environ.get("GITHUB_ACTIONS") == "true":
        missed = [verdict.text for verdict in result.verdicts if not verdict.passed]
        sys.stdout.flush()
        for text in missed[:MOST_ANNOTATIONS]:
            sys.stderr.write(annotation("gate missed", text) + "\n")
        summary = os.environ.get("GITHUB_STEP_SUMMARY")
        if summary:
            _append(summary, markdown(shown) + "\n\n")


def annotation(title: str, text: str) -> str:
    """A workflow command that marks an error, escaped as GitHub's runner reads it (its `ActionCommand`)."""
    return f"::error title={_escaped(on_one_line(title), ':,')}::{_escaped(on_one_line(text), '')}"


def _escaped(text: str, also: str) -> str:
    for character in ("%", "\r", "\n", *also):
        text = text.replace(character, f"%{ord(character):02X}")
    return text


def _append(path: str, text: str) -> None:
    """Add to the page of the job; a page that cannot be written does not change the verdict."""
    try:
        with open(path, "a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError as error:
        sys.stderr.write(f"note  the step summary cannot be written: {error.strerror}\n")
