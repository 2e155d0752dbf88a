"""What is said of a table that cannot be read: one place for the sentences, so that each ends with what to do."""

import json
import re
from collections.abc import Sequence

from mlpcli.errors import DataError

LONGEST_TEXT = 60
MOST_CODE_POINTS = 8

_PLAIN_YAML = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_RESERVED_YAML = {"true", "false", "null", "yes", "no", "on", "off"}

_DELIMITER = "name the delimiter with --delimiter / data.delimiter"
_ENCODING = "name its encoding with --encoding / data.encoding"
_QUOTE_INSIDE = 'a quote inside a field is written "".'

# Of a whole file.
EMPTY = "the file is empty. It needs a line of column names and a line per row."
HEADER_ONLY = "header only, there are no rows. Add a line per row, or name another file."
SKIPPED_WHOLE = "nothing is left after data.skip_rows: {n_lines}. Name fewer lines, or another file."

# Of a line.
BLANK_LINE = "a blank line inside the data. Delete it, or write the row that is missing."
HEADER_IN_ONE = (
    "the first line holds names, and {first} has no header. Files read together have one each, or none: "
    "delete the line, or write the names in every file and set data.header: true."
)
REPEATED_HEADER = "the header is repeated; were two files joined? Delete the line."
LONG_LINE = "a line of more than {n_megabytes} MB. This is not a table, or its line ends are lost."
OPEN_QUOTE = 'a quote opens here and never closes. Close it; a quote inside a quoted field is written "".'
TEXT_AFTER_QUOTE = f"text follows a closing quote{{where}}. Close the quote at the end of its field; {_QUOTE_INSIDE}"
NUL_BYTE = f"a NUL byte. The file is damaged or not text; if it is UTF-16, {_ENCODING} (utf-16-le or utf-16-be)."
UNDECODABLE = f"{{found}}. Save the file as UTF-8, or {_ENCODING} (cp1252, for example)."
WRONG_ENCODING = "{found}. Correct --encoding / data.encoding, or leave it out to detect it."

# Of a row that has not one field per column; `found` is `field_count`.
JOINED_LINES = "{found}. A quote joins lines {first} to {last}: close it on its own line."
COMMENT_LINE = "{found}, in a line that begins with #. If it is a comment, leave such lines out with data.comment: '#'."
TRAILING_DELIMITER = f"{{found}}. The row ends with a delimiter: delete it, or {_DELIMITER}."
LONG_ROW = f"{{found}}. Quote the field or {_DELIMITER}."
SHORT_ROW = f"{{found}}. Add what is missing (an empty field is a missing value) or {_DELIMITER}."

# Of a header.
SAME_NAME = "columns {first} and {second} are both named {column}{written}. Rename one of them."
HEADER_WIDTH = f"the header has {{names}}, the rows have {{fields}}. {{todo}}, or {_DELIMITER}."
UNNAMED_COLUMN = "Name every column (R's write.table leaves out the first name)"
MATCH_NAMES = "Match them"
EACH_ROW_TRAILS = "Each row ends with a delimiter: delete it, or end the header with one too"
WRONG_DELIMITER = (
    "one column with the delimiter {given}; {better} gives {n_fields}. "
    "Correct --delimiter / data.delimiter, or leave it out to detect it."
)


def fault(name: str, line: int | None, sentence: str, **values: object) -> DataError:
    """The error with a sentence of this module about a line (None: the whole) of a file."""
    place = name if line is None else f"{name}:{line}"
    return DataError(f"{place}: {sentence.format(**values)}")


def field_count(n_fields: int, expected: int) -> str:
    """How many fields a row has, and should have."""
    return f"{counted(n_fields, 'field')}, expected {expected}"


def other_columns(name: str, first: str, missing: Sequence[str], added: Sequence[str]) -> DataError:
    """A file of several that has not the columns of the first."""
    parts = [f"without {listed(missing)}"] * bool(missing) + [f"with {listed(added)}"] * bool(added)
    return DataError(
        f"{name}: other columns than {first}: {', '.join(parts)}. Files read together share their columns."
    )


def escaped(text: str) -> str:
    """Text of a file made fit for a terminal: one line, of moderate length, control characters written as escapes."""
    short = text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 3] + "..."
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in short)


def escaped_path(path: str) -> str:
    """A path in full, control characters written as escapes."""
    return "".join(escaped(sign) for sign in path)


def quoted(text: str) -> str:
    """The same as `escaped`, in quotes."""
    return f"'{escaped(text)}'"


def in_yaml(text: str) -> str:
    """A text as YAML: plain where that is read back as this text, else in double quotes, which JSON and YAML share."""
    text = text.replace("${", "$${")  # which a config takes for an environment variable
    if _PLAIN_YAML.fullmatch(text) and text.casefold() not in _RESERVED_YAML:
        return text
    return json.dumps(text, ensure_ascii=not text.isprintable())


def listed(texts: Sequence[str], limit: int = 8) -> str:
    """Names with commas between them, the first ones when there are many."""
    names = ", ".join(escaped(text) for text in texts[:limit])
    return names + (f", ... ({len(texts) - limit} more)" if len(texts) > limit else "")


def counted(number: int, noun: str) -> str:
    """A number and its noun: "1 field", "2 fields"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def code_points(text: str) -> str:
    """The Unicode numbers of a text, which tell apart what looks alike: "U+0065 U+0301"."""
    points = [f"U+{ord(sign):04X}" for sign in text]
    return " ".join(points[:MOST_CODE_POINTS]) + (" ..." if len(points) > MOST_CODE_POINTS else "")


def shown_delimiter(delimiter: str) -> str:
    """A delimiter as a message names it."""
    return {"\t": "tab", " ": "blank"}.get(delimiter, f"'{delimiter}'")
