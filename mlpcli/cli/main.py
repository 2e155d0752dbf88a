"""The program `mlp`: its verbs, error handling and exit codes.

Exit codes: 0 done, 1 a gate failed, 2 invalid input, 3 the training diverged, 130 and 143 interrupted, 141 the reader
of the output closed the pipe, 70 a bug in mlpcli, the only case with a traceback.
"""

import atexit
import errno
import gc
import os
import sys
import traceback
from typing import Annotated, NoReturn

import typer

from mlpcli import __version__
from mlpcli.cli.commands import Program, TextVerb, Verb
from mlpcli.cli.completion import COMPLETE_VARIABLE, join_setting
from mlpcli.cli.job_log import LOG
from mlpcli.cli.rendering.terminal import width_of
from mlpcli.cli.signals import Signals
from mlpcli.cli.usage_errors import usage_message
from mlpcli.cli.verbs.check import check
from mlpcli.cli.verbs.compare import compare
from mlpcli.cli.verbs.cv import cv
from mlpcli.cli.verbs.diff import diff
from mlpcli.cli.verbs.doctor import doctor
from mlpcli.cli.verbs.evaluate import evaluate
from mlpcli.cli.verbs.explain import explain
from mlpcli.cli.verbs.export import export
from mlpcli.cli.verbs.help import show_help
from mlpcli.cli.verbs.init import init
from mlpcli.cli.verbs.inspect import inspect
from mlpcli.cli.verbs.plot import plot
from mlpcli.cli.verbs.predict import predict
from mlpcli.cli.verbs.report import report
from mlpcli.cli.verbs.repro import repro
from mlpcli.cli.verbs.runs import runs
from mlpcli.cli.verbs.schema import schema
from mlpcli.cli.verbs.search import search
from mlpcli.cli.verbs.split import split
from mlpcli.cli.verbs.train import train
from mlpcli.errors import MlpError
from mlpcli.messages import escape_controls, shorten_words, wrap_text

BUG = 70
INTERRUPTED = 130
CLOSED_PIPE = 141

# Allocations between two runs of the garbage collector; Python's default is 700 or 2000.
GARBAGE_THRESHOLD = 200_000

# How long a thread of OpenBLAS spins before it sleeps, as log2 of cycles: half a millisecond instead of a tenth of a
# second, during which every start would keep a second core busy.
BLAS_SPIN_TIME = "20"

# Errors of a full disk behind `> file`.
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

signals = Signals()
app = typer.Typer(
    name="mlp",
    cls=Program,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("init", cls=TextVerb)(init)
app.command("check", cls=Verb)(check)
app.command("split", cls=TextVerb)(split)
app.command("train", cls=Verb)(train)
app.command("cv", cls=Verb)(cv)
app.command("search", cls=TextVerb)(search)
app.command("predict", cls=TextVerb)(predict)
app.command("eval", cls=TextVerb)(evaluate)
app.command("compare", cls=TextVerb)(compare)
app.command("report", cls=TextVerb)(report)
app.command("explain", cls=TextVerb)(explain)
app.command("export", cls=TextVerb)(export)
app.command("inspect", cls=TextVerb)(inspect)
app.command("diff", cls=TextVerb)(diff)
app.command("doctor", cls=TextVerb)(doctor)
app.command("runs", cls=TextVerb)(runs)
app.command("plot", cls=Verb)(plot)
app.command("repro", cls=TextVerb)(repro)
app.command("schema", cls=TextVerb)(schema)
app.command("help", cls=Verb)(show_help)


def _show_version(is_requested: bool) -> None:
    if is_requested:
        typer.echo(f"mlp {__version__}")
        raise typer.Exit


@app.callback(epilog="Start with: mlp init DATA.csv --target COLUMN -o config.yaml")
def mlp(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Train, evaluate and apply multi-layer perceptrons on tabular data."""


def main() -> NoReturn:
    """Run the program and end the process with its exit code."""
    # Imports create 120 to 150 thousand permanent objects: garbage collection during the imports and at exit takes a
    # fifth of the time of a small job.
    gc.set_threshold(GARBAGE_THRESHOLD)
    atexit.register(gc.freeze)
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", BLAS_SPIN_TIME)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the parent process (`>&-`)
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        else:
            stream.reconfigure(errors="backslashreplace")
    if COMPLETE_VARIABLE in os.environ:
        join_setting(os.environ)
    signals.listen()
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run the program; returns the exit code, which is also logged."""
    code = _run(arguments)
    LOG.end(code)
    return code


def _run(arguments: list[str]) -> int:
    try:
        # In non-standalone mode Typer raises usage errors, which are then formatted like all others.
        code = app(arguments or ["--help"], prog_name="mlp", standalone_mode=False)
        if code == INTERRUPTED:  # Typer turns KeyboardInterrupt into this exit code, without a message
            return _interrupted()
        sys.stdout.flush()
        if not arguments:
            return MlpError.exit_code
        return code if isinstance(code, int) else 0
    except MlpError as error:
        _print_error(str(error))
        return error.exit_code
    except BrokenPipeError:
        return _discard_output(CLOSED_PIPE)
    except SystemExit as ending:
        # Typer and rich exit with 1 when a pipe closes, which would look like a failed gate.
        if isinstance(ending.__context__, BrokenPipeError):
            return _discard_output(CLOSED_PIPE)
        raise
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted()
    except MemoryError:
        _print_error("not enough memory for this data. Use fewer rows or columns (data.features), or a larger machine.")
        return MlpError.exit_code
    except Exception as error:  # a bug must never look like a failed gate
        return _handle_error(error, arguments)


def _handle_error(error: Exception, arguments: list[str]) -> int:
    """Report an error that is not an `MlpError`; returns the exit code."""
    if signals.exit_code:  # some libraries wrap KeyboardInterrupt in their own error
        return _interrupted()
    if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # a usage error of Typer
        _print_error(usage_message(error, arguments))
        return MlpError.exit_code
    if isinstance(error, OSError) and error.filename is None and error.errno in DISK_ERRORS:
        _print_error(f"the output cannot be written: {error.strerror}. Choose another place for it.")
        return _discard_output(MlpError.exit_code)
    traceback.print_exception(error)
    LOG.event("bug", traceback="".join(traceback.format_exception(error)))
    _print_error(f"this is a bug in mlpcli {__version__}. Please report the lines above.")
    return BUG


def _interrupted() -> int:
    _print_error("interrupted.")
    return signals.exit_code or INTERRUPTED


def _discard_output(code: int) -> int:
    """Discard the buffered output, as flushing it at exit would fail again; returns `code`."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
    return code


def _print_error(text: str) -> None:
    """Write an error message to standard error and to the log."""
    LOG.event("error", text=text)
    width = width_of(sys.stderr)
    for line in shorten_words(escape_controls(text)).split("\n"):
        sys.stderr.write("\n".join(wrap_text(line, width)) + "\n")
