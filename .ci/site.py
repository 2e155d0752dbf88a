"""Lays the pages of the documentation site into a folder: `python .ci/site.py FOLDER`; `.ci/site` builds them.

Every Markdown file of the repository that people read keeps its place, so that links between them hold. A file of
another kind that a page links to becomes a page that shows it, and a folder one that lists it.
"""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "CHANGELOG.md", "data/README.md", "benchmarks/README.md")
LINK = re.compile(r"(\]\()((?!https?:|#|mailto:)[^)#\s]+)((?:#[^)\s]*)?\))")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LANGUAGES = {".yaml": "yaml", ".yml": "yaml", ".py": "python", ".json": "json"}


def lay_pages(folder: Path) -> None:
    """Write pages/ and zensical.toml into a folder; raises FileNotFoundError for a link that leads nowhere."""
    pages = folder / "pages"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "zensical.toml").write_text(navigation(), "utf-8")
    waiting = [ROOT / name for name in PAGES] + sorted((ROOT / "docs").rglob("*.md"))
    laid: set[Path] = set()
    while waiting:
        source = waiting.pop()
        place = pages / page_of(source).relative_to(ROOT)
        if place in laid:
            continue
        laid.add(place)
        place.parent.mkdir(parents=True, exist_ok=True)
        text, linked = with_pages(source) if source.suffix == ".md" else (shown(source), [])
        place.write_text(text, "utf-8")
        waiting += linked


def navigation() -> str:
    """The text of zensical.toml; pages of docs/ that it does not name stand at the end of the guide."""
    text = (ROOT / ".ci" / "zensical.toml").read_text("utf-8")
    pages = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))
    further = "".join(f'    "{page}",\n' for page in pages if f'"{page}"' not in text)
    guide = text.index("  ] },\n", text.index('{ "Guide" = ['))
    return text[:guide] + further + text[guide:]


def page_of(path: Path) -> Path:
    """Where a file or folder stands among the pages."""
    if path.is_dir():
        return path / "README.md"
    return path if path.suffix == ".md" else path.with_name(f"{path.name.lstrip('.')}.md")


def with_pages(source: Path) -> tuple[str, list[Path]]:
    """The text of a page whose links lead to pages, and what they lead to."""
    linked: list[Path] = []

    def led(link: re.Match[str]) -> str:
        target = (source.parent / link[2]).resolve()
        if not target.exists():
            raise FileNotFoundError(f"{source.relative_to(ROOT)}: {link[2]} leads nowhere")
        page = page_of(target)
        linked.append(page if page.exists() else target)
        return link[1] + os.path.relpath(page, source.parent) + link[3]

    return outside_fences(source.read_text("utf-8"), lambda text: LINK.sub(led, text)), linked


def outside_fences(text: str, change: Callable[[str], str]) -> str:
    """The text with a change made everywhere but in code blocks."""
    fences = FENCE.findall(text)
    parts = [change(part) for part in FENCE.split(text)]
    return "".join(part + fence for part, fence in zip(parts, [*fences, ""], strict=True))


def shown(path: Path) -> str:
    """A page that shows a file, or the files of a folder."""
    if path.is_dir():
        files = sorted(one for one in path.iterdir() if one.is_file() and one.suffix in LANGUAGES)
        title = f"# {path.relative_to(ROOT)}\n"
        if all(one.suffix == ".yaml" for one in files):
            return title + "".join(f"\n## {one.name}\n\n{fenced(one)}" for one in files)
        return title + "\n" + "".join(f"- `{one.name}`\n" for one in files)
    return f"# {path.relative_to(ROOT)}\n\n{fenced(path)}"


def fenced(path: Path) -> str:
    """The text of a file as a code block."""
    return f"````{LANGUAGES.get(path.suffix, 'text')}\n{path.read_text('utf-8').rstrip()}\n````\n"


if __name__ == "__main__":
    lay_pages(Path(sys.argv[1]))
