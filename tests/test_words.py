"""The words of what a user reads: the field's own, in the pages, in the help and in every message of the program."""

import ast
import re
from pathlib import Path

import pytest

from tests.test_docs import PAGES

SOURCE = Path(__file__).parents[1] / "mlpcli"

# Words that only this code once used for a thing that has a name, and turns that no engineer would write.
PRIVATE_WORDS = (
    *("crew", "lookahead", "drain", "sureness", "yes_no", "told_of", "tidying", "is_figure", "lay_blocks"),
    *("Scorer", "Coder", "more_often", "largest_distance", "stability_index", "sees_cosines", "learns_slopes"),
    *("alternating views", "bent columns", "the crew", "yes/no columns?", "missing-value flags?"),
)
HOME_MADE = (
    *("has no say", "have no say", "had (its|their) say", "at hand", "of itself", "lays? down", "goes on from"),
    *("is told", "are told", "as far as the rows can tell", "what it comes to", "stands? in the way", "the way of a"),
    *("give(s|n)? the target away", "do(es)? not go together", "goes with", "without end", "to the same bits"),
    *("sure of (itself|themselves)", "is begun", "anew", "proves? little", "holds? the truth"),
)
UNWANTED = re.compile(rf"\b({'|'.join((*PRIVATE_WORDS, *HOME_MADE))})\b")


def found_in(text):
    """The unwanted words of a text, whose lines are wrapped anywhere."""
    return [match[0] for match in UNWANTED.finditer(re.sub(r'[\s"]+', " ", text))]


def texts_of(path):
    """The strings of a module but its docstrings; a module is parsed only if its text has an unwanted word."""
    source = path.read_text("utf-8")
    tree = ast.parse(source if found_in(source) else "")
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docs = {id(node.body[0].value) for node in ast.walk(tree) if isinstance(node, owners) and ast.get_docstring(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_has_none_of_the_private_words(page):
    assert found_in(page.read_text("utf-8")) == []


def test_no_message_of_the_program_has_a_private_word():
    offenders = {
        f"{path.relative_to(SOURCE)}: {text[:60]}": found
        for path in sorted(SOURCE.rglob("*.py"))
        for text in texts_of(path)
        if " " in text and (found := found_in(text))
    }
    assert offenders == {}


def test_a_private_word_is_found_across_the_end_of_a_line():
    assert found_in("The cache has\n  no say. Yes or no columns.") == ["has no say"]
