"""docs/gallery against the program: each page is run, and shows what its commands show."""

import re
import shutil

import pytest

from tests.gallery import CONFIG, GALLERY, PAGES, commands_of, rendered, words_of

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_shows_what_its_commands_show(path):
    page = path.read_text("utf-8")
    assert words_of(rendered(page)) == words_of(page), "run: python -m tests.gallery"


def test_there_are_ten_jobs_and_the_index_names_each_by_its_title():
    index = (GALLERY / "README.md").read_text("utf-8")
    titles = {path.name: path.read_text("utf-8").partition("\n")[0].removeprefix("# ") for path in PAGES}
    assert len(titles) == 10
    assert dict(re.findall(r"\| \[(.*?)\]\((\w+\.md)\)", index)) == {title: name for name, title in titles.items()}


def test_every_job_has_a_config_that_its_commands_train():
    for path in PAGES:
        page = path.read_text("utf-8")
        ((name, _),) = CONFIG.findall(page)
        assert any(command.startswith(("mlp train", "mlp cv")) and name in command for command in commands_of(page))
