"""The plan of the house, read from the source: imports go down, each part has its libraries, files stay short."""

import ast
import sys
from collections.abc import Callable
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.program import ROOT

PACKAGE = ROOT / "mlpcli"
FILES = sorted(PACKAGE.rglob("*.py"))

# From the top down; names on one row never import each other.
ROWS = (
    ("__main__", "estimators"),
    ("api",),
    ("cli",),
    ("workflows",),
    ("compiled", "storage", "explain", "doctor", "export", "report", "search", "cluster", "tracking"),
    ("model", "config", "training"),
    ("data", "nn", "evaluation"),
    ("errors", "options", "machine", "fork_server", "messages", "aliases", "progress", "probabilities"),
)
LEVELS = {name: level for level, row in enumerate(reversed(ROWS)) for name in row}
LIBRARIES = {
    "cli": {"rich", "typer"},
    "api": {"numpy", "pandas"},
    "estimators": {"numpy", "pandas", "sklearn"},
    "workflows": {"numpy", "pandas"},
    "compiled": {"llvmlite", "numba", "numpy", "threadpoolctl"},
    "doctor": {"numpy"},
    "tracking": {"mlflow", "tensorboardX"},
    "explain": {"numpy"},
    "report": {"jinja2", "matplotlib", "numpy"},
    "export": {"numpy"},
    "search": {"numpy", "optuna"},
    "cluster": {"dask", "distributed"},
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
    "fork_server": set(),
    "messages": set(),
    "probabilities": {"numpy"},
    "progress": set(),
    "__main__": set(),
    "__init__": set(),
}
MOST_LINES = 300
MOST_LINES_OF_A_FUNCTION = 50  # below its signature and its docstring: those of a verb are its options and its help
EXPORTED_PROGRAM = PACKAGE / "export" / "python" / "standalone" / "predictor.py"  # what it prints is for its own user
LONG = {
    "api.py",  # all that a caller from Python sees
    "nn/layers.py",  # every layer that stands anywhere, side by side
    "cli/reference.py",  # the text of the page, verb by verb
}


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


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(tree_of(path)))


@cache
def imports_of(path: Path) -> frozenset[str]:
    return frozenset(name for node in nodes_of(path) for name in imported(node))


def offenders(fault_of: Callable[[Path], object]) -> dict[str, object]:
    """What `fault_of` finds wrong, by file; a rule is kept where that is nothing."""
    found = {str(path.relative_to(PACKAGE)): fault_of(path) for path in FILES}
    return {name: fault for name, fault in found.items() if fault}


def test_every_part_of_the_package_has_its_place():
    parts = {part_of(path) for path in FILES} - {"__init__"}
    assert parts <= set(LEVELS)
    assert parts <= set(LIBRARIES)


def test_imports_only_go_down():
    def go_up(path):
        here = part_of(path)
        ours = [name for name in imports_of(path) if name.startswith("mlpcli.") and here != "__init__"]
        there = {name: name.split(".")[1] for name in ours}
        return [name for name in ours if there[name] != here and LEVELS[there[name]] >= LEVELS[here]]

    assert offenders(go_up) == {}


def test_no_two_modules_import_each_other_not_even_by_a_detour():
    graph = {module_name(path): {name for name in imports_of(path) if name in MODULES} for path in FILES}
    graph["mlpcli"] = set()  # imports what it offers when that is asked for
    TopologicalSorter(graph).prepare()  # raises CycleError


def test_what_prepares_a_training_knows_nothing_of_its_course():
    for path in (PACKAGE / "workflows" / "preparing").glob("*.py"):
        assert not [name for name in imports_of(path) if name.startswith("mlpcli.workflows.training")], path


def test_each_part_uses_its_libraries_and_no_other():
    def foreign(path):
        allowed = {"mlpcli", *sys.stdlib_module_names, *LIBRARIES[part_of(path)]}
        return {name.split(".")[0] for name in imports_of(path)} - allowed

    assert offenders(foreign) == {}


def test_imports_stand_at_the_top_but_for_verbs_and_what_the_package_offers():
    """A verb imports its workflow when it is called: `mlp --help` must not pay for NumPy and pandas."""

    def inside_of(path):
        functions = [node for node in nodes_of(path) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        importing = {function.name for function in functions if any(imported(node) for node in ast.walk(function))}
        return {name for name in importing if (str(path.relative_to(PACKAGE)), name) not in LAZY}

    assert offenders(inside_of) == {}


VERBS = (
    *("init", "check", "train", "predict", "evaluate", "compare", "cv", "split", "explain", "export"),
    *("inspect", "diff", "runs", "plot", "report", "doctor", "repro", "schema", "search"),
)
LAZY = {
    ("__init__.py", "__getattr__"),
    ("__main__.py", "main"),
    *((f"cli/verbs/{verb}.py", verb) for verb in VERBS),
    *(("cli/verbs/check.py", name) for name in ("document", "_validate_configs", "_shown")),
    ("cli/verbs/cv.py", "document"),
    ("cli/verbs/init.py", "_format"),
    ("cli/cluster_options.py", "cluster_at"),
    ("workflows/predicting/on_cluster.py", "gather_from_cluster"),
    ("workflows/scoring/on_cluster.py", "read_on_cluster"),
    ("workflows/cross_validation/on_cluster.py", "train_on_cluster"),
    ("workflows/search.py", "_run_on_cluster"),
    ("workflows/sharded/table.py", "table_on_cluster"),
    ("cli/verbs/inspect.py", "_treatment"),
    *(("cli/completion.py", f"complete_{name}") for name in ("setting", "metric", "recipe", "task")),
    ("cli/rendering/terminal.py", "_console"),
    ("cli/rendering/terminal.py", "coloured"),
    ("cli/progress/live_curves.py", "drawn"),
    ("cli/progress/bars.py", "draw"),
    *(("cli/verbs/train.py", name) for name in ("document", "as_json", "refuse_failed", "next_commands")),
    ("storage/run/lock.py", "acquire"),
    ("storage/run/lock.py", "_supports_locks"),
    *(("workflows/init.py", f"_with_{name}_trial") for name in ("target", "frequency")),
    ("workflows/training/engines.py", "noting_compilation"),
    ("workflows/training/engines.py", "load_engine"),
    ("workflows/training/engines.py", "trainer_maker"),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_is_thin(verb):
    path = PACKAGE / "cli" / "verbs" / f"{verb}.py"
    function = next(node for node in tree_of(path).body if isinstance(node, ast.FunctionDef) and node.name == verb)
    assert (function.end_lineno or 0) - function.body[0].lineno <= 30
    called = {name for node in ast.walk(function) for name in imported(node)}
    workflows = {name for name in called if name.startswith("mlpcli.workflows.")}
    # With a time budget `init` trains a little, which needs all that plain `init` is spared.
    further = {"init": "training.estimates.time_budget", "predict": "predicting.chunks"}
    more = {f"mlpcli.workflows.{further[verb]}"} if verb in further else set()
    assert workflows == {f"mlpcli.workflows.{verb}"} | more


def test_a_file_is_at_most_300_lines():
    def length(path):
        n_lines = len(path.read_text("utf-8").splitlines())
        return n_lines if n_lines > MOST_LINES else 0

    assert set(offenders(length)) == LONG


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = function.body[1 if ast.get_docstring(function) and len(function.body) > 1 else 0 :]
    return (function.end_lineno or 0) - body[0].lineno + 1


def test_a_function_is_at_most_50_lines():
    def long_functions(path):
        functions = [node for node in nodes_of(path) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        return {node.name for node in functions if body_lines(node) > MOST_LINES_OF_A_FUNCTION}

    assert offenders(long_functions) == {}


def test_only_the_command_line_prints():
    def printing(path):
        calls = [node.func for node in nodes_of(path) if isinstance(node, ast.Call)]
        names = {func.id for func in calls if isinstance(func, ast.Name)}
        found = {"print", "input", "breakpoint", "eval", "exec"} & names
        attributes = [node for node in nodes_of(path) if isinstance(node, ast.Attribute) and node.attr in STREAMS]
        is_free = part_of(path) == "cli" or path == EXPORTED_PROGRAM
        return found | (set() if is_free else {ast.unparse(node) for node in attributes} & SYSTEM)

    assert offenders(printing) == {}


STREAMS = {"stderr", "exit"}
SYSTEM = {f"sys.{name}" for name in STREAMS}


def test_nothing_is_ever_unpickled():
    def unpickling(path):
        picklers = {"pickle", "marshal", "shelve", "joblib", "dill"} & {n.split(".")[0] for n in imports_of(path)}
        allowed = [node for node in nodes_of(path) if isinstance(node, ast.keyword) and node.arg == "allow_pickle"]
        return picklers | {ast.unparse(node.value) for node in allowed} - {"False"}

    assert offenders(unpickling) == {}


def test_a_module_says_what_it_is_for():
    assert offenders(lambda path: not ast.get_docstring(tree_of(path))) == {}


def test_a_name_says_what_a_module_holds():
    vague = {"utils", "util", "helpers", "helper", "common", "base", "core", "misc", "tools"}
    assert not {path.stem for path in FILES} & vague
