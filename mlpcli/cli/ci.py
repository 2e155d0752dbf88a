"""Gate results of `mlp eval` for CI: a JUnit file, and annotations and a step summary on GitHub Actions."""

import os
import sys
from collections.abc import Sequence
from xml.etree import ElementTree

from mlpcli.cli.document import Document
from mlpcli.cli.rendering.markdown import markdown
from mlpcli.evaluation.gates import GateResult
from mlpcli.messages import escape_line
from mlpcli.storage.atomic import write_file
from mlpcli.workflows.evaluate import EvalResult

# GitHub shows at most ten annotations per step.
MOST_ANNOTATIONS = 10


def junit_xml(gate_results: Sequence[GateResult], seconds: float) -> bytes:
    """JUnit XML with a test case per gate, which fails if the gate is missed; each gets an equal part of `seconds`."""
    n_missed = sum(not result.passed for result in gate_results)
    totals = {"tests": f"{len(gate_results)}", "failures": f"{n_missed}", "errors": "0", "time": f"{seconds:.3f}"}
    root = ElementTree.Element("testsuites", {"name": "mlp eval", **totals})
    suite = ElementTree.SubElement(root, "testsuite", {"name": "mlp eval", **totals, "skipped": "0"})
    for result in gate_results:
        case = ElementTree.SubElement(
            suite,
            "testcase",
            {
                "classname": escape_line(f"mlp.eval.{result.where}" if result.where else "mlp.eval"),
                "name": escape_line(result.name),
                "time": f"{seconds / len(gate_results):.3f}",
            },
        )
        if not result.passed:
            text = escape_line(result.text)
            ElementTree.SubElement(case, "failure", {"message": text, "type": "GateMissed"}).text = text
    ElementTree.indent(root)
    document: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def report(result: "EvalResult", document: Document, junit: str) -> None:
    """Write the JUnit file, and annotations and summary on GitHub Actions; raises OutputError."""
    if junit:
        write_file(junit, junit_xml(result.gate_results, result.seconds))
    if os.environ.get("GITHUB_ACTIONS") == "true":
        missed = [result.text for result in result.gate_results if not result.passed]
        sys.stdout.flush()
        for text in missed[:MOST_ANNOTATIONS]:
            sys.stderr.write(annotation("gate missed", text) + "\n")
        summary = os.environ.get("GITHUB_STEP_SUMMARY")
        if summary:
            _append(summary, markdown(document) + "\n\n")


def annotation(title: str, text: str) -> str:
    """A workflow command for an error annotation, escaped as in `ActionCommand` of GitHub's runner."""
    return f"::error title={_escaped(escape_line(title), ':,')}::{_escaped(escape_line(text), '')}"


def _escaped(text: str, also: str) -> str:
    for character in ("%", "\r", "\n", *also):
        text = text.replace(character, f"%{ord(character):02X}")
    return text


def _append(path: str, text: str) -> None:
    """Append to the step summary; a failure is only reported."""
    try:
        with open(path, "a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError as error:
        sys.stderr.write(f"note  the step summary cannot be written: {error.strerror}\n")
