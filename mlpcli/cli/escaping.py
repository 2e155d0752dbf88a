"""Text from files, and names from the command line, as a terminal may show it."""


def on_one_line(text: str) -> str:
    """The text with control characters escaped, line ends among them: a name from a file shall not begin a line."""
    return printable(text).replace("\n", "\\n")


def printable(text: str) -> str:
    """The text with control characters escaped, line ends aside: they could drive the terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)
