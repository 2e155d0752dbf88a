"""docs/gallery: jobs from a table to a verdict; each page has a config, commands, and what they show.

`python -m tests.gallery` writes what the commands show into the pages. A line that begins with `$ ` is a command; the
lines up to the next one are what it shows in a terminal of 80 columns.
"""

import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

from mlpcli.cli.main import run
from tests.program import DATA, ROOT

GALLERY = ROOT / "docs" / "gallery"
PAGES = tuple(sorted(path for path in GALLERY.glob("*.md") if path.name != "README.md"))
WIDTH = 80
CONFIG = re.compile(r"<!-- (\w+\.yaml) -->\n```yaml\n(.*?)```\n", re.DOTALL)
SCREEN = re.compile(r"(?<=```text\n)\$ .*?(?=```\n)", re.DOTALL)


def rendered(page: str) -> str:
    """The page with what its commands show now."""
    with tempfile.TemporaryDirectory() as folder, chdir(folder), mock.patch.dict(os.environ, {"COLUMNS": str(WIDTH)}):
        _set_up(Path(folder), page)
        return SCREEN.sub(lambda screen: "".join(map(_shown, commands_of(screen[0]))), page)


def commands_of(page: str) -> list[str]:
    """What stands behind each `$ `."""
    return re.findall(r"^\$ (.*)$", page, re.MULTILINE)


def words_of(page: str) -> str:
    """The page without the digits of its numbers, and without the places of its line ends."""
    page = re.sub(r"\b[0-9a-f]{16}\b|-?\d[\d.e+-]*", "#", page)
    return re.sub(r"[\s─▇⠀-⣿│┤┬└▲-]+", " ", page)


def _set_up(folder: Path, page: str) -> None:
    shutil.copytree(DATA, folder / "data")
    for name, text in CONFIG.findall(page):
        (folder / name).write_text(text, "utf-8")


def _shown(command: str) -> str:
    """The command, and what both streams show together."""
    plain, _, n_lines = command.partition(" | head -")
    if plain.startswith("mlp "):
        stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="", write_through=True)
        with redirect_stdout(stream), redirect_stderr(stream):
            code = run(shlex.split(plain)[1:])
        text = stream.buffer.getvalue().decode()
        text = "".join(text.splitlines(keepends=True)[: int(n_lines or sys.maxsize)])
    else:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        ended = subprocess.run(
            ["bash", "-c", command], env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=60
        )
        code, text = ended.returncode, ended.stdout + ended.stderr
    text = text.replace(f"{os.path.realpath('.')}/", "")
    return f"$ {command}\n{text}" + (f"(exit code {code})\n" if code else "")


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(rendered(path.read_text("utf-8")), "utf-8")
