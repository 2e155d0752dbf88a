"""Text from files, and names from the command line, as a terminal may show it."""

import re

# A word of more than 300 signs: its first 100 and its last 20 are shown.
_LONG_WORD = re.compile(r"(\S{100})\S{180,}(\S{20})")


def on_one_line(text: str) -> str:
    """The text with control characters escaped, line ends among them: a name from a file shall not begin a line."""
    return printable(text).replace("\n", "\\n")


def printable(text: str) -> str:
    """The text with control characters escaped, line ends aside: they could drive the terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def shortened(text: str) -> str:
    """The text of a message, cut in the middle where a name or a cell in it is longer than anyone would read."""
    return _LONG_WORD.sub(lambda found: f"{found[1]}...{found[2]}", text)
