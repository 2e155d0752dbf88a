"""What each verb imports: start-up time is most of the time of a small job."""

import json
import subprocess
import sys

import pytest

from tests.program import DATA, ROOT

HEAVY = ("numpy", "pandas", "pydantic", "yaml", "rich", "sklearn", "scipy", "matplotlib")
SCRIPT = """
import contextlib, io, json, sys
from mlpcli.cli.main import run
with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())):
    code = run(sys.argv[1:])
print(json.dumps([code, sorted(sys.modules)]))
"""


def modules_after(*arguments):
    """Names of all modules that are loaded when a run of the program has ended."""
    command = [sys.executable, "-c", SCRIPT, *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, check=True, cwd=ROOT)
    code, modules = json.loads(ended.stdout)
    assert code == 0, ended.stderr
    return set(modules)


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_version_and_help_import_no_numpy_no_pandas_and_no_pydantic(option):
    assert modules_after(option) & {"numpy", "pandas", "pydantic", "yaml", "sklearn", "scipy", "matplotlib"} == set()


@pytest.mark.parametrize("verb", ["predict", "eval", "inspect"])
def test_using_a_model_needs_nothing_that_only_configs_need(verb, iris):
    arguments = [verb, iris] if verb == "inspect" else [verb, iris, DATA / "iris.csv"]
    modules = modules_after(*arguments)
    assert {name for name in modules if name.startswith("mlpcli.config")} == set()
    assert modules & {"yaml", "sklearn", "scipy", "matplotlib"} == set()
    assert ("mlpcli.cli.render" in modules) == (verb != "predict")


def test_the_workflows_that_use_a_model_import_no_pydantic():
    # Newer versions of Typer import pydantic themselves, to read the command line.
    script = (
        "import sys, mlpcli.workflows.predict, mlpcli.workflows.evaluate, mlpcli.workflows.inspect\n"
        f"print(sorted({set(HEAVY)!r} & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    assert ended.stdout == "['numpy', 'pandas']\n"


@pytest.mark.parametrize("verb", ["init", "check", "train"])
def test_no_verb_ever_imports_another_framework(verb, tmp_path):
    options = {
        "init": [DATA / "iris.csv"],
        "check": ["configs/iris.yaml"],
        "train": ["configs/iris.yaml", "--set", "training.epochs=1", "-o", tmp_path / "run"],
    }
    modules = modules_after(verb, *options[verb])
    assert modules & {"sklearn", "scipy", "matplotlib", "torch"} == set()
    assert ("yaml" in modules) == (verb != "init")


def test_importing_the_package_is_cheap_until_it_is_used():
    script = (
        "import sys, mlpcli\n"
        "assert 'numpy' not in sys.modules\n"
        "mlpcli.load\n"
        "assert 'pandas' in sys.modules and 'typer' not in sys.modules and 'rich' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
