"""Reading and decoding of a config file, with messages for files that are no configs."""

import codecs
import json
import os
import re
import shlex
from pathlib import Path as FilePath

from mlpcli.config.yaml.source_map import escaped
from mlpcli.errors import ConfigError, nearest_file

MAX_BYTES = 256 * 1024  # bounds the time to read a wrong file
TABLE_EXTENSIONS = re.compile(
    r"\.(csv|tsv|tab|txt|jsonl|ndjson|parquet|feather|arrow|xlsx?|xlsm|xlsb|ods)(\.(gz|bz2|xz|zst|zip))?$",
    re.IGNORECASE,
)
MAKE_ONE = "Make one with: mlp init DATA.csv --target COLUMN"


def config_text(path: str, name: str) -> str:
    """The text of a config; `name` is the path for messages.

    Raises ConfigError for tables, models, folders, binary and very large files.
    """
    if table_name(path) and os.path.isfile(path):
        raise ConfigError(f"{name}: a table, not a config. {_make_one_for(path)}")
    if path.endswith(".npz") and os.path.isfile(path):
        raise ConfigError(f"{name}: a model, not a config. Show its training config: mlp inspect {name}")
    return _without_tabs(_read_text(path, name))


def _read_text(path: str, name: str) -> str:
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise ConfigError(f"{name}: no such file.{_nearest_file(path)}") from error
    except IsADirectoryError as error:
        raise ConfigError(
            f"{name}: a folder, not a config.{_nearest_file(os.path.join(path, 'config.yaml'))}"
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else "not a path"
        raise ConfigError(f"{name}: cannot be read ({reason}).") from error
    if b"\0" in data and not data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ConfigError(f"{name}: a binary file, not a config. {MAKE_ONE}")
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{name}: larger than {MAX_BYTES // 1024} KB, so not a config. {MAKE_ONE}")
    return _decoded(data, name)


def _decoded(data: bytes, name: str) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # the output of `>` in older PowerShells
        try:
            return data.decode("utf-16")
        except UnicodeDecodeError as error:
            raise ConfigError(f"{name}: not valid UTF-16. Save it as UTF-8.") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{name}:{line}: not valid UTF-8 (byte 0x{data[error.start]:02x}). Save it as UTF-8."
        ) from error


def _nearest_file(path: str) -> str:
    folder, wanted = os.path.split(path)
    try:
        names = sorted(entry.name for entry in FilePath(folder or ".").iterdir() if entry.suffix in (".yaml", ".yml"))
    except (OSError, ValueError):
        return f" Nor is there a folder {escaped(folder)}."
    name = nearest_file(wanted, names)
    return f" Did you mean {escaped(os.path.join(folder, name))}?" if name else ""


def _make_one_for(table: str) -> str:
    """The commands that make a config for a table and train it."""
    file, config = escaped(shlex.quote(table)), escaped(shlex.quote(f"{table_name(table)}.yaml"))
    return f"Make its config: mlp init {file} --target COLUMN -o {config}, then: mlp train {config}"


def table_name(path: str) -> str:
    """The name of a table without its extensions; "" if the extension is not that of a table."""
    extension = TABLE_EXTENSIONS.search(path)
    return os.path.basename(path[: extension.start()]) if extension else ""


def _without_tabs(text: str) -> str:
    """JSON with tabs replaced by spaces, as YAML forbids tabs; strings in JSON contain none."""
    if "\t" not in text or not text.lstrip().startswith("{"):
        return text
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    return text.replace("\t", " ")
