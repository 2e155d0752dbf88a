"""`mlp diff`."""

from typing import Annotated

import typer

from mlpcli.cli.options import Json


def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help="Model file; alone, it is written out as text.")],
    new: Annotated[str | None, typer.Argument(metavar="NEW", help="Model file to compare with.")] = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="End with 1 if the models differ.")] = False,
    json: Json = False,
) -> None:
    """Show where two model files differ: config, data, columns, scores, versions, and how far each layer moved.

    Example: mlp diff old.npz runs/penguins/weights.npz
    """
    from mlpcli.cli.terminal import Screen
    from mlpcli.cli.verbs.diff_view import diff_json, diff_summary, refuse_different
    from mlpcli.workflows.diff import diff as run_diff
    from mlpcli.workflows.diff import text_of

    screen = Screen(is_quiet=False)
    if new is None:
        lines = list(text_of(old))
        if json:
            screen.json(dict(line.split(": ", 1) for line in lines))
        else:
            for line in lines:
                screen.answer(line)
        return
    result = run_diff(old, new)
    if json:
        screen.json(diff_json(result))
    else:
        diff_summary(screen, result)
    if exit_code:
        refuse_different(result)
