"""`mlp schema`: JSON Schemas of the config (for editors) and of an exported model."""

import os
from importlib.resources import files
from pathlib import Path

from mlpcli.config.schema.published import published_path, published_text
from mlpcli.errors import MlpError, OutputError, did_you_mean
from mlpcli.storage.atomic import write_file

SCHEMA_FILE = "mlp.schema.json"  # a config refers to this file in its folder if it exists
MODELINE = "# yaml-language-server: $schema="
DOCUMENTS = ("config", "export")
_BEGINNING = b'{\n "$schema"'


def schema(output: str = "-", of: str = "config") -> str:
    """The JSON Schema of a document as text, also written to the file `output` unless that is "-".

    Raises MlpError for an unknown document, and OutputError if the file cannot be written, or exists and is not a
    JSON Schema.
    """
    if of not in DOCUMENTS:
        raise MlpError(f"--of {of}: has no schema.{did_you_mean(of, DOCUMENTS)}")
    text = published_text() if of == "config" else exported_schema()
    if output != "-":
        if os.path.exists(output) and not _is_schema(output):
            raise OutputError(f"{output}: exists already and is not a JSON Schema. Choose another name.")
        write_file(output, text.encode())
    return text


def exported_schema() -> str:
    """The JSON Schema of `mlp export --to json`."""
    return (files("mlpcli.export") / "model.schema.json").read_text(encoding="utf-8")


def modeline(config: str) -> str:
    """The comment that tells editors the schema of the config at a path ("-" for standard output).

    It names mlp.schema.json if that file is beside the config, so that both can be copied together, otherwise the URI
    of the file in this installation, which works offline on this machine. "" if neither is a file, as in a zip archive.
    """
    folder = Path(config).parent if config != "-" else Path()
    if (folder / SCHEMA_FILE).is_file():
        return MODELINE + SCHEMA_FILE
    return MODELINE + published_path().as_uri() if published_path().is_file() else ""


def _is_schema(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(len(_BEGINNING)) == _BEGINNING
    except OSError:
        return False
