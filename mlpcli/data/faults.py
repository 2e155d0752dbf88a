"""What is said of a table that cannot be read: one place for the sentences, so that all of them end with what to do."""

from collections.abc import Sequence

from mlpcli.errors import DataError

NAME_DELIMITER = "name the delimiter with --delimiter / data.delimiter"
NAME_ENCODING = "name its encoding with --encoding / data.encoding"
LONGEST_TEXT = 60


def escaped(text: str) -> str:
    """Text of a file made fit for a terminal: one line, of moderate length, control characters written as escapes."""
    short = text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 3] + "..."
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in short)


def escaped_path(path: str) -> str:
    """A path in full, control characters written as escapes."""
    return "".join(escaped(sign) for sign in path)


def quoted(text: str) -> str:
    """The same, in quotes."""
    return f"'{escaped(text)}'"


def listed(texts: Sequence[str], limit: int = 8) -> str:
    """Names with commas between them, the first ones when there are many."""
    names = ", ".join(escaped(text) for text in texts[:limit])
    return names + (f", ... ({len(texts) - limit} more)" if len(texts) > limit else "")


def shown_delimiter(delimiter: str) -> str:
    """A delimiter as a message names it."""
    return {"\t": "tab", " ": "blank"}.get(delimiter, f"'{delimiter}'")


def wrong_field_count(name: str, line: int, n_fields: int, expected: int, last_line: int) -> DataError:
    """A record with too many or too few fields; `last_line` is where it ends (a stray quote makes it long)."""
    found = f"{name}:{line}: {n_fields} {'field' if n_fields == 1 else 'fields'}, expected {expected}."
    if last_line > line:
        return DataError(f"{found} A quote joins lines {line} to {last_line}: close it on its own line.")
    if n_fields > expected:
        return DataError(f"{found} Quote the field or {NAME_DELIMITER}.")
    return DataError(f"{found} Add what is missing (an empty field is a missing value) or {NAME_DELIMITER}.")


def blank_line(name: str, line: int) -> DataError:
    """An empty line between rows."""
    return DataError(f"{name}:{line}: a blank line inside the data. Delete it, or write the row that is missing.")


def text_after_quote(name: str, line: int, opened: int) -> DataError:
    """A closing quote that is followed by text; `opened` is the line of the opening one."""
    place = f"{name}:{opened}: text follows a closing quote"
    where = f" (on line {line})" if line > opened else ""
    return DataError(f'{place}{where}. Close the quote at the end of its field; a quote inside a field is written "".')


def open_quote(name: str, line: int) -> DataError:
    """A quote that is still open at the end of the file."""
    return DataError(
        f'{name}:{line}: a quote opens here and never closes. Close it; a quote inside a quoted field is written "".'
    )


def long_line(name: str, line: int, n_megabytes: int) -> DataError:
    """A line that no table has."""
    return DataError(
        f"{name}:{line}: a line of more than {n_megabytes} MB. This is no table, or its line ends are lost."
    )


def nul_byte(name: str, line: int) -> DataError:
    """A byte 0, which no text has."""
    return DataError(
        f"{name}:{line}: a NUL byte. The file is damaged or no text; "
        f"if it is UTF-16, {NAME_ENCODING} (utf-16-le or utf-16-be)."
    )


def undecodable(name: str, line: int, byte: int, encoding: str, is_given: bool) -> DataError:
    """A byte that is no text in the encoding that was found or given."""
    place = f"{name}:{line}: byte 0x{byte:02x} is not valid {encoding}."
    if is_given:
        return DataError(f"{place} Correct --encoding / data.encoding, or leave it out to have it found.")
    return DataError(f"{place} Save the file as UTF-8, or {NAME_ENCODING} (cp1252, for example).")


def empty_file(name: str) -> DataError:
    """No bytes, or nothing but blank lines."""
    return DataError(f"{name}: the file is empty. It needs a line of column names and a line per row.")


def header_only(name: str) -> DataError:
    """Names without rows."""
    return DataError(f"{name}: header only, there are no rows. Add a line per row, or name another file.")


def same_name(name: str, line: int, column: str, first: int, second: int) -> DataError:
    """Two columns of one name; the positions count from 1."""
    return DataError(
        f"{name}:{line}: columns {first} and {second} are both named {quoted(column)}. Rename one of them."
    )


def header_width(name: str, line: int, n_names: int, n_fields: int) -> DataError:
    """A header that has fewer or more names than every row has fields."""
    todo = "Name every column (R's write.table leaves out the first name)" if n_fields > n_names else "Match them"
    return DataError(
        f"{name}:{line}: the header has {n_names} {'name' if n_names == 1 else 'names'}, "
        f"the rows have {n_fields} fields. {todo}, or {NAME_DELIMITER}."
    )


def wrong_delimiter(name: str, line: int, given: str, better: str, n_fields: int) -> DataError:
    """A delimiter the user named, and that leaves one column where another gives several."""
    return DataError(
        f"{name}:{line}: one column with the delimiter {shown_delimiter(given)}; {shown_delimiter(better)} gives "
        f"{n_fields}. Correct --delimiter / data.delimiter, or leave it out to have it found."
    )


def other_columns(name: str, first: str, missing: Sequence[str], added: Sequence[str]) -> DataError:
    """A file of several that has not the columns of the first."""
    parts = [f"without {listed(missing)}"] * bool(missing) + [f"with {listed(added)}"] * bool(added)
    return DataError(
        f"{name}: other columns than {first}: {', '.join(parts)}. Files read together share their columns."
    )


def not_a_number(where: str, column: str, cell: str) -> DataError:
    """A text in a column of numbers."""
    hint = " Write decimals with a point and thousands without a sign." if "," in cell else ""
    return DataError(f"{where}: column {escaped(column)}: {quoted(cell)} is not a number.{hint}")


def infinite(where: str, column: str) -> DataError:
    """A number that is infinite, or too large to be held."""
    return DataError(
        f"{where}: column {escaped(column)}: an infinite value. Write a finite number, or leave the cell empty."
    )


def missing_cell(where: str, column: str) -> DataError:
    """A missing cell where none may be."""
    return DataError(
        f"{where}: column {column} is missing, and preprocess.missing is error.\n"
        "Fill the cell, leave the row out, or train with preprocess.missing: median."
    )


def too_large(where: str, column: str, number: float) -> DataError:
    """A number that leaves the range of the network's numbers once it is scaled."""
    return DataError(f"{where}: column {column}: {number:g} is too large to compute with.")
