"""docs/config.md from the schema: every key with what it takes, its default and what it does.

`python -m mlpcli.config.reference` prints it; a test compares the file with it.
"""

import sys
from collections.abc import Iterator
from typing import Any

from mlpcli.config.schema.fields import Shape, allowed, is_options, part_defaults, part_names, part_shapes, shape_of
from mlpcli.config.schema.sections import Config
from mlpcli.config.yaml.dumping import as_plain, flow_text

_HEAD = """\
<!-- Written by `python -m mlpcli.config.reference` from mlpcli/config/schema/sections.py and the parts it names. -->

# Config reference

A config is one YAML file; only `data.train` and `data.target` must be in it. `mlp init DATA.csv --target COLUMN`
writes a commented one, `mlp check CONFIG` prints it with every default and where each value came from.

- Unknown and doubled keys are errors, as are values of another type: `5` is no text and `"5"` is no number.
- Only `true`, `false`, `null` and decimal numbers are more than text: `1e-3` is a number, `no` is a text.
  Keys are always text.
- A part with a `name` can be written as the name alone: `optimizer: adam` is `optimizer: {name: adam}`.
  A mapping without a name changes the default: `optimizer: {learning_rate: 0.1}` keeps its name and other values.
- `--set training.epochs=5` sets any key from the command line, `--set 'model.layers=[auto, 32, auto]'` a list.
  A value in brackets, braces or quotes is YAML; any other text is taken as it stands. Later ones win, and all win
  over the file.
- `${NAME}` is the text of the environment variable NAME, alone or within a text, and read as if it stood there: `${N}`
  may be a number, `"${N}"` is a text. A variable that is not set is an error; a literal `${` is written `$${`. The run
  folder and the model file keep the values, so no password belongs there. `--set` leaves it to the shell.
- Paths are relative to the current directory. A lone dash (standard input) is written `"-"` in the file.
"""


def reference_text() -> str:
    """The whole of docs/config.md."""
    return "\n".join([_HEAD, *_section("", shape_of(Config))])


def _section(key: str, shape: Shape, default: Any = None) -> Iterator[str]:
    """One section and the sections and parts below it."""
    (part,) = shape.parts
    if key:
        yield f"## {key}\n"
        yield f"{shape.doc}\n"
    else:
        yield "## The whole file\n"
    yield from _table(key, part, as_plain(default) if is_options(type(default)) else {})
    defaults = part_defaults(part)
    for name, inner in part_shapes(part).items():
        inner_key = f"{key}.{name}" if key else name
        if not inner.parts:
            continue
        if any(part_names(one) for one in inner.parts):
            yield from _parts(inner_key, inner, defaults.get(name))
        else:
            yield from _section(inner_key, inner, defaults.get(name))


def _parts(key: str, shape: Shape, default: Any) -> Iterator[str]:
    """A place where one of several named parts stands."""
    yield f"## {key}\n"
    yield f"{shape.doc} Default: `{flow_text(as_plain(default))}`.\n"
    for part in shape.parts:
        yield f"### {key}: {', '.join(part_names(part))}\n"
        yield f"{(part.__doc__ or '').strip().splitlines()[0]}\n"
        if len(part_shapes(part)) > 1:
            yield from _table("", part, {}, without=("name",))


def _table(key: str, part: type, given: dict[str, Any], without: tuple[str, ...] = ()) -> Iterator[str]:
    """The keys of an options class; `given` has the defaults that its place gives it instead of its own."""
    defaults = {name: as_plain(value) for name, value in part_defaults(part).items()} | given
    yield "| key | value | default | meaning |"
    yield "|---|---|---|---|"
    for name, shape in part_shapes(part).items():
        if name in without:
            continue
        is_section = bool(shape.parts) and not shape.choices and len(shape.leaves) == 1
        default = f"`{flow_text(defaults[name])}`" if name in defaults else "must be given"
        inner = f"{key}.{name}" if key else name
        value = (
            f"see [{inner}](#{inner.replace('.', '')}){' or null' * shape.takes_null}" if is_section else allowed(shape)
        )
        cells = (f"`{name}`", value, "" if is_section and name in defaults else default, shape.doc)
        yield f"| {' | '.join(_cell(cell) for cell in cells)} |"
    yield ""


def _cell(text: str) -> str:
    """Text for a cell of a Markdown table, where | would end the cell and < would begin a tag."""
    return text.replace("|", r"\|").replace("<", r"\<")


if __name__ == "__main__":
    sys.stdout.write(reference_text())
