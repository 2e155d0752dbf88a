"""Gates checked against the metrics of a model before any row is read."""

from collections.abc import Sequence

from mlpcli.data.targets.target import prediction_names
from mlpcli.errors import MlpError
from mlpcli.evaluation.conformal.metrics import INTERVAL_KEYS, SET_KEYS, further_keys
from mlpcli.evaluation.gates import Gate, evaluate_gates, fault_of
from mlpcli.evaluation.uncertainty.intervals import gate_names
from mlpcli.model import Model
from mlpcli.workflows.predicting.intervals import quantile_of


def check_gates(model: Model, gates: Sequence[Gate], has_level: bool = False) -> None:
    """Raise MlpError for a gate on an unknown metric, and for a gate that no model can meet.

    With `has_level`, gates on the coverage and size of prediction intervals or sets are allowed.
    """
    target = model.target
    names = prediction_names(target)
    for gate in gates:
        if fault := fault_of(gate):
            raise MlpError(f"gate {gate.text}: {fault}")
        if gate.metric.partition("[")[0].partition(".")[0] in (*INTERVAL_KEYS, *SET_KEYS) and not has_level:
            raise MlpError(
                f"gate {gate.text}: needs prediction intervals or sets. Add them, for example with --interval 0.9"
            )
    further = further_keys(target.task, names, has_level, quantile_of(model) is not None)
    evaluate_gates(gates, dict.fromkeys(gate_names(target.task, names, further), 0.0))
