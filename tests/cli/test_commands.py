"""What our own commands change in Typer's: the help, and texts that are not converted."""

import inspect
import typing

import pytest
import typer
from typer.main import get_command

from mlpcli.cli.commands import TextVerb
from mlpcli.cli.main import app
from tests.program import done

COMMANDS = get_command(app).commands
TEXT_VERBS = [name for name, command in COMMANDS.items() if isinstance(command, TextVerb)]
TYPES = (str, bool, str | None, list[str] | None)


def words(text):
    return " ".join(text.split())


def given(verb, arguments, **settings):
    """What the function of a verb is called with, and the message where Typer refuses the arguments."""
    calls = []
    function = COMMANDS[verb].callback
    program = typer.Typer(**settings)

    @program.callback()
    def nothing():
        pass

    def record(**values):
        calls.append(values)

    record.__signature__ = inspect.signature(inspect.unwrap(function), eval_str=True)
    record.__annotations__ = typing.get_type_hints(inspect.unwrap(function), include_extras=True)
    for name, cls in (("ours", TextVerb), ("typer", None)):
        program.command(name, cls=cls)(record)
    for name in ("ours", "typer"):
        try:
            program([name, *arguments], standalone_mode=False)
        except Exception as error:
            calls.append(error.format_message())
    return calls


def test_the_help_of_the_program_shows_the_whole_sentence_of_every_verb():
    text = words(done("--help").stdout)
    for name, command in COMMANDS.items():
        assert f"{name} {words(command.help.partition('Example: ')[0])}" in text


@pytest.mark.parametrize("verb", COMMANDS)
def test_the_example_in_the_help_of_a_verb_is_one_line_that_can_be_pasted(verb, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    example = COMMANDS[verb].help.partition("Example: ")[2].strip()
    assert f"Example: {example}" in [line.strip() for line in done(verb, "--help").stdout.splitlines()]


def test_the_verbs_that_use_a_model_convert_nothing():
    assert {"predict", "eval", "inspect"} <= set(TEXT_VERBS)


@pytest.mark.parametrize("verb", TEXT_VERBS)
def test_a_verb_that_converts_nothing_has_texts_and_flags_only(verb):
    hints = typing.get_type_hints(inspect.unwrap(COMMANDS[verb].callback))
    assert {name: hint for name, hint in hints.items() if hint not in TYPES} == {"return": type(None)}


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("predict", ["w.npz", "new.csv"]),
        ("predict", ["w.npz", "-", "-o", "", "--keep", "all", "--proba", "-q"]),
        ("predict", ["w.npz", "new.csv", "--output=1", "--delimiter", "\t", "--encoding", "utf-8"]),
        ("predict", ["w.npz"]),
        ("predict", []),
        ("predict", ["w.npz", "new.csv", "--keep"]),
        ("eval", ["w.npz", "test.csv"]),
        ("eval", ["w.npz", "test.csv", "--min", "f1=0.5", "--min", "mcc=0", "--max", "log_loss=2", "--json"]),
        ("eval", ["w.npz", "test.csv", "--quiet=yes"]),
        ("inspect", ["w.npz"]),
        ("inspect", ["--json", "--", "-w.npz"]),
        ("inspect", ["a", "b"]),
        ("init", ["data.csv", "-t", "a", "-t", "b", "--force"]),
    ],
)
def test_a_verb_is_given_what_typer_would_give_it(verb, arguments):
    ours, typers = given(verb, arguments)
    assert ours == typers
    assert type(ours) is type(typers)
