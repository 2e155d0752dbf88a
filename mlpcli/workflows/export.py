"""`mlp export`: a model as a file of another language, and the proof that it answers as the model does."""

import csv
import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlpcli.errors import GateMissed, MlpError, did_you_mean
from mlpcli.export.agreement import Agreement, Row, agreement, tried_rows
from mlpcli.export.description import Plain, describe, n_numbers
from mlpcli.export.python_file import python_source
from mlpcli.export.standalone.predictor import Predictor
from mlpcli.model import Model
from mlpcli.storage.atomic import write_file
from mlpcli.storage.model_file import load_model
from mlpcli.storage.strict_json import format_json

Values = NDArray[np.float64]
Answer = Callable[[Sequence[Row]], Values]

# Above it an exported model is not the model.
LARGEST_DIFFERENCE = 1e-4


@dataclass(frozen=True)
class ExportResult:
    """What was written, how many numbers the networks have, and how the file was tried (None: it was not)."""

    path: str
    language: str
    n_bytes: int
    n_networks: int
    n_numbers: int
    has_labels: bool
    tried: Agreement | None


@dataclass(frozen=True)
class Language:
    """One thing to export to: its bytes, and what answers rows by these."""

    write: Callable[[Plain], bytes]
    answers_of: Callable[[bytes, Plain], Answer]


def export(weights: str, language: str, path: str, is_tried: bool = True) -> ExportResult:
    """Write the model to `path`, whole or not at all; raises MlpError, and GateMissed where the answers differ."""
    if language not in LANGUAGES:
        raise MlpError(f"--to {language}: is no language.{did_you_mean(language, tuple(LANGUAGES))}")
    model = load_model(weights)
    description = describe(model)
    data = LANGUAGES[language].write(description)
    tried = _tried(model, LANGUAGES[language].answers_of(data, description), language, weights) if is_tried else None
    write_file(path, data)
    networks, has_labels = description["networks"], model.target.task != "regression"
    return ExportResult(path, language, len(data), len(networks), n_numbers(networks), has_labels, tried)


def _tried(model: Model, answer: Answer, language: str, weights: str) -> Agreement:
    """How the exported model answers rows made for it; raises GateMissed where it does not answer as the model does."""
    found = agreement(model, tried_rows(model), answer)
    if found.n_labels or not found.difference <= LARGEST_DIFFERENCE:
        raise GateMissed(
            f"{weights}: as {language} the model answers otherwise ({found.n_labels} of {found.n_rows} labels, "
            f"probabilities or numbers up to {found.difference:.1g} apart): nothing was written."
        )
    return found


def _as_json(description: Plain) -> bytes:
    return format_json(description) + b"\n"


def _json_answers(data: bytes, description: Plain) -> Answer:
    return _answers_of(Predictor(json.loads(data)))


def _as_python(description: Plain) -> bytes:
    return python_source(description).encode()


def _python_answers(data: bytes, description: Plain) -> Answer:
    target = description["target"]
    n_labels = 0 if target["kind"] == "numbers" else len(target["names"])

    def answer(rows: Sequence[Row]) -> Values:
        with tempfile.TemporaryDirectory() as folder:
            program = Path(folder) / "exported.py"
            program.write_bytes(data)
            ended = subprocess.run([sys.executable, "-I", "-S", program], input=_csv(rows), capture_output=True)
        if ended.returncode:
            raise GateMissed(f"the exported program ends with {ended.returncode}: {ended.stderr.decode().strip()}")
        lines = csv.reader(io.StringIO(ended.stdout.decode(), newline=""))
        next(lines)
        return np.asarray([[*map(float, line[n_labels:])] for line in lines])

    return answer


def _csv(rows: Sequence[Row]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _answers_of(predictor: Predictor) -> Answer:
    return lambda rows: np.asarray([predictor.probabilities(row) for row in rows])


LANGUAGES = {
    "json": Language(_as_json, _json_answers),
    "python": Language(_as_python, _python_answers),
}
