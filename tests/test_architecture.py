"""The plan of the house, read from the source: imports go down, each part has its libraries, files stay short."""

import ast
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.program import ROOT

PACKAGE = ROOT / "mlpcli"
FILES = sorted(PACKAGE.rglob("*.py"))

# From the top down; names on one row never import each other.
ROWS = (
    ("__main__",),
    ("api",),
    ("cli",),
    ("workflows",),
    ("compiled", "storage", "explain", "export", "report"),
    ("model", "config", "training"),
    ("data", "nn", "evaluation"),
    ("errors", "options", "machine", "messages", "aliases", "watching", "probabilities"),
)
LEVELS = {name: level for level, row in enumerate(reversed(ROWS)) for name in row}
LIBRARIES = {
    "cli": {"rich", "typer"},
    "api": {"numpy", "pandas"},
    "workflows": {"numpy", "pandas"},
    "compiled": {"llvmlite", "numba", "numpy", "threadpoolctl"},
    "explain": {"numpy"},
    "report": {"jinja2", "matplotlib", "numpy"},
    "export": {"numpy"},
    "storage": {"filelock", "numpy"},
    "model": {"numpy"},
    "config": {"pydantic", "pydantic_core", "yaml"},
    "training": {"numpy", "threadpoolctl"},
    "data": {"backports", "charset_normalizer", "numpy", "orjson", "pandas", "pyarrow", "python_calamine"},
    "nn": {"numpy"},
    "evaluation": {"numpy"},
    "aliases": set(),
    "errors": set(),
    "options": set(),
    "machine": set(),
    "messages": set(),
    "probabilities": {"numpy"},
    "watching": set(),
    "__main__": set(),
    "__init__": set(),
}
MOST_LINES = 300
MOST_LINES_OF_A_FUNCTION = 60
EXPORTED_PROGRAM = PACKAGE / "export" / "standalone" / "predictor.py"  # what it prints is for its own user
LONG = {"nn/layers.py"}  # every layer that stands anywhere, side by side


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def part_of(path: Path) -> str:
    """The package or module right below mlpcli."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def imported(node: ast.AST) -> list[str]:
    """Full names of the modules that a node imports; `from a import b` counts as a.b where that is a module."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert not node.level, "relative import"
        names = [f"{node.module}.{alias.name}" for alias in node.names]
        return [name if name in MODULES else str(node.module) for name in names]
    return []


MODULES = {module_name(path) for path in FILES}
IDS = [str(path.relative_to(PACKAGE)) for path in FILES]
every_file = pytest.mark.parametrize("path", FILES, ids=IDS)


def imports_of(path: Path) -> set[str]:
    return {name for node in ast.walk(tree_of(path)) for name in imported(node)}


def test_every_part_of_the_package_has_its_place():
    parts = {part_of(path) for path in FILES} - {"__init__"}
    assert parts <= set(LEVELS)
    assert parts <= set(LIBRARIES)


@every_file
def test_imports_only_go_down(path):
    here = part_of(path)
    for name in imports_of(path):
        if not name.startswith("mlpcli.") or here == "__init__":
            continue
        there = name.split(".")[1]
        if there == here:
            continue
        assert LEVELS[there] < LEVELS[here], f"{here} imports {name}"


def test_no_two_modules_import_each_other_not_even_by_a_detour():
    graph = {module_name(path): {name for name in imports_of(path) if name in MODULES} for path in FILES}
    graph["mlpcli"] = set()  # imports what it offers when that is asked for
    TopologicalSorter(graph).prepare()  # raises CycleError


def test_what_prepares_a_training_knows_nothing_of_its_course():
    for path in (PACKAGE / "workflows" / "preparing").glob("*.py"):
        assert not [name for name in imports_of(path) if name.startswith("mlpcli.workflows.training")], path


@every_file
def test_each_part_uses_its_libraries_and_no_other(path):
    allowed = {"mlpcli", *sys.stdlib_module_names, *LIBRARIES[part_of(path)]}
    assert {name.split(".")[0] for name in imports_of(path)} <= allowed


@every_file
def test_imports_stand_at_the_top_but_for_verbs_and_what_the_package_offers(path):
    """A verb imports its workflow when it is called: `mlp --help` must not pay for NumPy and pandas."""
    for function in ast.walk(tree_of(path)):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        inside = [name for node in ast.walk(function) for name in imported(node)]
        if inside:
            where = path.relative_to(PACKAGE)
            assert (str(where), function.name) in LAZY, f"{where}: {function.name} imports {inside}"


VERBS = (
    *("init", "check", "train", "predict", "evaluate", "compare", "explain", "export"),
    *("inspect", "diff", "runs", "plot", "repro", "schema"),
)
LAZY = {
    ("__init__.py", "__getattr__"),
    ("__main__.py", "main"),
    *((f"cli/verbs/{verb}.py", verb) for verb in VERBS),
    *(("cli/verbs/check.py", name) for name in ("document", "_shown")),
    ("cli/verbs/inspect.py", "_treatment"),
    ("cli/verbs/explain.py", "_change"),
    ("cli/terminal.py", "_console"),
    ("cli/terminal.py", "coloured"),
    ("cli/live_curves.py", "drawn"),
    ("cli/bars.py", "draw"),
    *(("cli/verbs/train.py", name) for name in ("document", "as_json", "refuse_failed", "next_commands")),
    ("storage/lock.py", "acquire"),
    ("storage/lock.py", "_knows_locks"),
    ("workflows/engines.py", "noting_compilation"),
    ("workflows/engines.py", "load_engine"),
    ("workflows/engines.py", "trainer_maker"),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_is_thin(verb):
    path = PACKAGE / "cli" / "verbs" / f"{verb}.py"
    function = next(node for node in tree_of(path).body if isinstance(node, ast.FunctionDef) and node.name == verb)
    assert (function.end_lineno or 0) - function.body[0].lineno <= 30
    called = {name for node in ast.walk(function) for name in imported(node)}
    workflows = {name for name in called if name.startswith("mlpcli.workflows.")}
    # With a time budget `init` trains a little, which needs all that plain `init` is spared.
    more = {"mlpcli.workflows.training.time_budget"} if verb == "init" else set()
    assert workflows == {f"mlpcli.workflows.{verb}"} | more


@every_file
def test_a_file_is_at_most_300_lines(path):
    if str(path.relative_to(PACKAGE)) not in LONG:
        assert len(path.read_text("utf-8").splitlines()) <= MOST_LINES


@every_file
def test_a_function_is_at_most_60_lines(path):
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            n_lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert n_lines <= MOST_LINES_OF_A_FUNCTION, f"{path.name}: {node.name} has {n_lines} lines"


@every_file
def test_only_the_command_line_prints(path):
    calls = [node.func for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call)]
    names = {func.id for func in calls if isinstance(func, ast.Name)}
    assert not {"print", "input", "breakpoint", "eval", "exec"} & names
    attributes = {ast.unparse(node) for node in ast.walk(tree_of(path)) if isinstance(node, ast.Attribute)}
    if part_of(path) != "cli" and path != EXPORTED_PROGRAM:
        assert not {"sys.stderr", "sys.exit"} & attributes


@every_file
def test_nothing_is_ever_unpickled(path):
    assert not {"pickle", "marshal", "shelve", "joblib", "dill"} & {name.split(".")[0] for name in imports_of(path)}
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            assert ast.unparse(node.value) == "False"


@every_file
def test_a_module_says_what_it_is_for(path):
    assert ast.get_docstring(tree_of(path))


def test_a_name_says_what_a_module_holds():
    vague = {"utils", "util", "helpers", "helper", "common", "base", "core", "misc", "tools"}
    assert not {path.stem for path in FILES} & vague
