"""The documentation against the program: commands run, output is real, links lead somewhere, nothing is missing."""

import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from typer.main import get_command

import mlpcli
from mlpcli.cli.main import app, run
from mlpcli.data.features.scaling import MissingPolicy, Scaler
from mlpcli.evaluation.metrics.registry import METRICS
from mlpcli.nn.activations import ACTIVATIONS
from mlpcli.nn.initializers import BY_FAN_NAMES
from mlpcli.nn.losses import Loss
from mlpcli.nn.optimizers import Optimizer
from mlpcli.nn.schedules import Schedule
from mlpcli.workflows.scoring.main_metrics import MAIN_METRICS

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = [README, ROOT / "CHANGELOG.md", ROOT / "data" / "README.md", *sorted(DOCS.rglob("*.md"))]

MAIN_COMMAND = "python3 -m venv .venv && . .venv/bin/activate && pip install . && mlp train configs/penguins.yaml"
TEST_COMMAND = (
    'python3 -m venv .venv && . .venv/bin/activate && pip install ".[test]" && python -m pytest -n 2 --dist loadfile'
)
TERMINAL = ("COLUMNS", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the line before it."""

    page: Path
    line: int
    language: str
    text: str
    before: str

    @property
    def is_run(self):
        return self.before == "<!-- run -->"

    @property
    def is_file(self):
        """Whether it is a file of its own, which another test runs."""
        return self.before.endswith(".py -->")


def blocks_of(page):
    blocks, start = [], None
    lines = page.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        if start is None and line.startswith("```"):
            start = number
        elif start is not None and line == "```":
            text = "\n".join(lines[start : number - 1])
            blocks.append(Block(page, start, lines[start - 1].removeprefix("```"), text, lines[start - 2]))
            start = None
    assert start is None, f"{page}: a block does not end"
    return blocks


def named(blocks):
    return {f"{block.page.name}:{block.line}": block for block in blocks}


PYTHON_BLOCKS = named(
    block for page in PAGES for block in blocks_of(page) if block.language == "python" and not block.is_file
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder as the README's reader has it: samples, configs, and `mlp` on the path."""
    place = tmp_path_factory.mktemp("tour")
    for name in ("data", "configs"):
        shutil.copytree(ROOT / name, place / name)
    program = place / "bin" / "mlp"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mlpcli "$@"\n')
    program.chmod(0o755)
    return place


@pytest.fixture(scope="module")
def tour(place):
    """Each command of the README with what it printed and what the README says it prints."""
    if shutil.which("bash") is None:
        pytest.skip("the tour is for a shell")
    environment = {name: value for name, value in os.environ.items() if name not in TERMINAL}
    environment |= {
        "PATH": f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PYTHONUTF8": "1",
    }
    blocks = blocks_of(README)
    commands = []
    for block, after in zip(blocks, [*blocks[1:], None], strict=True):
        command = block.text if block.is_run else block.text.rpartition(" && ")[2]
        if block.language != "sh" or (not block.is_run and block.text != MAIN_COMMAND):
            continue
        done = subprocess.run(
            ["bash", "-c", command], cwd=place, env=environment, capture_output=True, encoding="utf-8", timeout=60
        )
        assert done.returncode == 0, done.stderr
        commands.append((command, done.stdout + done.stderr, after.text if after and after.language == "text" else ""))
    return commands


def words_of(output):
    """Lines without their numbers, which may differ in the last digits from machine to machine.

    The order of the lines is left out, as two streams are mixed; so are the lines per epoch, which a terminal shows as
    one that changes, the number of epochs, and what a busy machine says of work that takes ten seconds.
    """
    lines = [line for line in output.splitlines() if line.strip() and not re.match(r"epoch |[a-z]+ +\d+%, ", line)]
    lines = [line[max(line.find("Best epoch"), 0) :] for line in lines]
    return sorted(" ".join(re.sub(r"\d[\d.]*(e[+-]\d+)?", "#", line).split()) for line in lines)


def test_the_two_commands_are_those_that_are_promised():
    blocks = [block for block in blocks_of(README) if block.language == "sh"]
    assert [block.text for block in blocks[:2]] == [MAIN_COMMAND, TEST_COMMAND]
    assert blocks[1].before == "<!-- test command -->"


def test_every_shell_block_is_run_or_is_an_installation():
    for block in (block for page in PAGES for block in blocks_of(page)):
        assert block.language in ("sh", "python", "text", "mermaid", "yaml", "make", ""), block
        assert block.language != "sh" or block.page == README
        assert block.language not in ("sh", "python") or block.is_run or block.is_file or "pip install" in block.text, (
            block
        )


def test_the_commands_of_the_readme_print_what_it_says(tour):
    assert len(tour) == 8
    for command, printed, promised in tour:
        assert words_of(printed) == words_of(promised), command


def test_the_tour_ends_with_a_pass_a_miss_and_exit_code_1(tour):
    printed = next(printed for command, printed, _ in tour if "mlp eval" in command)
    assert re.search(r"gate  accuracy >= 0.95 .* pass\n", printed)
    assert re.search(r"gate  log_loss <= 0.005 .* FAIL\n", printed)
    assert "exit 1\n" in printed


@pytest.fixture(scope="module")
def flowers(place):
    """The network of textbook.md: its config is trained and its rows are predicted by the commands of the page."""
    blocks = blocks_of(DOCS / "textbook.md")
    (config,) = [block for block in blocks if block.before == "<!-- flowers.yaml -->"]
    (place / "flowers.yaml").write_text(config.text, encoding="utf-8")
    commands = [line for block in blocks for line in block.text.splitlines() if line.startswith("mlp ")]
    assert [command.split()[1] for command in commands] == ["train", "predict"]
    with chdir(place):
        for command in commands:
            assert run([*command.split()[1:], "--quiet"]) == 0
    return place / "runs" / "flowers" / "weights.npz"


@pytest.mark.parametrize("block", PYTHON_BLOCKS.values(), ids=PYTHON_BLOCKS.keys())
def test_every_python_block_runs(block, tour, place, iris_model, flowers):
    with chdir(place):
        exec(compile(block.text, f"{block.page.name}:{block.line}", "exec"), {})


@pytest.fixture(scope="module")
def iris_model(place):
    with chdir(place):
        assert run(["train", "configs/iris.yaml", "--quiet"]) == 0
    return mlpcli.load(str(place / "runs" / "iris" / "weights.npz"))


def test_ten_lines_of_numpy_give_what_the_program_predicts(place, iris_model):
    (block,) = [block for block in PYTHON_BLOCKS.values() if block.page.name == "file-format.md"]
    assert len([line for line in block.text.splitlines() if line]) == 10
    found = {}
    with chdir(place):
        exec(block.text, found)
    rows = pd.read_csv(ROOT / "data" / "iris.csv")
    np.testing.assert_allclose(found["p"], iris_model.predict_proba(rows), atol=1e-6)
    assert found["species"].tolist() == iris_model.predict(rows).tolist()


def test_the_ten_lines_of_the_textbook_page_compute_what_the_program_shows(place, flowers):
    (block,) = [block for block in PYTHON_BLOCKS.values() if block.page.name == "textbook.md"]
    assert len([line for line in block.text.splitlines() if line]) == 10
    found = {}
    with chdir(place):
        exec(block.text, found)
    assert list(found["shown"])[1:] == ["p_setosa", "p_versicolor", "p_virginica", "h1_1", "h1_2", "h1_3"]


def test_the_numbers_by_hand_are_those_of_the_model_and_every_line_of_arithmetic_is_right(place, flowers):
    blocks = blocks_of(DOCS / "textbook.md")
    (row,) = [block for block in blocks if block.before == "<!-- first row -->"]
    header, cells = (line.split(",") for line in row.text.splitlines())
    first = pd.read_csv(place / "hidden.csv").iloc[0]
    assert header == list(first.index)
    assert cells[0] == first["species"]
    np.testing.assert_allclose(np.array(cells[1:], float), first[header[1:]].to_numpy(float), atol=5e-4)
    with np.load(flowers) as a:
        x = (np.array([5.1, 3.5, 1.4, 0.2]) - a["input_center"]) / a["input_scale"]
        arrays = {"x": x, "W1 row 1": a["W1"][0], "b1": a["b1"][:1], "W2 row 1": a["W2"][0], "b2": a["b2"][:1]}
        arrays["h"] = 1 / (1 + np.exp(-(a["W1"] @ x + a["b1"])))
    text = "\n".join(block.text for block in blocks if block.before == "<!-- by hand -->")
    n_checked = 0
    for part in re.split(r"\n|\s{4,}(?=\w+ = )", text):
        name, *sides = (side.strip() for side in part.split(" = "))
        if name in arrays:
            np.testing.assert_allclose(np.array(sides[0].split(), float), arrays[name], atol=3e-3)
            n_checked += 1
        elif len(sides) == 2:
            assert eval(sides[0], {"exp": np.exp}) == pytest.approx(float(sides[1]), abs=6e-4), part
            n_checked += 1
    assert n_checked == 10


def test_the_python_of_the_readme_says_the_right_shapes(tour, place):
    found = {}
    with chdir(place):
        exec(next(block for block in PYTHON_BLOCKS.values() if block.page == README).text, found)
    assert found["species"].index.equals(found["rows"].index)
    assert found["probabilities"].shape == (69, 3)
    (shape,) = re.findall(r"# (\([\d, ]+\)), of", README.read_text(encoding="utf-8"))
    assert str(found["W1"].shape) == shape
    assert (place / "small.npz").is_file()


def test_a_schedule_and_an_activation_added_as_described_keep_the_laws():
    found = {}
    for block in PYTHON_BLOCKS.values():
        if block.page.name == "adding.md":
            exec(block.text, found)
    z = np.array([[-3.0, -0.5, 0.2, 4.0]])
    a, above, below, slope, spare = (np.empty_like(z) for _ in range(5))
    activation, step = found["softsign"], 1e-6
    activation.evaluate(z, a, slope, spare)
    activation.evaluate(z + step, above, None, spare)
    activation.evaluate(z - step, below, None, spare)
    np.testing.assert_array_equal(a, z / (1 + np.abs(z)))
    np.testing.assert_allclose(slope, (above - below) / (2 * step), rtol=1e-6)
    assert found["InverseRoot"]().factor(3.0, 10.0) == 0.5


def anchors_of(page):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_internal_link_leads_somewhere(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors_of(target), link


def test_every_file_of_the_code_that_a_page_names_is_there():
    folders = [ROOT / name for name in ("mlpcli", "tests", "benchmarks")]
    files = [str(path.relative_to(ROOT)) for folder in folders for path in folder.rglob("*.py")]
    for page in PAGES:
        for name in re.findall(r"`([a-z0-9_/]+\.py)`", page.read_text(encoding="utf-8")):
            assert any(f"/{path}".endswith(f"/{name}") for path in files), f"{page.name}: {name}"


def test_every_name_in_the_code_that_the_pages_for_developers_mention_is_there():
    folders = [ROOT / name for name in ("mlpcli", "tests")]
    code = "\n".join(path.read_text(encoding="utf-8") for folder in folders for path in folder.rglob("*.py"))
    known = set(re.findall(r"\w+", code))
    for page in ("adding.md", "architecture.md"):
        names = re.findall(r"`([A-Za-z]\w*_\w+|[A-Z]\w+)`", (DOCS / page).read_text(encoding="utf-8"))
        assert [name for name in names if name not in known] == []


def test_every_page_is_in_the_index():
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    assert all(f"]({page.name})" in index for page in DOCS.glob("*.md") if page.name != "README.md")


def names_of(union):
    return [part.name for part in get_args(union)]


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("config.md", ACTIVATIONS),
        ("config.md", BY_FAN_NAMES),
        ("config.md", names_of(Loss)),
        ("config.md", names_of(Optimizer)),
        ("config.md", names_of(Schedule)),
        ("config.md", names_of(Scaler)),
        ("config.md", names_of(MissingPolicy)),
        ("cli.md", METRICS),
        ("cli.md", get_command(app).commands),
    ],
    ids=["activations", "initializers", "losses", "optimizers", "schedules", "scalers", "fills", "metrics", "verbs"],
)
def test_every_part_is_in_the_reference(page, names):
    text = (DOCS / page).read_text(encoding="utf-8")
    assert [name for name in names if not re.search(rf"\b{name}\b", text)] == []


def test_every_verb_is_in_the_readme_and_in_the_changelog():
    for page in (README, ROOT / "CHANGELOG.md"):
        text = page.read_text(encoding="utf-8")
        assert [verb for verb in get_command(app).commands if f"mlp {verb}" not in text] == []


def test_the_counts_of_parts_in_the_texts_are_right():
    n_hidden = sum(not activation.is_for_outputs_only for activation in ACTIVATIONS.values())
    n_losses, n_optimizers, n_schedules = (len(get_args(union)) for union in (Loss, Optimizer, Schedule))
    changelog = " ".join((ROOT / "CHANGELOG.md").read_text(encoding="utf-8").split())
    assert f"{n_hidden} hidden activations; {n_losses} losses" in changelog
    assert f"{n_optimizers} optimizers, {n_schedules} schedules" in changelog
    readme = README.read_text(encoding="utf-8")
    assert f"| hidden activations | {n_hidden} |" in readme
    assert f"| losses | {n_losses}, " in readme
    assert f"| optimizers | {', '.join(names_of(Optimizer))} |" in readme


def keys_of(value):
    """Every key of the header but those of free mappings."""
    if isinstance(value, list):
        return {key for item in value for key in keys_of(item)}
    if not isinstance(value, dict):
        return set()
    return set(value) | {key for name in value if name not in FREE for key in keys_of(value[name])}


FREE = ("scores", "config", "data_sha256", "sha256", "start", "drawn")


@pytest.mark.parametrize("name", ["iris/weights.npz", "birds/weights.npz", "birds/checkpoint.npz"])
def test_the_file_format_names_every_key_and_every_array(name, tour, place, iris_model):
    page = (DOCS / "file-format.md").read_text(encoding="utf-8")
    text = "\n".join(line for line in page.splitlines() if line.startswith("|"))
    with np.load(place / "runs" / name) as file:
        keys = keys_of(json.loads(file["header"].tobytes()))
        # Of the tensors of a network the first of its kind is listed, and of several networks the first.
        member = "m1." if "checkpoint" in name else ""
        found = {re.sub(r"\d+$", "1", re.sub(r"^m\d+\.", member, array)) for array in file.files}
        arrays = [array for array in sorted(found) if not array.startswith("m1.optimizer_")]
    assert len(keys) >= 7
    assert [key for key in sorted(keys) if f"`{key}`" not in text] == []
    assert [array for array in arrays if f"`{array}`" not in text] == []


def test_the_file_format_names_every_file_of_a_run(tour, place):
    text = (DOCS / "file-format.md").read_text(encoding="utf-8")
    files = {path.name for path in (place / "runs" / "birds").iterdir()}
    assert files == {"config.yaml", "weights.npz", "metrics.json", "history.csv", "checkpoint.npz"}
    assert all(f"| `{name}` |" in text for name in files)
    for column in (place / "runs" / "birds" / "history.csv").read_text().splitlines()[0].split(","):
        metrics = [name for name in MAIN_METRICS["classification"] if column.endswith(name)]
        metric = max(metrics, key=len, default="")
        named = column.removesuffix(metric) + "<metric>" if metric else column
        assert f"`{named}`" in text
    metrics = json.loads((place / "runs" / "birds" / "metrics.json").read_bytes())
    assert all(f"`{key}`" in text for key in metrics if "." not in key)


def test_the_same_training_gives_the_same_bytes(place, iris_model):
    weights = place / "runs" / "iris" / "weights.npz"
    before = weights.read_bytes()
    with chdir(place):
        assert run(["train", "configs/iris.yaml", "--quiet"]) == 0
    assert weights.read_bytes() == before


def test_the_changelog_has_an_entry_for_this_version():
    assert f"\n## [{mlpcli.__version__}] - " in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
