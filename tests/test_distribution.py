"""What carries the program into other tools: the action, the hooks, the container, the conda recipe."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from contextlib import suppress

import pytest
import yaml

import mlpcli
from tests.program import ROOT
from tests.test_docs import DOCS, blocks_of

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
ACTION = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
HOOKS = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))}
RECIPE = yaml.safe_load((ROOT / "recipe" / "recipe.yaml").read_text("utf-8"))
CONTAINER = [line.split() for line in (ROOT / "Containerfile").read_text("utf-8").splitlines() if line[:1].isupper()]
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"] if "name" in step}
EXAMPLES = [yaml.safe_load(block.text) for block in blocks_of(DOCS / "packaging.md") if block.language == "yaml"]
needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
GOOD = "data: {train: t.csv, target: y}\n"


@pytest.fixture
def environment(folder):
    """Variables with which a shell finds `mlp`, in a folder with the data and the configs."""
    for name in ("data", "configs"):
        shutil.copytree(ROOT / name, folder / name)
    program = folder / "bin" / "mlp"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mlpcli "$@"\n')
    program.chmod(0o755)
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "GITHUB_OUTPUT": str(folder / "outputs")}


@pytest.fixture
def act(folder, environment):
    """Runs the steps of the action as GitHub does, with what a workflow gives it; returns the exit code."""

    def run(**given):
        inputs = {name: one.get("default", "") for name, one in ACTION["inputs"].items()} | given
        for name in ("Check", "Train", "Judge"):
            step = STEPS[name]
            if step.get("if") == "inputs.test != ''" and not inputs["test"]:
                continue
            values = {
                key: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda found: inputs[found[1]], text)
                for key, text in step["env"].items()
            }
            command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
            ended = subprocess.run(
                command, cwd=folder, env=environment | values, capture_output=True, timeout=120, check=False
            )
            if ended.returncode:
                return ended.returncode
        return 0

    return run


@needs_bash
def test_the_action_checks_trains_and_judges_as_in_its_example(folder, act):
    (step,) = [step for step in EXAMPLES[0]["steps"] if "mlpcli" in step["uses"]]
    assert step["with"].keys() <= ACTION["inputs"].keys()
    assert act(**step["with"]) == 0
    outputs = dict(line.split("=") for line in (folder / "outputs").read_text().splitlines())
    assert outputs.keys() == ACTION["outputs"].keys()
    assert (folder / outputs["weights"]).is_file()
    verdict = json.loads((folder / outputs["verdict"]).read_text())
    assert verdict["passed"] is True
    assert len(verdict["gates"]) == 3


@needs_bash
def test_the_action_ends_with_the_exit_code_of_what_is_wrong(act):
    config = "configs/penguins.yaml"
    missed = {"test": "data/penguins.csv", "min": "accuracy=0.5\n\naccuracy=0.999\n"}
    assert act(config=config, set="training.epochs=1", **missed) == 1
    assert act(config=config, set="training.epochs=0") == 2


@needs_bash
@pytest.mark.parametrize(
    "text", ["$(touch hacked)", "; touch hacked", "`touch hacked`", '"; touch hacked; "', "--help"]
)
def test_every_input_of_the_action_is_one_argument_and_never_a_command_or_an_option(folder, act, text):
    # A program that notes its arguments stands in for the real one.
    (folder / "bin" / "mlp").write_text("#!/bin/sh\nfor one; do printf '%s\\n' \"$one\" >> arguments; done\n")
    (folder / "runs" / "model").mkdir(parents=True)
    assert act(config=text, set=text, test=text, min=text, max=text) == 0
    arguments = (folder / "arguments").read_text().splitlines()
    assert arguments.count(text) == 7
    places = [number for number, one in enumerate(arguments) if one == text]
    assert {arguments[number - 1] for number in places} == {"--", "--set", "--min", "--max", "runs/model/weights.npz"}
    assert not (folder / "hacked").exists()


def test_inputs_reach_the_shell_of_the_action_as_variables_alone():
    assert not [name for name, step in STEPS.items() if "${{" in step["run"]]
    used = set(re.findall(r"inputs\.([\w-]+)", (ROOT / "action.yml").read_text("utf-8")))
    assert used == set(ACTION["inputs"])


def test_the_action_and_the_hooks_are_what_their_tools_read():
    pytest.importorskip("check_jsonschema", reason="check-jsonschema is not installed")
    pytest.importorskip("pre_commit", reason="pre-commit is not installed")
    for command in (
        ["check_jsonschema", "--builtin-schema", "vendor.github-actions", "action.yml"],
        ["check_jsonschema", "--builtin-schema", "vendor.github-workflows", ".github/workflows/ci.yml"],
        ["pre_commit", "validate-manifest", ".pre-commit-hooks.yaml"],
    ):
        ended = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr


@needs_bash
def test_the_hook_takes_every_config_that_is_committed_and_names_each_fault(folder, environment):
    configs = sorted(f"configs/{path.name}" for path in (folder / "configs").glob("*.yaml"))
    assert all(re.search(HOOKS["mlp-check"]["files"], path) for path in configs)
    (folder / "one.yaml").write_text(GOOD + "training: {lr: 1}\n")
    (folder / "two.yaml").write_text(GOOD + "model: {layers: 3}\n")

    def hook(name, *arguments):
        command = [*shlex.split(HOOKS[name]["entry"]), *arguments]
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)

    shutil.rmtree(folder / "data")
    assert hook("mlp-check", *configs).returncode == 0
    ended = hook("mlp-check", configs[0], "one.yaml", "two.yaml")
    assert ended.returncode == 2
    assert [line.partition(":")[0] for line in ended.stderr.splitlines()] == ["one.yaml", "two.yaml"]
    assert hook("mlp-check-data", configs[0]).returncode == 2, "the table is gone"
    shutil.copytree(ROOT / "data", folder / "data")
    assert hook("mlp-check-data", configs[0]).returncode == 0


def test_the_hooks_of_the_example_are_there():
    (repo,) = EXAMPLES[1]["repos"]
    assert {hook["id"] for hook in repo["hooks"]} == set(HOOKS)


def test_the_container_is_small_and_its_user_is_not_root():
    stages = [number for number, words in enumerate(CONTAINER) if words[0] == "FROM"]
    assert len(stages) == 2, "what builds stays behind"
    assert all(words[1].endswith("-slim") for words in CONTAINER if words[0] == "FROM")
    last = {words[0]: words[1:] for words in CONTAINER[stages[-1] :]}
    assert int(last["USER"][0]) > 0
    assert json.loads(" ".join(last["ENTRYPOINT"])) == ["mlp"]


def test_the_container_is_given_what_the_build_needs_and_nothing_else():
    copied = [path for words in CONTAINER if words[0] == "COPY" and "--from=build" not in words for path in words[1:-1]]
    needed = {"mlpcli", "pyproject.toml", PROJECT["project"]["readme"], *PROJECT["project"]["license-files"]}
    needed |= PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-data"].keys()
    assert set(copied) == needed
    first, *lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert first == "**"
    assert {line[1:] for line in lines if line.startswith("!")} == needed


def container_tool():
    """docker or podman with an engine that answers and the base image of the Containerfile; else the reason."""
    image = next(words[1] for words in CONTAINER if words[0] == "FROM")
    for tool in filter(shutil.which, ("podman", "docker")):
        with suppress(subprocess.TimeoutExpired):
            if not subprocess.run([tool, "info"], capture_output=True, timeout=20, check=False).returncode:
                found = subprocess.run([tool, "image", "inspect", image], capture_output=True, timeout=20, check=False)
                return (tool, "") if not found.returncode else ("", f"{tool} has no image {image}")
    return "", "no engine of containers answers"


def test_the_container_is_built_and_its_program_trains(folder):
    tool, reason = container_tool()
    if not tool:
        pytest.skip(reason)
    build = [tool, "build", "-q", "-f", "Containerfile", "-t", "mlp-of-the-tests", "."]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=280)
    for name in ("data", "configs"):
        shutil.copytree(ROOT / name, folder / name)
    user = ["--user", str(os.getuid()), "-v", f"{folder}:/work"]
    train = ["train", "configs/iris.yaml", "--set", "training.epochs=2", "--quiet"]
    subprocess.run([tool, "run", "--rm", *user, "mlp-of-the-tests", *train], check=True, timeout=120)
    assert (folder / "runs" / "iris" / "weights.npz").is_file()


def test_the_recipe_needs_what_the_project_needs():
    def plain(name):
        return re.sub(r"[\s_]", "", name.replace("_", "-")).lower()

    assert RECIPE["context"]["version"] == mlpcli.__version__
    assert f">={RECIPE['context']['python_min']}" == PROJECT["project"]["requires-python"]
    run = {plain(one) for one in RECIPE["requirements"]["run"] if not one.startswith("python ")}
    assert run == {plain(one) for one in PROJECT["project"]["dependencies"]}
    host = {plain(one) for one in RECIPE["requirements"]["host"]} - {"pip"}
    assert {plain(one) for one in PROJECT["build-system"]["requires"]} <= host
    (entry,) = RECIPE["build"]["python"]["entry_points"]
    assert entry.replace(" ", "").split("=") == ["mlp", PROJECT["project"]["scripts"]["mlp"]]
    assert RECIPE["about"]["summary"] == PROJECT["project"]["description"]
    assert RECIPE["about"]["license"] == PROJECT["project"]["license"]


def test_the_recipe_renders():
    rattler = pytest.importorskip("rattler_build", reason="py-rattler-build is not installed")
    recipe = rattler.Stage0Recipe.from_file(str(ROOT / "recipe" / "recipe.yaml"))
    (variant,) = recipe.render(rattler.VariantConfig())
    assert (variant.recipe.package.name, str(variant.recipe.package.version)) == ("mlp-train", mlpcli.__version__)
    assert "pandas >=2.2.2" in [str(one) for one in variant.recipe.requirements.run]


def test_the_files_that_the_package_is_tested_with_are_there():
    (test,) = [test for test in RECIPE["tests"] if "script" in test]
    named = {word for command in test["script"] for word in command.split() if "/" in word and "runs" not in word}
    assert named == set(test["files"]["source"])
    assert all((ROOT / name).is_file() for name in named)
