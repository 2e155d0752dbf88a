"""Verdicts for machines that run `mlp eval`: a JUnit file, and what GitHub Actions shows."""

import os
import sys

from mlpcli.cli.escaping import on_one_line
from mlpcli.cli.junit import junit_xml
from mlpcli.cli.markdown import eval_markdown
from mlpcli.storage.atomic import write_file
from mlpcli.workflows.evaluate import EvalResult

# GitHub shows ten annotations of a step.
MOST_ANNOTATIONS = 10


def report(result: EvalResult, junit: str) -> None:
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
            _append(summary, eval_markdown(result) + "\n\n")


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
