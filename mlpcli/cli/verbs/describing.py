"""Descriptions of data, networks, trainings, targets and postprocessing, common to all verbs."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlpcli.messages import format_count, format_list, format_number

if TYPE_CHECKING:
    from mlpcli.data.targets.target import Target
    from mlpcli.model import Model
    from mlpcli.nn.network import Network
    from mlpcli.workflows.preparing.preparation import Prepared


def describe_target(target: "Target") -> str:
    """`3 classes`, `target price`, `targets a, b`."""
    if target.kind == "classes":
        return f"{len(target.labels)} classes"
    return f"{'target' if len(target.names) == 1 else 'targets'} {', '.join(target.names)}"


def score_headings(splits: Sequence[str], chosen: Mapping[str, Sequence[str]]) -> list[str]:
    """The names of the splits, with a star if something was `chosen` on their rows, which `chosen_remark` names."""
    return [f"{split}*" if chosen.get(split) else split for split in splits]


def chosen_remark(chosen: Mapping[str, Sequence[str]], model: "Model") -> str:
    """`* chosen on these rows: the epoch, temperature 1.31; such scores are optimistic`; "" if nothing was chosen.

    With a temperature it adds that the probabilities are calibrated.
    """
    values = {name: model.target_state.get(name) for name in ("temperature", "threshold")}
    chosen_values = {quantity: values.get(quantity) for names in chosen.values() for quantity in names}
    texts = [
        f"the {quantity}"
        if value is None
        else f"{quantity} {format_list([format_number(item) for item in value.tolist()])}"
        for quantity, value in chosen_values.items()
    ]
    calibrated = ". Probabilities are calibrated" if "temperature" in chosen_values else ""
    return f"* chosen on these rows: {', '.join(texts)}; such scores are optimistic{calibrated}" if texts else ""


def describe_postprocessing(model: "Model") -> str:
    """The postprocessing of predictions: `temperature 1.31 · threshold 0.372`; "" if there is none."""
    state, target = model.target_state, model.target
    texts: list[str] = []
    if target.kind == "numbers" and target.transform in ("log", "quantile"):
        texts.append(target.transform)
    if target.kind == "numbers" and target.fitted:
        predicted = f"{target.fitted[1]:g} is the prediction"
        texts.append(f"quantiles {format_list([f'{level:g}' for level in target.fitted])}, of which {predicted}")
    if "temperature" in state:
        texts.append(f"temperature {format_number(float(state['temperature'][0]))}")
    if "threshold" in state:
        texts.append(
            f"threshold {format_list([format_number(threshold) for threshold in state['threshold'].tolist()])}"
        )
    if "target_low" in state:
        ranges = zip(state["target_low"].tolist(), state["target_high"].tolist(), strict=True)
        texts.append(f"clamped to {format_list([f'{low:.10g} to {high:.10g}' for low, high in ranges])}")
    return " · ".join(texts)


def describe_data(prepared: "Prepared") -> str:
    """`344 rows: 275 train, 69 validation · 6 columns -> 11 inputs · 3 classes`."""
    splits = [split for split in prepared.splits if prepared.folds is None or split is not prepared.validation]
    splits += [prepared.calibration] if prepared.calibration is not None else []
    sizes = ", ".join(format_count(len(split.truth), split.name, split.name) for split in splits)
    if prepared.folds is not None:
        repeats = f" x {len(prepared.folds)} repeats" if prepared.folds.ndim > 1 else ""
        sizes = sizes.replace(" train", f" train in {int(prepared.folds.max()) + 1} folds{repeats}", 1)
    n_rows = sum(len(split.truth) for split in splits)
    target = prepared.target
    target_text = (
        f"{len(target.labels)} classes"
        if target.kind == "classes"
        else f"{'target' if len(target.names) == 1 else 'targets'} {format_list(target.names)}"
    )
    n_columns, n_inputs = len(prepared.preprocessor.columns), prepared.network.sizes[0]
    shape = f"{format_count(n_columns, 'column')} -> {format_count(n_inputs, 'input')}"
    return f"{format_count(n_rows, 'row')}: {sizes} · {shape} · {target_text}"


def describe_network(prepared: "Prepared") -> str:
    """`11 -> 32 -> 16 -> 3 · relu, softmax · 963 parameters`, and the number in the saved network if it differs.

    An activation of several hidden layers is named once.
    """
    network, training = prepared.network, prepared.loaded.config.model
    hidden = [function for _, function in network.dense_layers[:-1]]
    names = [*(hidden if len(set(hidden)) > 1 else hidden[:1]), network.output]
    dropout = f" · dropout {training.dropout:g}" if training.dropout else ""
    sizes = " -> ".join(map(str, network.sizes))
    n_members = len(prepared.networks)
    members = f" · {n_members} members" if n_members > 1 else ""
    members += f" · {seen}" if (seen := _seen_columns(prepared)) else ""
    n_shapes = len({tuple(member.sizes) for member in prepared.networks})
    sizes += f" and {format_count(n_shapes - 1, 'other shape')}" if n_shapes > 1 else ""
    n_trained = sum(member.n_parameters for member in prepared.networks)
    n_saved = prepared.n_saved_parameters
    parameters = format_count(n_trained, "parameter") + (
        f" ({format_count(n_saved, 'in the file', 'in the file')})" if n_saved != n_trained else ""
    )
    drawn = f" · drawn: {shown_draws(prepared.drawn)}" if prepared.drawn else ""
    return f"{sizes} · {', '.join(names)}{members} · {parameters}{dropout}{drawn}"


def _seen_columns(prepared: "Prepared") -> str:
    """`4 to 5 of 6 columns each`, the columns that a member sees; "" if all members see all columns."""
    counts, n_columns = prepared.n_seen_columns, len(prepared.preprocessor.columns)
    ends = " to ".join(map(str, sorted({min(counts), max(counts)})))
    return f"{ends} of {n_columns} columns each" if min(counts) < n_columns else ""


def shown_draws(drawn: Sequence[Mapping[str, Any]]) -> str:
    """The values drawn by the members: `sigma 0.012 to 7.9, dropout 0.1 to 0.4, layers of 3 kinds`."""
    parts = []
    for key in drawn[0] if drawn else ():
        values = [member[key] for member in drawn]
        name = key.rpartition(".")[2].replace("_", " ")
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
            ends = dict.fromkeys(map(drawn_text, (min(values), max(values))))
            parts.append(f"{name} {' to '.join(ends)}")
        else:
            texts = list(dict.fromkeys(drawn_text(value) for value in values))
            parts.append(f"{name} {' or '.join(texts)}" if len(texts) <= 2 else f"{name} of {len(texts)} kinds")
    return ", ".join(parts)


def drawn_text(value: Any) -> str:
    """A drawn value as in the config."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {drawn_text(item)}' for key, item in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(drawn_text, value))}]"
    if isinstance(value, float):
        return f"{value:.3g}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def layers_remark(networks: Sequence["Network"]) -> str:
    """Remarks on a table of layers: which member it shows, and why W1 does not have a column for each input.

    The table shows the first network; the parameters of all are counted if they have the same depth.
    """
    network, n_members = networks[0], len(networks)
    n_read = next(parameter.tensor.shape[1] for parameter in network.tensors if parameter.name == "W1")
    n_alike = sum(len(member.dense_layers) == len(network.dense_layers) for member in networks)
    counted = f"all {n_members}" if n_alike == n_members else f"the {n_alike} of {n_members} with this depth"
    remarks = [f"W of the first member, parameters of {counted}"] if n_members > 1 else []
    if n_read != network.sizes[0]:
        made = f"computed from the {network.sizes[0]} inputs by embeddings or column masks"
        remarks.append(f"layer 1 reads {n_read} values, {made}")
    return "; ".join(remarks)


def describe_training(prepared: "Prepared") -> str:
    """`sgd 0.05, momentum 0.9, cosine · batch 32 · cross_entropy`."""
    spec, optimizer = prepared.spec, prepared.spec.update.optimizer
    rule = [f"{optimizer.name} {optimizer.learning_rate:g}"]
    momentum = getattr(optimizer, "momentum", 0.0)
    rule += [f"momentum {momentum:g}"] if momentum else []
    rule += [f"weight decay {optimizer.weight_decay:g}"] if optimizer.weight_decay else []
    rule += [spec.schedule.name] if spec.schedule.name != "constant" else []
    smoothing = prepared.label_smoothing
    smoothed = f", label smoothing {smoothing:g}" if smoothing else ""
    return f"{', '.join(rule)} · batch {spec.batch_size} · {spec.loss.name}{smoothed}"
