"""`mlp export`: a model as a file of another language, and the proof that it answers as the model does."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

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
    answers_of: Callable[[bytes], Answer]


def export(weights: str, language: str, path: str, is_tried: bool = True) -> ExportResult:
    """Write the model to `path`, whole or not at all; raises MlpError, and GateMissed where the answers differ."""
    if language not in LANGUAGES:
        raise MlpError(f"--to {language}: is no language.{did_you_mean(language, tuple(LANGUAGES))}")
    model = load_model(weights)
    description = describe(model)
    data = LANGUAGES[language].write(description)
    tried = _tried(model, LANGUAGES[language].answers_of(data), language, weights) if is_tried else None
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


def _json_answers(data: bytes) -> Answer:
    return _answers_of(Predictor(json.loads(data)))


def _as_python(description: Plain) -> bytes:
    return python_source(description).encode()


def _python_answers(data: bytes) -> Answer:
    program = ModuleType("exported")
    exec(compile(data, "exported.py", "exec"), program.__dict__)
    return _answers_of(program.__dict__["PREDICTOR"])


def _answers_of(predictor: Any) -> Answer:
    return lambda rows: np.asarray([predictor.probabilities(row) for row in rows])


LANGUAGES = {
    "json": Language(_as_json, _json_answers),
    "python": Language(_as_python, _python_answers),
}
