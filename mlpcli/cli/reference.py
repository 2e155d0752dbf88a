"""docs/cli.md, generated from the commands: verbs with arguments, options and example, exit codes, metrics.

`python -m mlpcli.cli.reference` prints it; a test compares the file with it. It uses the declarations of the commands,
not their rendered help, and so does not depend on the width of the terminal.
"""

import sys
from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from mlpcli.cli.main import BUG, CLOSED_PIPE, app
from mlpcli.errors import Diverged, GateMissed, Interrupted, MlpError
from mlpcli.evaluation.conformal.metrics import INTERVAL_METRICS
from mlpcli.evaluation.metrics.registry import METRICS

HEAD = """\
<!-- Written by `python -m mlpcli.cli.reference` from the commands in mlpcli/cli/ and the records of the metrics. -->

# Command line reference

`mlp VERB --help` (or `-h`) shows the options of a verb, `mlp --version` the version. `python -m mlpcli` is the same as
`mlp`.

- The result goes to standard output, messages go to standard error. `--quiet` suppresses all messages but errors.
  `--json`, where a verb has it, writes the result as one JSON document, in which undefined values are null.
  `--markdown` and `--html` write the same result as Markdown or as an HTML page.
- `-` is standard input or standard output.
- Tables are CSV, TSV, JSON Lines, Parquet, Feather or Arrow (extra `arrow`), Excel or OpenDocument (extra `excel`). The
  first three may be compressed. The format is recognised by the content of the file; delimiter, encoding and header are
  detected unless given. [data.md](data.md) describes how a table is read.
- On a terminal, output is coloured and fits its width. Columns that do not fit are counted, and a progress bar shows
  long work. In a pipe, output is plain lines of any length. `NO_COLOR` and `COLUMNS` are respected.
  [screens.md](screens.md) shows each verb.
- An error is one to three lines: what is wrong, where (file and line), and what to do. No file is changed.
- `mlp --install-completion` installs tab completion for your shell, `mlp --show-completion` prints it. It completes
  verbs, options, and the keys and values of the config after `--set`. `man mlp` shows this page.
"""

EXIT_CODES = {
    0: "Done.",
    GateMissed.exit_code: (
        "Done, and the result is negative: a missed gate, a worse model, a difference, a model that is not reproduced, "
        "data that drifted."
    ),
    MlpError.exit_code: "Invalid input: an option, the config, the data, a model file, or an output folder.",
    Diverged.exit_code: "The training diverged (the loss is not finite; the best weights so far are kept), or its "
    "cluster was lost (a checkpoint is kept).",
    BUG: "A bug in mlpcli. Only this case prints a traceback.",
    Interrupted("").exit_code: "Interrupted by Ctrl-C. A training saves a checkpoint and shows how to resume.",
    CLOSED_PIPE: "The reader of the output closed the pipe, as `head` does.",
    143: "Ended by SIGTERM, otherwise as 130.",
}

# Per verb, what its options do not explain, such as its output.
REMARKS = {
    "init": """\
The default target is the last column. Without `--output` the config goes to standard output. `mlp init` drops columns
that look like ids, are empty or constant, hold (nearly) unique texts, or leak the target; a comment in the config gives
the reason for each. Notes and faults stand there too. Numbers written with units or separators get the key that reads
them.""",
    "check": """\
The output lists every key with its value and the origin of the value: the file and line, `--set`, or the default. Then
follow the layers of the network, the rows of each class in each split, warnings, and an estimate of memory and time.

`mlp check` lists every column with a fault, where `mlp train` shows three. `--no-data` validates the keys and values of
one or more configs without reading a table. It takes a fraction of a second and suits editors and pre-commit hooks.

With a model file and a table, every row of the table is compared with the reference profile of the training rows, and
the output has a line for each column: [data-contract.md](data-contract.md) explains the numbers. With `--on-drift fail`
the exit code is 1 if any column drifted. Model files are recognised by their content, whatever their name.""",
    "train": """\
[config.md](config.md) describes `CONFIG`, [file-format.md](file-format.md) the files of a run. A run is written to
`DIR.partial` and renamed when it is complete. After an interruption, the same command with `--resume` continues the
training and ends with bit-identical weights. If there is nothing to resume, it starts from the beginning and says so.
If a gate of `expect` is missed, the exit code is 1 and the run is kept.

- A finished run of the same config is replaced. A run of another config is kept as `DIR.1`, `DIR.2`, ..., with a note;
  `--force` replaces it.
- `--if-changed` does nothing if the folder holds an intact run of the same config, the same data (by its hash) and the
  same version, for make and CI caches. If that run missed gates, the exit code is 1 again. Data from standard input
  always counts as changed.
- `--log FILE` appends a JSON line for each event, with `time` (UTC), `event` and `pid`: `start`, `reading`, `prepared`,
  `epoch`, `warning`, `error`, `trained` (the document of `--json`), and `end` with `exit_code` and `seconds`. A job
  without `end` was killed. Several jobs can share a file. `--quiet` does not affect it. `eval` and `predict` have the
  same option.
- `--from WEIGHTS` continues from a model on new rows: with its preprocessing, layers and weights, at a tenth of the
  learning rate of the config. If validation or test rows were among the training rows of that model, a note says so:
  scores on them are optimistic. [ci.md](ci.md#nightly-training-on-new-rows) has a nightly job.
- `-v` prints every epoch with its learning rate and time, and the time for reading and preparing.
- `--max-seconds`, `--max-epochs-without-gain` and `--max-memory` end a training with the best model so far and exit
  code 0; `stop_reason` in metrics.json says why. The time includes reading and preparing and is checked before each
  step. A training that is stopped in its first epoch keeps the weights of its last step (`epochs` is 0). The memory is
  the peak of the process. If the estimate is higher than the limit, the training does not start (exit code 2). A table
  that does not fit in memory is trained on from disk ([data.md](data.md#larger-than-memory)).
  `--max-epochs-without-gain` sets `training.early_stopping.patience`.""",
    "report": """\
[report.md](report.md) describes the page and the rows behind it. Without `TABLE` the report uses the test file of the
config. If there is none, it shows only what the model file and the run folder contain. If a gate is missed, the exit
code is 1 and the page is written all the same; without `--min` and `--max` the gates of `expect` in the config of the
run apply.""",
    "plot": """\
`RUN` is the folder of a run or a file in it. A running or interrupted run is found by its final name. For one run the
chart shows the training and the validation curve, and the mark on the axis is the kept epoch. For several runs it shows
one curve each, of the validation rows if there are any. `--metric` names a column of history.csv without `train_` or
`validation_`. The default is the metric that chooses the epoch, or the loss if the runs differ in it. The table has the
scores of the kept epoch; for a run that is not complete, the latest scores.

- Curves show plain outputs, before a temperature or a threshold is fitted.
- `-o FILE` draws to a file: `.svg` or `.png`. This needs the extra `report`.
- `mlp train --plot` draws the curve above the progress bar during training, and again at the end, on stderr.""",
    "search": """\
The section `search` of the config is the search space ([config.md](config.md#search)); [search.md](search.md) explains
it. The result lists the best trials, the scores of the winner and of the config as written on rows that no trial has
seen, and the importance of the keys. The folder has the journal of all trials, a run for each trial, and the full
config of the winner.

- `--resume` continues a search that ended, was interrupted or was killed. Trials that were running start again, and no
  complete trial is run twice. More `--trials` extend a search. Another config, other data or another space are refused.
- With `--processes 1` the same seed gives the same trials. With several processes the order in which trials end
  affects the values that are sampled next.
- It needs the extra `search`: `pip install "mlp-train[search]"`.""",
    "split": """\
The files are named `train`, `validation` and `test`, with the extension of the table, in `DIR`. They appear together
when all of them are complete. Existing files are replaced only with `--force`. Texts are written as they are read:
stripped of blanks, in the Unicode form NFC. [held-out-rows.md](held-out-rows.md) explains which rows the options keep
together.""",
    "predict": """\
There is one output row for each input row, in the same order. Columns are matched by name: their order does not matter,
additional columns are ignored, and the target column is not needed. The prediction is in a column named like the
target, in your own labels or units.

- `-o FILE` writes the format of the extension: `.csv`, `.tsv`, `.jsonl`, `.ndjson` (each also with `.gz`), `.parquet`,
  `.feather` or `.arrow`. Without an extension, and on standard output, it is CSV. Other extensions are an error.
- `--keep id,name` copies these input columns to the front, as texts. If one has the name of a prediction column, the
  prediction column becomes `predicted_NAME`.
- `--proba` adds `p_LABEL` for each class, or for each boolean target `p_COLUMN`, the probability of true.
- `--json` writes JSON Lines to standard output, one object per row.
- `--raw` writes `raw_LABEL` or `raw_COLUMN` instead: the outputs of the last activation, before they are normalized to
  probabilities or transformed back to the unit of the target.
- `--hidden` adds `h1_1`, `h1_2`, ... after the predictions: the activation of each neuron of the first hidden layer,
  then `h2_1` and so on, in the order of the rows of `W1` and `W2`. Each member of an ensemble has its own: `m1.h1_1`.
  [textbook.md](textbook.md) computes them by hand.
- `--safe-csv` is for predictions that will be opened in a spreadsheet: texts (labels, kept columns, column names) that
  begin with `=`, `+`, `-`, `@`, a tab or a line end are prefixed with a single quote. Numbers such as -1.5 stay
  numbers. Without it every text is written as it was read: stripped of blanks, in the Unicode form NFC, with LF line
  ends.
- `--on-drift` says what to do when columns have drifted from the training data, see
  [data-contract.md](data-contract.md): print one line on standard error (`warn`), print nothing (`ignore`), or end with
  exit code 1 after the last row is written (`fail`).

`--interval LEVEL`, or `--set LEVEL`, adds prediction intervals after each target, `TARGET_low` and `TARGET_high`, or
for classes and boolean targets the prediction set `TARGET_set`, see [intervals.md](intervals.md).

Missing cells and levels that did not occur in training are handled as in training; a line on standard error counts
them. A file named by `--output` appears when it is complete.""",
    "eval": """\
Rows without a target are left out and counted. If the model was trained with a weight column, the scores are weighted
and the column is required. A gate bounds a metric of the table [below](#metrics), or an end of its interval
(`roc_auc.low`). A score equal to the bound meets the gate; an undefined score misses it. [verdicts.md](verdicts.md)
explains intervals, groups and the output for CI systems. `--on-drift` compares the rows with the training data as
`predict` does; with `fail` the scores are shown and the exit code is 1. `--interval LEVEL` makes prediction intervals
or sets as `predict` does, and scores their coverage and width.""",
    "compare": """\
The models may differ in columns and training, but must have the same target and classes. Both are scored on the same
rows, and each difference has a paired interval: rows that are hard for both models do not widen it. `worse` and
`better` mean that the whole interval lies on one side of zero; for the accuracy McNemar's exact test must agree. With
`--margin` the whole interval must lie beyond the margin, in the unit of `--metric`. If both models are equally good,
the new one is called worse in about (1 - confidence) / 2 of all cases. Two folders of `mlp cv` with the same folds are
compared without `TEST` ([cv.md](cv.md)). If there are too few rows or the errors are too skewed for an interval, there
is no verdict, and a line says why.""",
    "cv": """\
Each fold is scored by a model that was trained on the other folds, preprocessing included. `data.validation` says which
of these rows are held out to choose the epoch. The folder (`runs/NAME-cv`, or `--output`) gets `cv.json` and
`out_of_fold.csv`. [cv.md](cv.md) describes the kinds of folds and the coverage of the interval.""",
    "explain": """\
Without `--rows` and `--columns` the table needs the target column: every input column is shuffled, and the drop of the
score is shown with its interval. [explain.md](explain.md) describes all three outputs.""",
    "export": """\
Before it is written, the exported file is tested on rows that include all rare cases (missing cells, unseen levels,
numbers and dates far outside the training range). [export.md](export.md) describes each format.""",
    "inspect": """\
Inspecting a file validates it: a file that is damaged, is not a model, comes from a newer version, or holds a number
that is not finite is an error.""",
    "diff": """\
The distance of an array is the Frobenius norm of its change divided by that of the old array. The arrays of the members
of an ensemble are one row per tensor (`m*.W1`) with the largest distance and change; `--json` has each. The exit code
is 0 whether or not the models differ, unless `--exit-code` is given. With one file the model is written as text, a line
for each value and each array; equal models give equal text. `git diff` and `git log -p` then show changes of models,
with two lines: `*.npz diff=mlp` in `.gitattributes`, and once per clone `git config diff.mlp.textconv "mlp diff"`.""",
    "doctor": """\
The curves come from history.csv, the scores from the model. The rows are read again from the paths in the config
(relative to the current folder), or from `--data`. If they are missing or have changed, the checks that need them are
skipped and a line says why. The exit code is 0 whatever is found, unless `--strict` is given.
[doctor.md](doctor.md) lists every finding, its threshold, and how often healthy runs get one.""",
    "runs": """\
Runs on the same data with the same target share a table, best first, sorted by log loss or else by error. Scores are
those of metrics.json: of the test rows if every run has them, else of the validation rows. The last column lists the
config keys that differ from the first run, with their values. A run is `complete`, `running` (a live process holds its
lock), `interrupted` (`--resume` continues it), `failed` (it diverged) or `damaged` (a note names the file). Scores of a
run that is not complete are the best so far and marked `*`. No file is changed.""",
    "schema": """\
The schema is JSON Schema draft-07. `mlp init` names it in the first line of a config: the file `mlp.schema.json` if it
is beside the config, else the one of this installation. [editor-and-shell.md](editor-and-shell.md) lists the editors
that read it. `--of export` is the schema of the document of `mlp export --to json` ([export.md](export.md)). An
existing file with other content is not replaced.""",
    "help": """\
The same as `mlp VERB --help`.""",
    "repro": """\
No file is written. Config, number of epochs, seed, number of threads and engine come from the record in the model file.
The data is read from the paths in the config (relative to the current folder), or from `--data`. Data with another hash
is reported and not trained on. If the result is not bit-identical, the output shows what differs: versions, resolved
values of the config, and the arrays that changed most. The last bits of a sum can differ between processors and BLAS
libraries.""",
}

METRICS_HEAD = """\
## Metrics

These names are used in `--min` and `--max`, in `expect` and in `training.early_stopping.metric`. In gates they may end
in `.low` or `.high`, the ends of the confidence interval, except `ece` and `max_error`, which have none. In
metrics.json they follow the name of the split: `train.`, `validation.`, `test.`, and `constant.` for the baseline that
ignores the inputs. A name with brackets is the score of one class (`f1[Adelie]`), one output (`rmse[height]`) or one
boolean column (`roc_auc[late]`); for regression only if there are several outputs. The log loss is in nats. The values,
weighted or not, are those of scikit-learn's functions.
"""


def reference_text() -> str:
    """The content of docs/cli.md."""
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
    for argument in arguments:
        yield f"| `{argument.metavar}` | {_cell(argument.help)} |"
    for option in options:
        yield f"| {spelling(option)} | {_cell(option.help)}{default_of(option)} |"
    yield f"\n{REMARKS[name]}\n"


def parameters(command: Any) -> tuple[list[Any], list[Any]]:
    """The arguments and the options of a verb."""
    options = [
        parameter for parameter in command.params if parameter.param_type_name == "option" and not parameter.hidden
    ]
    return [parameter for parameter in command.params if parameter.param_type_name == "argument"], options


def verbs() -> dict[str, Any]:
    """The Click commands by name."""
    commands: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]
    return commands


def sentence(command: Any) -> str:
    """The summary of a verb."""
    return str(command.help).partition("\n")[0]


def example(command: Any) -> str:
    """The example of a verb."""
    return str(command.help).partition("Example: ")[2].strip()


def usage(argument: Any) -> str:
    """`TABLE`, or `[TABLE]` if optional."""
    name = str(argument.metavar)
    return name if argument.required else f"[{name}]"


def spelling(option: Any) -> str:
    """`--output FILE`, `-o FILE`."""
    value = "" if option.is_flag else f" {option.metavar or option.name.upper()}"
    return ", ".join(f"`{spelled}{value}`" for spelled in option.opts)


def default_of(option: Any) -> str:
    """The default; "" if it is the absence of the option."""
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
        averaged = ", ".join(metric.overall) + " of two classes" * metric.needs_two_classes
        whole = averaged or "[intervals](intervals.md#coverage-and-width)"
        better = "higher" if metric.higher_is_better else "lower"
        yield f"| `{metric.name}` | {whole} | {', '.join(metric.per_output)} | {better} | {_cell(metric.doc)} |"
    yield ""


def _cell(text: str) -> str:
    """Escapes for a cell of a Markdown table, where | ends the cell and < begins a tag."""
    return text.replace("|", r"\|").replace("<", r"\<")


if __name__ == "__main__":
    sys.stdout.write(reference_text())
