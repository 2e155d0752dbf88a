"""`mlp init`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlpcli.cli.completion import complete_recipe, complete_setting, complete_task
from mlpcli.cli.options import Delimiter, Encoding, Json, Quiet, parse_number
from mlpcli.cli.usage_errors import refuse_config
from mlpcli.messages import format_count, format_duration, format_list

if TYPE_CHECKING:
    from mlpcli.cli.rendering.terminal import Screen
    from mlpcli.data.schema.profile import ColumnProfile
    from mlpcli.data.table import TableFormat
    from mlpcli.workflows.init import Starter

KINDS = ("number", "code", "category", "boolean", "date")
MOST_CLASSES = 10
RecipeName = Annotated[
    str,
    typer.Option(
        "--recipe",
        metavar="NAME",
        help="strong, fast (seconds), best (ten times as long as strong) or textbook (sigmoids, plain SGD).",
        autocompletion=complete_recipe,
    ),
]
TaskName = Annotated[
    str,
    typer.Option(
        "--task",
        metavar="NAME",
        help="classification, regression or multilabel; auto infers it from the target.",
        autocompletion=complete_task,
    ),
]
LABEL = 13  # width of `  number     `


def init(
    data: Annotated[str, typer.Argument(metavar="DATA", help="Table to train on: CSV, JSON Lines, Parquet, Excel.")],
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target", "-t", metavar="COLUMN", help="Column to predict; repeatable; default: the last column."
        ),
    ] = None,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Output file; - is standard output.")
    ] = "-",
    recipe: RecipeName = "strong",
    task: TaskName = "auto",
    time_budget: Annotated[
        str | None,
        typer.Option("--time-budget", metavar="SECONDS", help="Use the strongest recipe that trains within this time."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Set how the file is read: data.header, missing, comment, skip_rows or sheet; repeatable.",
            autocompletion=complete_setting,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Write a commented config for a table, with every choice visible.

    Example: mlp init data/penguins.csv --target species -o penguins.yaml
    """
    from mlpcli.cli.progress.bars import show_progress
    from mlpcli.cli.rendering.terminal import Screen
    from mlpcli.config.recipes.sizes import RECIPES
    from mlpcli.data.schema.task import TASKS
    from mlpcli.errors import MlpError, did_you_mean
    from mlpcli.workflows.init import init as run_init
    from mlpcli.workflows.init import write_config

    refuse_config(data, "a table")
    if recipe not in RECIPES:
        raise MlpError(f"--recipe {recipe}: must be one of {', '.join(RECIPES)}.{did_you_mean(recipe, RECIPES)}")
    if task not in TASKS:
        raise MlpError(f"--task {task}: must be one of {', '.join(TASKS)}.{did_you_mean(task, TASKS)}")
    screen = Screen(quiet)
    with show_progress(screen):
        starter = run_init(data, tuple(target or ()), delimiter, encoding, recipe, task, output, _format(settings))
    if time_budget is not None:
        from mlpcli.workflows.training.estimates.time_budget import fit_time_budget

        starter = fit_time_budget(starter, parse_number("--time-budget", time_budget, above=0.0))
    if output != "-":
        write_config(starter, output, force)
    print_summary(screen, starter, output)
    if json:
        screen.json(as_json(starter, output))
    elif output == "-":
        typer.echo(starter.text, nl=False)


def _format(settings: list[str] | None) -> "TableFormat":
    """The format of the file; what reads configs is imported only if there are settings."""
    from mlpcli.data.reading.read import DETECTED

    if not settings:
        return DETECTED
    from mlpcli.workflows.starter.file_format import format_from

    return format_from(settings)


def as_json(starter: "Starter", output: str) -> dict[str, Any]:
    """The profile of the table, the choices, and the text of the config."""
    columns = [
        {
            **{"name": profile.name, "role": profile.role, "kind": profile.kind},
            **{"distinct": profile.n_distinct, "missing": profile.n_missing},
            **{"dropped": profile.drop_reason or None, "note": profile.note or None, "fault": profile.fault or None},
        }
        for profile in starter.profiles
    ]
    return {
        "output": None if output == "-" else output,
        "rows": starter.table.n_rows,
        "target": starter.targets,
        "is_target_guessed": starter.is_target_guessed,
        "task": starter.task,
        "task_reason": starter.task_reason,
        "classes": starter.class_counts,
        "columns": columns,
        "group": starter.data.summary.group or None,
        "recipe": starter.recipe,
        "seconds": starter.seconds,
        "notes": starter.notes,
        "config": starter.text,
    }


def print_summary(screen: "Screen", starter: "Starter", output: str) -> None:
    """Print rows, target, columns by role, dropped columns with reasons, and the next command."""
    for note in starter.notes:
        screen.warn(note)
    n_rows, n_columns = starter.table.n_rows, len(starter.table.columns)
    guessed = " (the last column; to choose another: --target)" if starter.is_target_guessed else ""
    shape = f"{format_count(n_rows, 'row')}, {format_count(n_columns, 'column')}"
    screen.info(f"{shape}. Target {format_list(starter.targets)}{guessed}: {_target(starter)}.")
    for kind in KINDS:
        columns = [profile for profile in starter.profiles if profile.kind == kind and not profile.drop_reason]
        if columns:
            remark = "   (integers, read as numeric)" if kind == "code" else ""
            screen.info(
                f"  {kind:<11}{format_list([_described(profile) for profile in columns], 12)}{remark}", " " * LABEL
            )
    for reason, names in _dropped(starter).items():
        screen.info(f"  {'dropped':<11}{format_list(names, 12)}: {reason}", " " * LABEL)
    if starter.seconds is not None:
        members = f", {format_count(starter.recipe.members, 'member')}" if starter.recipe.members > 1 else ""
        about = f"about {format_duration(starter.seconds)} of training, reading included"
        screen.info(f"Recipe {starter.recipe.name}{members}, {format_count(starter.recipe.epochs, 'epoch')}: {about}.")
        if starter.budget is not None and starter.seconds > starter.budget:
            screen.warn(f"one epoch takes longer than {format_duration(starter.budget)}: training will stop within it.")
    if output != "-":
        faults = any(profile.fault and not profile.drop_reason for profile in starter.profiles)
        first = "resolve the notes, then " if faults else ""
        screen.info(f"Wrote {output}. Next: {first}mlp train {output}")


def _dropped(starter: "Starter") -> dict[str, list[str]]:
    """The dropped columns by reason."""
    by_reason: dict[str, list[str]] = {}
    for profile in starter.profiles:
        if profile.drop_reason:
            by_reason.setdefault(profile.drop_reason, []).append(profile.name)
    return by_reason


def _target(starter: "Starter") -> str:
    if starter.task == "classification":
        shown = [f"{label} {n}" for label, n in list(starter.class_counts.items())[:MOST_CLASSES]]
        more = ", ..." if len(starter.class_counts) > MOST_CLASSES else ""
        codes = f"; {_reason(starter)}" if "integers" in starter.task_reason else ""
        return f"{len(starter.class_counts)} classes ({', '.join(shown)}{more}){codes}"
    return f"{starter.task} ({_reason(starter)})"


def _reason(starter: "Starter") -> str:
    """The reason for the task, without the name of the target."""
    return starter.task_reason.removeprefix(f"{', '.join(starter.targets)}: ")


def _described(profile: "ColumnProfile") -> str:
    counts = [str(profile.n_distinct)] if profile.role == "category" else []
    counts += [f"{profile.n_missing} missing"] if profile.n_missing else []
    return f"{profile.name} ({', '.join(counts)})" if counts else profile.name
