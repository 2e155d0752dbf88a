"""The program `mlp`: its verbs, and how it ends.

Exit codes: 0 done, 1 a gate failed, 2 wrong input, 3 a training that cannot go on, 130 and 143 interrupted, 141 the
reader of our output closed the pipe, 70 a bug in mlpcli: the only case that shows a traceback.
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
from mlpcli.cli.completion import ASKED, join_words
from mlpcli.cli.job_log import LOG
from mlpcli.cli.near_misses import usage_message
from mlpcli.cli.rendering.terminal import width_of
from mlpcli.cli.signals import Signals
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
from mlpcli.messages import folded, printable, shortened

BUG = 70
INTERRUPTED = 130
CLOSED_PIPE = 141

# Objects made since the last search for garbage that start the next one; Python's own number is 700 or 2000.
GARBAGE_THRESHOLD = 200_000

# For how long a thread of OpenBLAS waits for work before it sleeps, as a power of two, in cycles: half a millisecond
# instead of a tenth of a second, for which every start would keep a second core busy.
BLAS_PATIENCE = "20"

# What a full disk behind `> file` answers.
CANNOT_TAKE_MORE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

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


def _show_version(asked: bool) -> None:
    if asked:
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
    # What a verb imports is 120 to 150 thousand objects that stay: looking through them for garbage, again and again
    # while they come and once more at the end, is a fifth of the time of a small job.
    gc.set_threshold(GARBAGE_THRESHOLD)
    atexit.register(gc.freeze)
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", BLAS_PATIENCE)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started us (`>&-`)
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        else:
            stream.reconfigure(errors="backslashreplace")
    if ASKED in os.environ:
        join_words(os.environ)
    signals.listen()
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run the program; returns its exit code, which its log has as well."""
    code = _run(arguments)
    LOG.end(code)
    return code


def _run(arguments: list[str]) -> int:
    try:
        # Not standalone: Typer then hands us its usage errors, which are shown like ours.
        code = app(arguments or ["--help"], prog_name="mlp", standalone_mode=False)
        if code == INTERRUPTED:  # Typer makes an exit of KeyboardInterrupt, without a word
            return _interrupted()
        sys.stdout.flush()
        if not arguments:
            return MlpError.exit_code
        return code if isinstance(code, int) else 0
    except MlpError as error:
        _say(str(error))
        return error.exit_code
    except BrokenPipeError:
        return _abandon_output(CLOSED_PIPE)
    except SystemExit as ending:
        # Typer and rich end with 1 when a pipe closes, which would look like a failed gate.
        if isinstance(ending.__context__, BrokenPipeError):
            return _abandon_output(CLOSED_PIPE)
        raise
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted()
    except MemoryError:
        _say("not enough memory for this data. Use fewer rows or columns (data.features), or a larger machine.")
        return MlpError.exit_code
    except Exception as error:  # the outermost border: a bug must never look like a failed gate
        return _end_with(error, arguments)


def _end_with(error: Exception, arguments: list[str]) -> int:
    """Explain an error that is not an `MlpError`; returns the exit code."""
    if signals.exit_code:  # some libraries wrap KeyboardInterrupt into an error of their own
        return _interrupted()
    if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # a usage error of Typer's
        _say(usage_message(error, arguments))
        return MlpError.exit_code
    if isinstance(error, OSError) and error.filename is None and error.errno in CANNOT_TAKE_MORE:
        _say(f"the output cannot be written: {error.strerror}. Choose another place for it.")
        return _abandon_output(MlpError.exit_code)
    traceback.print_exception(error)
    LOG.note("bug", traceback="".join(traceback.format_exception(error)))
    _say(f"this is a bug in mlpcli {__version__}. Please report the lines above.")
    return BUG


def _interrupted() -> int:
    _say("interrupted.")
    return signals.exit_code or INTERRUPTED


def _abandon_output(code: int) -> int:
    """Send what is left in the buffers nowhere: Python would fail once more when it flushes them at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
    return code


def _say(text: str) -> None:
    """Write a message to standard error, and to the log."""
    LOG.note("error", text=text)
    width = width_of(sys.stderr)
    for line in shortened(printable(text)).split("\n"):
        sys.stderr.write("\n".join(folded(line, width)) + "\n")
