from pathlib import Path

from mlpcli.config.reference import reference_text
from mlpcli.config.schema.fields import all_keys, spec_of
from mlpcli.config.schema.sections import Config

PAGE = Path(__file__).parents[2] / "docs" / "config.md"


def test_the_page_in_docs_is_the_schema_of_today():
    assert PAGE.read_text(encoding="utf-8") == reference_text(), (
        "run: python -m mlpcli.config.reference > docs/config.md"
    )


def test_every_key_has_a_row():
    text = reference_text()
    for path in all_keys(spec_of(Config)):
        assert path[-1] == "name" or f"| `{path[-1]}` |" in text


def test_every_key_has_a_sentence():
    rows = [line for line in reference_text().splitlines() if line.startswith("| `")]
    assert len(rows) > 60
    assert all(row.split(" | ")[-1].strip("| ").endswith(".") for row in rows)
