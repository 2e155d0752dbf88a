"""docs/screens.md against the program."""

from mlpcli.cli.main import app
from mlpcli.messages import display_width
from tests.screens import PAGE, SCREENS, WIDTH, left_out, page_text, screens_text, words_of


def test_the_page_of_screens_shows_what_the_program_shows():
    without = left_out()  # what the tests of the optional parts look at
    shown = words_of(screens_text(without))
    assert words_of(page_text(without)) == shown, "run: python -m tests.screens > docs/screens.md"


def test_screens_of_verbs_can_be_left_out_of_the_page():
    without = page_text({"search"})
    assert "\n$ mlp search " in page_text()
    assert "\n$ mlp search " not in without
    assert without.count("\n## ") == len(SCREENS) - 1


def test_every_verb_has_a_screen():
    verbs = {str(command.name) for command in app.registered_commands}
    assert {command.split()[0] for _, command in SCREENS} == verbs


def test_no_line_of_a_screen_is_wider_than_its_terminal():
    screens = PAGE.read_text("utf-8").split("\n## ")[1:]
    shown = [line for screen in screens if "--markdown" not in screen for line in screen.splitlines()]
    assert max(display_width(line) for line in shown if not line.startswith("$")) <= WIDTH


def test_only_digits_and_places_of_line_ends_are_left_out_of_the_comparison():
    assert words_of("loss  0.123\n (sha 0123456789abcdef)") == words_of("loss -1e-05 (sha fedcba9876543210)")
    assert words_of("gate pass") != words_of("gate FAIL")
