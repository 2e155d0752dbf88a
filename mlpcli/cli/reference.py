"""docs/cli.md from the commands: every verb with its arguments, options and example, the exit codes and the metrics.

`python -m mlpcli.cli.reference` prints it; a test compares the file with it. The text is made of what the commands
declare, never of their rendered help, so the width of the terminal is nowhere in it.
"""

import sys
from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from mlpcli.cli.main import BUG, CLOSED_PIPE, app
from mlpcli.errors import Diverged, GateMissed, Interrupted, MlpError
from mlpcli.evaluation.conformal.metrics import INTERVAL_METRICS
from mlpcli.evaluation.metrics import METRICS

HEAD = """\
<!-- Written by `python -m mlpcli.cli.reference` from the commands in mlpcli/cli/ and the records of the metrics. -->

# Command line reference

`mlp VERB --help` (or `-h`) shows the options of a verb, `mlp --version` the version. `python -m mlpcli` is `mlp`.

- Standard output is the answer, standard error the conversation: `--quiet` silences the second, but not errors.
  With `--json`, where a verb has it, the answer is one JSON document; what is not defined in it is null. `--markdown`
  and `--html` write the same answer as Markdown or as a page of HTML.
- A lone dash is standard input, or standard output.
- Tables are CSV, TSV, JSON Lines, Parquet, Feather or Arrow (extra `arrow`), Excel or OpenDocument (extra `excel`). The
  first three may be compressed. A file is recognised by its content; delimiter, encoding and header are found unless
  given.
  [data.md](data.md) describes how a table is read.
- On a terminal there is colour, no line is wider than it, columns that have no room are counted, and a bar shows how
  far long work is. In a pipe there are a few plain lines, of any length. `NO_COLOR` and `COLUMNS` are honoured.
  [screens.md](screens.md) shows each verb.
- An error is one to three lines: what, where (file and line), what to do. No file is touched then.
- `mlp --install-completion` sets up completion with the tab key for your shell, `mlp --show-completion` prints it: of
  verbs, options, and keys and values of the config behind `--set`. `man mlp` is this page.
"""

EXIT_CODES = {
    0: "Done.",
    GateMissed.exit_code: (
        "Done, and the answer is no: a missed gate, a worse model, a difference, other bytes, data that drifted."
    ),
    MlpError.exit_code: "The input is wrong: an option, the config, the data, a model file, a folder to write to.",
    Diverged.exit_code: "The training diverged (the loss is not finite; the best weights so far are kept), or its "
    "cluster is gone (a checkpoint is kept).",
    BUG: "A bug in mlpcli. The only case with a traceback.",
    Interrupted("").exit_code: "Interrupted by Ctrl-C. A training has saved a checkpoint and shows how to resume.",
    CLOSED_PIPE: "The reader of the output has closed the pipe, as `head` does.",
    143: "Ended by SIGTERM, otherwise as 130.",
}

# What the options of a verb do not say: what comes out.
REMARKS = {
    "init": """\
Without `--target` the last column is taken. Without `--output` the config goes to standard output. Columns are dropped
that look like ids, are empty or constant, hold (nearly) unique texts, or give the target away; the reason stands beside
each of them in the config. So do notes and faults; numbers in disguise get the key that reads them.""",
    "check": """\
Every key is shown with its value and where the value comes from: the file and line, `--set`, or the default. Below it:
the network layer by layer, the rows of each class in each part, warnings, and an estimate of memory and time.

Every column with a fault is listed, where `mlp train` shows three. With `--no-data` the keys and values of one or more
configs are checked and no table is read, in a fraction of a second: for editors and hooks before a commit.

With a model file and a table, every row of the table is compared with the reference profile of the training rows, and
every column gets a line: [data-contract.md](data-contract.md) explains the numbers. With `--on-drift fail` a column
that drifted is exit code 1. A file is a model by its content, whatever its name.""",
    "train": """\
`CONFIG` is described in [config.md](config.md), the files of a run in [file-format.md](file-format.md). A run grows in
`DIR.partial` and takes its name when it is complete. After an interruption the same command with `--resume` goes on, to
the same bits as if it had never stopped; where there is nothing to resume it starts, and says so. A gate of `expect`
that is missed is exit code 1; the run is kept.

- A finished run of the same config is replaced. One of another config is kept as `DIR.1`, `DIR.2`, ..., and a note says
  so; `--force` replaces it.
- `--if-changed` does nothing where the folder holds a sound run of the same config, the same data (by its hash) and the
  same version: for make and the caches of CI. Gates that the run missed are exit code 1 again. Data from standard input
  always counts as changed.
- `--log FILE` appends a JSON line for each event, with `time` (UTC), `event` and `pid`: `start`, `reading`, `prepared`,
  `epoch`, `warning`, `error`, `trained` (the document of `--json`), and `end` with `exit_code` and `seconds`. A job
  without `end` was killed. Several jobs can share a file; `--quiet` does not change it. `eval` and `predict` have it
  too.
- `--from WEIGHTS` goes on from a model on new rows: its preprocessing, layers and weights, at a tenth of the learning
  rate of the config. Rows that the model was trained on and that judge this training are noted: scores on them are
  optimistic. [ci.md](ci.md#every-night) has a nightly job.
- `-v` says every epoch with its learning rate and time, and how long reading and preparing took.
- `--max-seconds`, `--max-epochs-without-gain` and `--max-memory` end a training with the best model so far and exit
  code 0; metrics.json says why (`stop_reason`). Reading and preparing count; the clock is looked at before each step,
  and a training that is stopped in its first epoch keeps the weights of its last step (`epochs` is 0). The memory is
  the most the process has held; where more is expected the training does not start (exit code 2).
  A table that does not fit is trained on from disk ([data.md](data.md#larger-than-memory)).
  `--max-epochs-without-gain` is `training.early_stopping.patience`.""",
    "report": """\
[report.md](report.md) says what is on the page and which rows are behind it. Without `TABLE` it is the test file of the
config, if that is there, else the page has what the model knows of itself. Gates that are missed are exit code 1; those
of `expect` in the run's config judge where none are given. The page is written all the same.""",
    "plot": """\
`RUN` is the folder of a run or a file in it; a run under way, or one that was interrupted, is found by the name it will
have. Of one run both sides are drawn, and the mark on the axis is the epoch that is kept. Of several runs there is a
line each, of the validation rows where there are any. `--metric` names a column of history.csv without `train_` or
`validation_`. Not given, it is the metric that chooses the epoch, or the loss where the runs do not share one. The
table has the scores of the epoch that is kept, and of a run that is not complete the last ones there are.

- Curves are of plain outputs, before a temperature or a threshold is fitted.
- `-o FILE` draws into a file by its ending: `.svg` or `.png`. This needs the extra `report`.
- `mlp train --plot` draws the curve above the bar while it trains, and once more at the end, on standard error.""",
    "search": """\
The section `search` of the config says what is tried ([config.md](config.md#search)); [search.md](search.md) explains
it. Standard output is the answer: the best trials, the winner and the config as written on rows that no trial has seen,
and which keys mattered. The folder has the journal of all trials, a run for each, and the whole config of the winner.

- A search that ended, was interrupted or killed goes on with `--resume`: trials that were under way begin again, none
  is run twice. More `--trials` make it longer. Another config, other data or another space are refused.
- With `--processes 1` the same seed gives the same trials. On several, which trial ends first decides what the next
  one draws.
- It needs the extra `search`: `pip install "mlp-train[search]"`.""",
    "split": """\
The files are `train`, `validation` and `test` with the ending of the table, in `DIR`. They appear together when all are
whole; files that are there are replaced with `--force` alone. Texts are written as they are read: without blanks around
them, in the Unicode form NFC. What the options hold together: [held-out-rows.md](held-out-rows.md).""",
    "predict": """\
There is one row out for each row in, in the same order. Columns are matched by name: any order, more columns than
needed, no target column. The answer stands in a column named as the target, in your own labels or units.

- `-o FILE` writes by the ending: `.csv`, `.tsv`, `.jsonl`, `.ndjson` (each also with `.gz`), `.parquet`, `.feather` or
  `.arrow`. Without an ending, and on standard output, it is CSV. Another ending is an error.
- `--keep id,name` copies these input columns to the front, as texts; if one is named as an answer, the answer is called
  `predicted_NAME`.
- `--proba` adds `p_LABEL` for each class, or `p_COLUMN`, the probability of yes, for each boolean target.
- `--json` writes JSON Lines to standard output, an object for each row.
- `--raw` writes `raw_LABEL` or `raw_COLUMN` instead: the outputs of the last activation, before they are made into
  probabilities that sum to 1 or into numbers in the target's unit.
- `--hidden` adds `h1_1`, `h1_2`, ... behind the answers: the activation of each neuron of the first hidden layer, then
  `h2_1` and so on, in the order of the rows of `W1` and `W2`. With several members each has its own: `m1.h1_1`.
  [textbook.md](textbook.md) computes them by hand.
- `--safe-csv` is for answers that will be opened in a spreadsheet: a text that begins with `=`, `+`, `-`, `@`, a tab or
  a line end (labels, kept columns, names of columns) gets a single quote in front. Numbers such as -1.5 stay numbers.
  Without it every text is written as it was read: without blanks around it, in the Unicode form NFC, line ends as LF.
- `--on-drift` says what happens when columns have drifted from the training data, see
  [data-contract.md](data-contract.md): one line on standard error (`warn`), nothing (`ignore`), or exit code 1
  (`fail`), after the last row is written.

`--interval LEVEL`, or `--set LEVEL`, adds behind each target what holds the truth so often: `TARGET_low` and
`TARGET_high` of numbers, `TARGET_set` of classes and yes/no columns, see [intervals.md](intervals.md).

Missing cells and levels that training never saw are treated as in training; a line on standard error counts them. A
file named by `--output` appears when it is whole.""",
    "eval": """\
Rows without a target are left out and counted. If the model was trained with a column of weights, the scores are
weighted and the column must be there. A gate names a score of the table [below](#metrics), or an end of its interval
(`roc_auc.low`), and is met at the bound itself; what is not defined meets no gate. How intervals are made, what groups
there are and what a CI job is told: [verdicts.md](verdicts.md). `--on-drift` holds the rows against the training data
as `predict` does; with `fail` the scores are shown and the exit code is 1. With `--interval LEVEL` prediction intervals
or sets are made as by `predict`, and scored: how many hold the truth, and how wide they are.""",
    "compare": """\
The models may have been trained on other columns, in other ways, but for the same target and classes. Both answer the
same rows; the difference of each score stands beside its interval, which is paired: what makes a row hard for both does
not blur it. `worse` and `better` mean that the whole interval lies on one side; for the accuracy McNemar's exact test
must agree. With `--margin` the whole interval must lie beyond it, in the unit of `--metric`. Of two models that are
equally good the new one is called worse in about (1 - confidence) / 2 of all cases. Folders of two `mlp cv` of the same
folds are compared without `TEST` ([cv.md](cv.md)). Where the rows are too few or the
errors too uneven for an interval there is no verdict, and a line says why.""",
    "cv": """\
Each fold is scored by a model that was trained on the others, preprocessing included. Of these rows validation rows are
held out as `data.validation` says; they choose the epoch. The folder (`runs/NAME-cv`, or `--output`) gets `cv.json` and
`out_of_fold.csv`. [cv.md](cv.md) says what folds there are and what the interval covers.""",
    "explain": """\
Without `--rows` and `--columns` the table needs the target column: every input column is shuffled, and the loss of the
score is shown with its interval. [explain.md](explain.md) describes all three answers.""",
    "export": """\
The file is tried on rows with everything that is rare (missing cells, unseen levels, numbers and dates far outside)
before it is written; [export.md](export.md) says what it holds.""",
    "inspect": """\
To show a file is to check it: a file that is damaged, foreign, newer, or holds a number that is not finite, is an
error.""",
    "diff": """\
The distance of an array is the Frobenius norm of its change over that of the old array. The exit code is 0 whether or
not the models differ, unless `--exit-code` asks. With one file the model is written out as text, a line for each value
and each array, the same text for equal models. That makes `git diff` and `git log -p` speak of models, with two lines:
`*.npz diff=mlp` in `.gitattributes`, and once per copy of the repository `git config diff.mlp.textconv "mlp diff"`.""",
    "doctor": """\
The curves are those of history.csv, the scores those of the model. The rows are read again from where the config says
(from the current folder), or where `--data` says; where they are not there, or not what they were, what needs them is
skipped and a line says why. The exit code is 0 whatever is found, but for `--strict`. [doctor.md](doctor.md) has every
finding, its bound, and how often healthy runs get one.""",
    "runs": """\
Runs on the same data for the same target stand in one table, the best of them first, by the log loss or else the error.
Scores are those of metrics.json: of the test rows where every run has them, else of the validation rows. The last
column names the keys of the config that differ from those of the first run, with the values that stand in their place.
A run is `complete`, `running` (its lock is held by a live process), `interrupted` (`--resume` goes on), `failed` (it
diverged) or `damaged` (a note says which file). Scores of a run that is not complete are the best so far and have a
`*`. Nothing is changed.""",
    "schema": """\
The schema is one of draft-07. `mlp init` names it in the first line of a config: the file `mlp.schema.json` where that
stands beside the config, else the one of this installation. [editor-and-shell.md](editor-and-shell.md) says which
editors read it. `--of export` is the schema of the document of `mlp export --to json` ([export.md](export.md)). A file
that holds something else is not replaced.""",
    "help": """\
The same as `mlp VERB --help`.""",
    "repro": """\
Nothing is written. The config, the number of epochs, the seed, the number of threads and the engine are those of the
record; the data is looked for where the config says (from the current folder), or where `--data` says. Other data is
named by its hash and not trained on. Where the bytes are not the same, what is different is shown: versions, what the
config came to, and the arrays that moved farthest; the last bits of a sum can differ between processors and BLAS
libraries.""",
}

METRICS_HEAD = """\
## Metrics

These names stand after `--min` and `--max`, under `expect` and in `training.early_stopping.metric`; in gates also with
`.low` or `.high`, the ends of the interval, but for `ece` and `max_error`, which have none. In metrics.json
they follow the part they were measured on: `train.`, `validation.`, `test.`, and `constant.` for the baseline that
ignores the inputs. A name with brackets is about one class (`f1[Adelie]`), one output (`rmse[height]`) or one boolean
column (`roc_auc[late]`); for regression only where there are several outputs. The log loss is in nats. Weighted or not,
the numbers are those of scikit-learn's functions.
"""


def reference_text() -> str:
    """The whole of docs/cli.md."""
    return "\n".join([HEAD, *_verbs(), *_exit_codes(), *_metrics()])


def _verbs() -> Iterator[str]:
    commands = verbs()
    yield "| verb | what it does |"
    yield "|---|---|"
    for name, command in commands.items():
        yield f"| [{name}](#mlp-{name}) | {sentence(command)} |"
    yield ""
    for name, command in commands.items():
        yield from _verb(name, command)


def _verb(name: str, command: Any) -> Iterator[str]:
    arguments, options = parameters(command)
    yield f"## mlp {name}\n"
    yield f"{sentence(command)}\n"
    yield "```text"
    yield " ".join(["mlp", name, *map(usage, arguments), "[OPTIONS]"])
    yield "```\n"
    yield f"Example: `{example(command)}`\n"
    yield "| argument or option | meaning |"
    yield "|---|---|"
    for one in arguments:
        yield f"| `{one.metavar}` | {_cell(one.help)} |"
    for one in options:
        yield f"| {spelling(one)} | {_cell(one.help)}{default_of(one)} |"
    yield f"\n{REMARKS[name]}\n"


def parameters(command: Any) -> tuple[list[Any], list[Any]]:
    """The arguments and the options of a verb."""
    options = [one for one in command.params if one.param_type_name == "option" and not one.hidden]
    return [one for one in command.params if one.param_type_name == "argument"], options


def verbs() -> dict[str, Any]:
    """The verbs by name: what Typer makes is a Click command, its own or the library's, by version."""
    found: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]
    return found


def sentence(command: Any) -> str:
    """What a verb does."""
    return str(command.help).partition("\n")[0]


def example(command: Any) -> str:
    """A command line of it that can be pasted."""
    return str(command.help).partition("Example: ")[2].strip()


def usage(argument: Any) -> str:
    """`TABLE`, or `[TABLE]` where it may be left out."""
    name = str(argument.metavar)
    return name if argument.required else f"[{name}]"


def spelling(option: Any) -> str:
    """`--output FILE`, `-o FILE`."""
    value = "" if option.is_flag else f" {option.metavar or option.name.upper()}"
    return ", ".join(f"`{spelled}{value}`" for spelled in option.opts)


def default_of(option: Any) -> str:
    """The default where it is more than the absence of the option."""
    default = option.default
    return f" Default: `{default}`." if isinstance(default, str | int) and default not in (False, "") else ""


def _exit_codes() -> Iterator[str]:
    yield "## Exit codes\n"
    yield "| code | meaning |"
    yield "|---:|---|"
    for code, meaning in EXIT_CODES.items():
        yield f"| {code} | {meaning} |"
    yield ""


def _metrics() -> Iterator[str]:
    yield METRICS_HEAD
    yield "| metric | of the whole | per `[NAME]` | better | meaning |"
    yield "|---|---|---|---|---|"
    for metric in (*METRICS.values(), *INTERVAL_METRICS.values()):
        of = ", ".join(metric.together) + " of two classes" * metric.needs_two_classes
        whole = of or "[intervals](intervals.md#how-good-they-are)"
        better = "higher" if metric.higher_is_better else "lower"
        yield f"| `{metric.name}` | {whole} | {', '.join(metric.each)} | {better} | {_cell(metric.doc)} |"
    yield ""


def _cell(text: str) -> str:
    """Text for a cell of a Markdown table, where | would end the cell and < would begin a tag."""
    return text.replace("|", r"\|").replace("<", r"\<")


if __name__ == "__main__":
    sys.stdout.write(reference_text())
