"""docs/config.md, generated from the schema: every key with its allowed values, default and description.

`python -m mlpcli.config.reference` prints it; a test compares the file with it.
"""

import sys
from collections.abc import Iterator
from typing import Any

from mlpcli.config.schema.fields import FieldSpec, allowed, spec_of
from mlpcli.config.schema.sections import Config
from mlpcli.config.yaml.dumping import flow_text

_HEAD = """\
<!-- Written by `python -m mlpcli.config.reference` from mlpcli/config/schema/. -->

# Config reference

A config is one YAML file. Only `data.train` and `data.target` are required. `mlp init DATA.csv --target COLUMN`
writes a commented config. `mlp check CONFIG` prints it with every default and the origin of each value. An editor
completes and checks it with the schema that `mlp schema` writes ([editor-and-shell.md](editor-and-shell.md)).

- Unknown keys, duplicate keys and values of another type are errors: `5` is not a string and `"5"` is not a number.
- YAML is read strictly: only `true`, `false`, `null` and decimal numbers are not strings. `1e-3` is a number, `no` is
  a string. Keys are always strings.
- An option with a `name` can be written as the name alone: `optimizer: adam` is `optimizer: {name: adam}`. A mapping
  without a name changes the default: `optimizer: {learning_rate: 0.1}` keeps its name and its other values.
- `--set training.epochs=5` sets any key from the command line, `--set 'model.layers=[auto, 32, auto]'` a list. A value
  in brackets, braces or quotes is parsed as YAML, any other value is taken literally. A later `--set` overrides an
  earlier one, and all of them override the file.
- `${NAME}` is replaced by the environment variable NAME, also within a string. The result is parsed as if it were
  written there: `${N}` may be a number, `"${N}"` is a string. An unset variable is an error. Defaults (`${NAME:-x}`)
  are not supported. A literal `${` is written `$${`. The run folder and the model file contain the values, so do not
  use it for passwords. `--set` does not replace variables, since the shell does.
- Paths are relative to the current directory. Standard input is written `"-"` in the file.
"""


def reference_text() -> str:
    """The content of docs/config.md."""
    return "\n".join([_HEAD, *_section("", spec_of(Config))])


def _section(key: str, spec: FieldSpec) -> Iterator[str]:
    """A section and, recursively, what is below it."""
    (section,) = spec.objects
    if key:
        yield f"## {key}\n"
        yield f"{spec.description}\n"
    else:
        yield "## The whole file\n"
    yield from _table(key, section, spec.default if isinstance(spec.default, dict) else {})
    for name, inner in section.keys.items():
        inner_key = f"{key}.{name}" if key else name
        if inner.objects:
            yield from (_choices if inner.objects[0].names else _section)(inner_key, inner)


def _choices(key: str, spec: FieldSpec) -> Iterator[str]:
    """A key that takes one of several named objects."""
    yield f"## {key}\n"
    yield f"{spec.description} Default: `{flow_text(spec.default)}`.\n"
    for choice in spec.objects:
        yield f"### {key}: {', '.join(choice.names)}\n"
        yield f"{choice.class_description}\n"
        if len(choice.keys) > 1:
            yield from _table("", choice, {}, without=("name",))


def _table(key: str, spec: FieldSpec, parent_defaults: dict[str, Any], without: tuple[str, ...] = ()) -> Iterator[str]:
    """The keys of an object. `parent_defaults` holds defaults of its parent, which replace its own."""
    defaults = {name: inner.default for name, inner in spec.keys.items() if name not in spec.required} | parent_defaults
    yield "| key | value | default | meaning |"
    yield "|---|---|---|---|"
    for name, inner in spec.keys.items():
        if name in without:
            continue
        path = f"{key}.{name}" if key else name
        value = allowed(inner)
        default = f"`{flow_text(defaults[name])}`" if name in defaults else "must be given"
        if inner.objects and not inner.choices and len(inner.leaves) == 1:  # a section, which has a table of its own
            value = f"see [{path}](#{path.replace('.', '')}){' or null' * inner.is_nullable}"
            default = "" if name in defaults else default
        yield f"| {' | '.join(map(_cell, (f'`{name}`', value, default, inner.description)))} |"
    yield ""


def _cell(text: str) -> str:
    """Escapes for a cell of a Markdown table, where | ends the cell and < begins a tag."""
    return text.replace("|", r"\|").replace("<", r"\<")


if __name__ == "__main__":
    sys.stdout.write(reference_text())
