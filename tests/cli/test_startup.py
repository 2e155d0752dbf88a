"""What each verb imports: start-up time is most of the time of a small job."""

import json
import subprocess
import sys

import pytest

from tests.program import DATA, ROOT

HEAVY = (
    *("numpy", "pandas", "pydantic", "yaml", "rich", "threadpoolctl"),
    *("numba", "scipy", "sklearn", "torch", "matplotlib"),
)
SCRIPT = """
import contextlib, io, json, sys
from mlpcli.cli.main import run
answers = []
for arguments in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())):
        code = run(arguments)
    answers.append([code, sorted(sys.modules)])
print(json.dumps(answers))
"""


def modules_after(*runs):
    """For each run of the program, names of all modules that are loaded when it has ended, after those before it."""
    command = [sys.executable, "-c", SCRIPT, json.dumps([[*map(str, arguments)] for arguments in runs])]
    ended = subprocess.run(command, capture_output=True, check=True, cwd=ROOT)
    answers = json.loads(ended.stdout)
    assert [code for code, _ in answers] == [0] * len(runs), ended.stderr
    return [set(modules) for _, modules in answers]


def heavy_after(*arguments):
    return modules_after(arguments)[0] & set(HEAVY)


def test_version_and_help_import_nothing_heavy():
    verbs = ("init", "check", "train", "predict", "eval", "compare", "inspect")
    runs = [["--version"], ["--help"], *([verb, "-h"] for verb in verbs)]
    for arguments, modules in zip(runs, modules_after(*runs), strict=True):
        assert modules & set(HEAVY) == set(), arguments


@pytest.mark.parametrize(
    ("verb", "heavy"),
    [
        ("predict", {"numpy", "pandas", "threadpoolctl"}),
        ("eval", {"numpy", "pandas", "threadpoolctl", "rich"}),
        ("compare", {"numpy", "pandas", "threadpoolctl", "rich"}),
        ("inspect", {"numpy", "pandas", "rich"}),
        ("diff", {"numpy", "pandas", "rich"}),
    ],
)
def test_using_a_model_needs_nothing_that_only_configs_and_trainings_need(verb, heavy, iris):
    table = DATA / "iris.csv"
    arguments = {"inspect": [iris], "diff": [iris, iris], "compare": [iris, iris, table]}.get(verb, [iris, table])
    unwanted = (
        "mlpcli.config",
        "mlpcli.compiled",
        "mlpcli.training.fit",
        "mlpcli.data.schema.profile",
        "mlpcli.data.split",
    )
    (modules,) = modules_after([verb, *arguments])
    assert modules & set(HEAVY) == heavy
    assert modules & {"rich.markdown", "rich.live", "rich.progress", "rich.syntax", "rich.traceback"} == set()
    assert {name for name in modules if name.startswith(unwanted)} == set()
    assert ("mlpcli.evaluation.metrics.scores" in modules) == (verb in ("eval", "compare"))


def test_a_config_is_written_without_what_reads_configs():
    assert heavy_after("init", DATA / "iris.csv") == {"numpy", "pandas", "rich"}


def test_no_verb_ever_imports_another_framework(tmp_path):
    runs = {
        "init": [DATA / "iris.csv"],
        "check": ["configs/iris.yaml"],
        "train": ["configs/iris.yaml", "--set", "training.epochs=1", "-o", tmp_path / "run"],
    }
    found = modules_after(*([verb, *arguments] for verb, arguments in runs.items()))
    for verb, modules in zip(runs, found, strict=True):
        assert modules & {"sklearn", "scipy", "matplotlib", "torch"} == set(), verb
        assert ("yaml" in modules) == (verb != "init"), verb


def test_importing_the_package_is_cheap_until_it_is_used():
    script = (
        "import sys, mlpcli\n"
        "assert 'numpy' not in sys.modules\n"
        "mlpcli.load\n"
        "assert 'pandas' in sys.modules and 'typer' not in sys.modules and 'rich' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_listing_runs_needs_nothing_that_trains_or_reads_tables(iris):
    assert heavy_after("runs", iris.parent.parent) == {"numpy", "yaml", "rich"}
