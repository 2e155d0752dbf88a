"""Text from files, and names from the command line, as a terminal may show it."""


def printable(text: str) -> str:
    """The text with control characters escaped, line ends aside: they could drive the terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)
