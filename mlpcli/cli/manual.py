"""docs/mlp.1, the page of `man mlp`, generated from the same data as docs/cli.md.

`python -m mlpcli.cli.manual` prints it; a test compares the file with it. A wheel installs it as share/man/man1/mlp.1.
"""

import re
import sys
from collections.abc import Iterator
from typing import Any

from mlpcli import __version__
from mlpcli.cli.reference import (
    EXIT_CODES,
    HEAD,
    METRICS_HEAD,
    REMARKS,
    default_of,
    example,
    parameters,
    sentence,
    spelling,
    usage,
    verbs,
)
from mlpcli.evaluation.metrics.registry import METRICS

_MARKDOWN = re.compile(r"`([^`]*)`|\[([^\]`]*(?:`[^`]*`[^\]`]*)*)\]\([^)]*\)|\*\*([^*]+)\*\*")


def manual_text() -> str:
    """The content of the page, in the macros of man(7)."""
    lines = [
        f'.TH MLP 1 "" "mlp {__version__}" "User Commands"',
        ".SH NAME",
        r"mlp \- train, evaluate and apply multi\-layer perceptrons on tabular data",
        ".SH SYNOPSIS",
        r"\fBmlp\fR \fIVERB\fR [\fIARGUMENT\fR ...] [\fIOPTION\fR ...]",
        ".SH DESCRIPTION",
        *_text(HEAD.partition("# Command line reference\n")[2]),
        ".SH VERBS",
        *(line for name, command in verbs().items() for line in _verb(name, command)),
        ".SH EXIT STATUS",
        *(line for code, meaning in EXIT_CODES.items() for line in _item(str(code), meaning)),
        ".SH METRICS",
        *_text(METRICS_HEAD.partition("## Metrics\n")[2]),
        *(line for metric in METRICS.values() for line in _item(metric.name, metric.doc)),
        ".SH SEE ALSO",
        *_text("The pages named here (`config.md`, `data.md`, ...) are in the folder `docs` of the source archive."),
    ]
    return "\n".join(lines) + "\n"


def _verb(name: str, command: Any) -> Iterator[str]:
    arguments, options = parameters(command)
    yield f".SS mlp {name}"
    yield rf"\fBmlp {' '.join([name, *(_escaped(usage(argument)) for argument in arguments)])}\fR [\fIOPTION\fR ...]"
    yield ".PP"
    yield from _text(sentence(command))
    for argument in arguments:
        yield from _item(str(argument.metavar), argument.help)
    for option in options:
        yield from _item(spelling(option).replace("`", ""), f"{option.help}{default_of(option)}")
    yield ".PP"
    yield from _text(REMARKS[name])
    yield from (".PP", "Example:", ".PP", ".EX", f"    {_escaped(example(command))}", ".EE")


def _item(tag: str, text: str) -> Iterator[str]:
    """A tagged paragraph."""
    yield ".TP"
    yield rf"\fB{_escaped(tag)}\fR"
    yield from _text(text)


def _text(markdown: str) -> Iterator[str]:
    """Paragraphs and lists of Markdown, without its links."""
    for paragraph in re.split(r"\n\s*\n|\n(?=- )", markdown.strip()):
        is_item = paragraph.startswith("- ")
        if is_item:
            yield r".IP \(bu 2"
        elif paragraph is not markdown.strip():
            yield ".PP"
        words = " ".join(line.strip() for line in paragraph.removeprefix("- ").splitlines())
        yield _inline(words)


def _inline(text: str) -> str:
    """Inline Markdown: code and bold text in bold, links as their text."""
    done, end = "", 0
    for markup in _MARKDOWN.finditer(text):
        code, link, bold = markup.groups()
        done += _escaped(text[end : markup.start()])
        done += _inline(link) if link is not None else rf"\fB{_escaped(code if code is not None else bold)}\fR"
        end = markup.end()
    done += _escaped(text[end:])
    return rf"\&{done}" if done.startswith((".", "'")) else done


_ESCAPES = (("\\", r"\e"), ("-", r"\-"), ("'", r"\(aq"), ("^", r"\(ha"), ("~", r"\(ti"), ("`", r"\(ga"))


def _escaped(text: str) -> str:
    """Literal text: roff interprets backslashes, and replaces hyphens, quotes and accents."""
    for character, name in _ESCAPES:
        text = text.replace(character, name)
    return text


if __name__ == "__main__":
    sys.stdout.write(manual_text())
