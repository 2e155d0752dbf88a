"""Error messages about tables that cannot be read. They are in one module so that each says what to do."""

import json
import re
import shlex
from collections.abc import Sequence

from mlpcli.errors import DataError

LONGEST_TEXT = 60
MOST_CODE_POINTS = 8

_PLAIN_YAML = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_RESERVED_YAML = {"true", "false", "null", "yes", "no", "on", "off"}

_DELIMITER = "name the delimiter with --delimiter / data.delimiter"
_ENCODING = "name its encoding with --encoding / data.encoding"
_QUOTE_INSIDE = 'a quote inside a field is written "".'

# About a whole file.
EMPTY = "the file is empty. It needs a line of column names and a line per row."
CHANGED = "was changed while it was read. Start again."
HEADER_ONLY = "header only, there are no rows. Add a line per row, or name another file."
SKIPPED_WHOLE = "nothing is left after data.skip_rows: {n_lines}. Name fewer lines, or another file."

# About a line.
BLANK_LINE = "a blank line inside the data. Delete it, or write the row that is missing."
HEADER_IN_ONE = (
    "the first line holds names, and {first} has no header. Files read together have one each, or none: "
    "delete the line, or write the names in every file and set data.header: true."
)
REPEATED_HEADER = "the header is repeated; were two files joined? Delete the line."
LONG_LINE = "a line of more than {n_megabytes} MB. This is not a table, or its line ends are lost."
OPEN_QUOTE = 'a quote opens here and never closes. Close it; a quote inside a quoted field is written "".'
TEXT_AFTER_QUOTE = f"text follows a closing quote{{where}}. Close the quote at the end of its field; {_QUOTE_INSIDE}"
BLANK_AFTER_QUOTE = f"{TEXT_AFTER_QUOTE} If blanks separate the fields: --delimiter / data.delimiter: blank."
NUL_BYTE = f"a NUL byte. The file is damaged or not text; if it is UTF-16, {_ENCODING} (utf-16-le or utf-16-be)."
UNDECODABLE = f"{{found}}. Save the file as UTF-8, or {_ENCODING} (cp1252, for example)."
WRONG_ENCODING = "{found}. Correct --encoding / data.encoding, or leave it out to detect it."

# About a row with too few or too many fields; `found` is the text of `field_count`.
JOINED_LINES = "{found}. A quote joins lines {first} to {last}: close it on its own line."
COMMENT_LINE = "{found}, in a line that begins with #. If it is a comment, leave such lines out with data.comment: '#'."
TRAILING_DELIMITER = f"{{found}}. The row ends with a delimiter: delete it, or {_DELIMITER}."
LONG_ROW = f"{{found}}. Quote the field or {_DELIMITER}."
FOOTER = (
    f"{{found}}, in the last line. If it is a footer, delete it{{or_comment}}; if it is a row, add what is missing "
    f"(an empty field is a missing value) or {_DELIMITER}."
)
SHORT_ROW = f"{{found}}. Add what is missing (an empty field is a missing value) or {_DELIMITER}."

# About a header.
SAME_NAME = "columns {first} and {second} are both named {column}{written}. Rename one of them."
HEADER_WIDTH = f"the header has {{names}}, the rows have {{fields}}. {{todo}}, or {_DELIMITER}."
UNNAMED_COLUMN = (
    "Name every column (R's write.table leaves out the first name unless col.names = NA), "
    "or name them c1 to c{width}: data.skip_rows: {line} and data.header: false"
)
MATCH_NAMES = "Match them"
EACH_ROW_TRAILS = "Each row ends with a delimiter: delete it, or end the header with one too"
MISPLACED_HEADER = (
    "{text} looks like the header, as it names {columns}, but the table was read from line {header_line} on, "
    "split at {delimiter}. Set {settings}."
)
WRONG_DELIMITER = (
    "one column with the delimiter {given}; {better} gives {n_fields}. "
    "Correct --delimiter / data.delimiter, or leave it out to detect it."
)


def table_error(name: str, line: int | None, template: str, **values: object) -> DataError:
    """Build the error for a line of a file (`line` None: the whole file) from a message template of this module."""
    origin = name if line is None else f"{name}:{line}"
    return DataError(f"{origin}: {template.format(**values)}")


def field_count(n_fields: int, expected: int) -> str:
    """Format the number of fields of a row beside the expected one: "3 fields, expected 4"."""
    return f"{pluralize(n_fields, 'field')}, expected {expected}"


def columns_error(name: str, first: str, missing: Sequence[str], added: Sequence[str]) -> DataError:
    """Build the error for a file whose columns differ from those of the first file, `first`."""
    changes = [f"without {join_names(missing)}"] * bool(missing) + [f"with {join_names(added)}"] * bool(added)
    return DataError(
        f"{name}: other columns than {first}: {', '.join(changes)}. Files read together share their columns."
    )


def escape_text(text: str) -> str:
    """Escape control characters and newlines of a text, and truncate it to LONGEST_TEXT characters."""
    short = text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 3] + "..."
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in short)


def escape_path(path: str) -> str:
    """Escape control characters of a path, without truncating it."""
    return "".join(escape_text(char) for char in path)


def quote_text(text: str) -> str:
    """Escape a text as `escape_text` does, in single quotes."""
    return f"'{escape_text(text)}'"


def format_yaml(text: str) -> str:
    """Write a text as a YAML scalar: plain if YAML reads it back unchanged, otherwise as a JSON string."""
    text = text.replace("${", "$${")  # configs expand ${NAME} to an environment variable
    if _PLAIN_YAML.fullmatch(text) and text.casefold() not in _RESERVED_YAML:
        return text
    return json.dumps(text, ensure_ascii=not text.isprintable())


def format_setting(key: str, value: str | int) -> str:
    """Format a setting of the config, and the option that sets it."""
    scalar = value if isinstance(value, int) else format_yaml(value)
    return f"{key}: {scalar} (--set {shlex.quote(f'{key}={value}')})"


def join_names(texts: Sequence[str], limit: int = 8) -> str:
    """Join escaped names with commas; of more than `limit` the first ones, and the number of the others."""
    names = ", ".join(escape_text(text) for text in texts[:limit])
    return names + (f", ... ({len(texts) - limit} more)" if len(texts) > limit else "")


def pluralize(number: int, noun: str) -> str:
    """Format a count with its noun: "1 field", "2 fields"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def code_points(text: str) -> str:
    """Code points of a text, to distinguish texts that look alike: "U+0065 U+0301"."""
    points = [f"U+{ord(char):04X}" for char in text]
    return " ".join(points[:MOST_CODE_POINTS]) + (" ..." if len(points) > MOST_CODE_POINTS else "")


def delimiter_name(delimiter: str) -> str:
    """Name a delimiter in a message: tab, blank, or the quoted character."""
    return {"\t": "tab", " ": "blank"}.get(delimiter, f"'{delimiter}'")
