"""The documentation site: every page is on it, a broken link ends its build, and it loads nothing from other hosts."""

import os
import re
import subprocess
import sys
import tomllib

import pytest

from tests.program import ROOT


def lay(folder):
    return subprocess.run(
        [sys.executable, ROOT / ".ci" / "site.py", folder], capture_output=True, text=True, check=False, timeout=60
    )


def named_in(folder):
    """The pages that the navigation names."""
    return list(places(tomllib.loads((folder / "zensical.toml").read_text("utf-8"))["project"]["nav"]))


def places(entries):
    for entry in entries:
        for value in entry.values() if isinstance(entry, dict) else [entry]:
            yield from places(value) if isinstance(value, list) else [value]


def test_every_page_is_in_the_navigation_once(tmp_path):
    assert lay(tmp_path).returncode == 0
    named = named_in(tmp_path)
    written = {str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")}
    assert written <= set(named)
    assert len(named) == len(set(named))


def test_what_a_page_links_to_is_a_page_and_links_lead_to_it(tmp_path):
    assert lay(tmp_path).returncode == 0
    pages = tmp_path / "pages"
    assert all((pages / place).is_file() for place in named_in(tmp_path))
    assert "](../action.yml.md)" in (pages / "docs" / "packaging.md").read_text("utf-8")
    assert (ROOT / "action.yml").read_text("utf-8").strip() in (pages / "action.yml.md").read_text("utf-8")
    configs = (pages / "configs" / "README.md").read_text("utf-8")
    assert all(f"## {path.name}\n" in configs for path in (ROOT / "configs").glob("*.yaml"))
    for page in pages.rglob("*.md"):
        text = re.sub(r"^(````?)\w*$.*?^\1$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
        for link in re.findall(r"\]\(((?!https?:|#)[^)#\s]+)", text):
            assert (page.parent / link).is_file(), (page, link)


def test_the_site_is_built_loads_nothing_and_a_broken_link_ends_the_build(tmp_path):
    pytest.importorskip("zensical", reason="zensical is not installed")

    def build():
        command = ["bash", ROOT / ".ci" / "site", tmp_path]
        return subprocess.run(
            command,
            env={**os.environ, "PYTHON": sys.executable},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    built = build()
    assert built.returncode == 0, built.stdout + built.stderr
    site = tmp_path / "site"
    assert (site / "docs" / "gallery" / "species.html").is_file()
    for page in site.rglob("*.html"):
        assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=.?https?:", page.read_text("utf-8")), page
    page = tmp_path / "pages" / "docs" / "ci.md"
    page.write_text(page.read_text("utf-8") + "\n[nothing](cli.md#no-such-verb)\n", "utf-8")
    ended = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict", "--clean"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert ended.returncode != 0
    assert "anchor does not exist" in ended.stdout + ended.stderr
