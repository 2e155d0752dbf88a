"""The folder of a cross-validation.

plan.json           the config, the folds and the hash of the data, which must be the same when it is resumed
fold_N.npz          scores and predictions of a finished fold; removed when all are finished
fold_N.weights.npz  the model of a finished fold; removed when all are finished
cv.json             the result
config.yaml, out_of_fold.csv, weights.npz (with --keep)
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
# Sections of the config that do not affect any fold.
UNUSED_SECTIONS = ("output", "expect")


class CvFolder:
    """Writes and reads the files of a cross-validation; its writing methods raise OutputError."""

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
        """Create the folder, or with `resume` continue it; returns the finished folds by number, and notes.

        Raises MlpError if the unfinished cross-validation has another plan.
        """
        notes = self.run.begin(resume)
        finished: dict[int, FoldRecord] = {}
        if resume and self.run.can_resume:
            self._check_plan()
            records = ((number, self._load_fold(number)) for number in range(len(self._folds.rows)))
            finished = {number: record for number, record in records if record is not None}
        self.run.remove(RESULT)
        self.run.write(PLAN, _json(self.plan))
        self.run.write(CONFIG, dump_yaml(self._loaded.config).encode())
        return finished, notes

    def add(self, trained: TrainedFold) -> None:
        """Store a finished fold: the model first, so that a record never lacks its model."""
        self.run.write(_weights_name(trained.record.number), encode_model(trained.model))
        self.run.write(_record_name(trained.record.number), encode_fold(trained.record))

    def write_merged_model(self, scores: Mapping[str, float | None]) -> None:
        """Merge the models of all folds into weights.npz, with these `scores`."""
        models = [load_model(self.run.path(_weights_name(number))) for number in range(len(self._folds.rows))]
        self.run.write(WEIGHTS, encode_model(merge_models(models, scores)))

    def path(self, name: str) -> str:
        """The path of a file in the unfinished folder."""
        return self.run.path(name)

    def complete(self, result: Mapping[str, Any]) -> None:
        """Write the result, remove the files of single folds, and rename the folder to its final name."""
        self.run.write(RESULT, _json(result))
        for number in range(len(self._folds.rows)):
            self.run.remove(_record_name(number))
            self.run.remove(_weights_name(number))
        self.run.finish()

    def _load_fold(self, number: int) -> FoldRecord | None:
        """The record of a finished fold; None if it is missing or damaged, so that the fold is trained again."""
        try:
            record = load_fold(self.run.path(_record_name(number)))
            load_model(self.run.path(_weights_name(number)))
        except ModelFileError:
            return None
        is_same = record.number == number and record.rows.tolist() == self._folds.rows[number].test.tolist()
        return record if is_same else None

    def _check_plan(self) -> None:
        """Raise MlpError unless the stored plan equals the current one: the same data, folds and config."""
        path = self.run.path(PLAN)
        stored_plan = read_json(path)
        stored, current = (dict(flattened(plan)) for plan in (stored_plan, json.loads(_json(self.plan))))
        for key in dict.fromkeys([*stored, *current]):
            if stored.get(key) != current.get(key):
                texts = [shorten_words(json.dumps(values.get(key))) for values in (stored, current)]
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
