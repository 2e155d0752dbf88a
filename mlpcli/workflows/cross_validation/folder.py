"""The folder of a cross-validation: its plan, each fold as it is done, and what came out.

plan.json         the config, the folds and the data; what a resumed one must have in common with it
fold_N.npz        scores and answers of a fold that is done, until all are
fold_N.weights.npz  its model, until all are
config.yaml  cv.json  out_of_fold.csv  weights.npz (with --keep)
"""

import json
from collections.abc import Mapping
from typing import Any

from mlpcli import __version__
from mlpcli.config.loading import LoadedConfig
from mlpcli.config.yaml.dumping import as_plain, dump_yaml
from mlpcli.errors import MlpError, ModelFileError
from mlpcli.messages import shorten_words
from mlpcli.storage.model.model_file import encode_model, load_model
from mlpcli.storage.run.fold_file import FoldRecord, encode_fold, load_fold
from mlpcli.storage.run.run_directory import CONFIG, WEIGHTS, RunDirectory
from mlpcli.storage.run.run_kind import RunKind
from mlpcli.storage.strict_json import flattened
from mlpcli.workflows.cross_validation.comparing import PLAN, RESULT, read_json
from mlpcli.workflows.cross_validation.fold_training import TrainedFold
from mlpcli.workflows.cross_validation.folds import FoldOptions, Folds
from mlpcli.workflows.cross_validation.merging import merge_models

OUT_OF_FOLD = "out_of_fold.csv"
CROSS_VALIDATION = RunKind(
    "cross-validation", RESULT, PLAN, (CONFIG, WEIGHTS, PLAN, RESULT, OUT_OF_FOLD), r"fold_\d+(\.weights)?\.npz"
)
# Sections of the config that no fold depends on.
UNUSED_SECTIONS = ("output", "expect")


class CvFolder:
    """What a cross-validation writes into its folder, and when."""

    def __init__(
        self, run: RunDirectory, loaded: LoadedConfig, options: FoldOptions, folds: Folds, data_sha256: str
    ) -> None:
        self.run, self._loaded, self._folds = run, loaded, folds
        config = as_plain(loaded.config)
        for key in UNUSED_SECTIONS:
            del config[key]
        self.plan = {
            "version": __version__,
            "folds": options.n_folds,
            "repeats": options.n_repeats,
            "trained_ahead_of_test": folds.is_forward,
            "keep": options.keeps,
            "data_sha256": data_sha256,
            "folds_sha256": folds.sha256,
            "config": config,
        }

    def begin(self, resume: bool) -> tuple[dict[int, FoldRecord], tuple[str, ...]]:
        """Make the folder ready; gives the folds that are done already, by number, and sentences for the user."""
        notes = self.run.begin(resume)
        done: dict[int, FoldRecord] = {}
        if resume and self.run.can_resume:
            self._check_plan()
            done = {
                number: record for number in range(len(self._folds.rows)) if (record := self._done(number)) is not None
            }
        self.run.remove(RESULT)
        self.run.write(PLAN, _json(self.plan))
        self.run.write(CONFIG, dump_yaml(self._loaded.config).encode())
        return done, notes

    def add(self, trained: TrainedFold) -> None:
        """Keep a fold that is done: its model first, so that a record is never without one."""
        self.run.write(_weights_name(trained.record.number), encode_model(trained.model))
        self.run.write(_record_name(trained.record.number), encode_fold(trained.record))

    def join(self, scores: Mapping[str, float | None]) -> None:
        """Write the models of all folds as one."""
        models = [load_model(self.run.path(_weights_name(number))) for number in range(len(self._folds.rows))]
        self.run.write(WEIGHTS, encode_model(merge_models(models, scores)))

    def path(self, name: str) -> str:
        """Where a file of the growing folder stands."""
        return self.run.path(name)

    def complete(self, result: Mapping[str, Any]) -> None:
        """Write the result, remove what only unfinished ones need, and give the folder its name."""
        self.run.write(RESULT, _json(result))
        for number in range(len(self._folds.rows)):
            self.run.remove(_record_name(number))
            self.run.remove(_weights_name(number))
        self.run.finish()

    def _done(self, number: int) -> FoldRecord | None:
        """The record of a fold, if it is there and sound; one cut off by a kill is trained again."""
        try:
            record = load_fold(self.run.path(_record_name(number)))
            load_model(self.run.path(_weights_name(number)))
        except ModelFileError:
            return None
        is_same = record.number == number and record.rows.tolist() == self._folds.rows[number].test.tolist()
        return record if is_same else None

    def _check_plan(self) -> None:
        """Raise MlpError unless the unfinished one has the same folds of the same data, and trains the same."""
        path = self.run.path(PLAN)
        old = read_json(path)
        before, now = (dict(flattened(plan)) for plan in (old, json.loads(_json(self.plan))))
        for key in dict.fromkeys([*before, *now]):
            if before.get(key) != now.get(key):
                texts = [shorten_words(json.dumps(values.get(key))) for values in (before, now)]
                raise MlpError(
                    f"{path}: {key.removeprefix('config.')} was {texts[0]}, and is {texts[1]}. Undo the change, or "
                    "omit --resume."
                )


def _json(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, allow_nan=False) + "\n").encode()


def _record_name(number: int) -> str:
    return f"fold_{number + 1}.npz"


def _weights_name(number: int) -> str:
    return f"fold_{number + 1}.weights.npz"
