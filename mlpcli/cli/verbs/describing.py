"""How every verb shows targets, and scores of rows that chose something."""

from collections.abc import Mapping, Sequence

from mlpcli.data.targets.target import ClassTarget, NumberTarget, Target
from mlpcli.messages import listed, number
from mlpcli.model import Model


def describe_target(target: Target) -> str:
    """`3 classes`, `target price`, `targets a, b`."""
    if isinstance(target, ClassTarget):
        return f"{len(target.labels)} classes"
    return f"{'target' if len(target.names) == 1 else 'targets'} {', '.join(target.names)}"


def score_headings(splits: Sequence[str], chosen: Mapping[str, Sequence[str]]) -> list[str]:
    """The names of the splits, with a star where something was `chosen` on the rows; `chosen_remarks` says what."""
    return [f"{split}*" if chosen.get(split) else split for split in splits]


def chosen_remarks(chosen: Mapping[str, Sequence[str]], model: Model | None = None) -> list[str]:
    """`* chosen on these rows: the epoch, temperature 1.31; such scores flatter`: nothing, or one line."""
    values = {} if model is None else {name: model.target_state.get(name) for name in ("temperature", "threshold")}
    found = {what: values.get(what) for names in chosen.values() for what in names}
    parts = [
        f"the {what}" if value is None else f"{what} {listed([number(one) for one in value.tolist()])}"
        for what, value in found.items()
    ]
    return [f"* chosen on these rows: {', '.join(parts)}; such scores flatter"] if parts else []


def describe_postprocessing(model: Model) -> str:
    """`temperature 1.31 · threshold 0.372`: what is done to the answers after the network; "" for nothing."""
    state, target = model.target_state, model.target
    parts: list[str] = []
    if isinstance(target, NumberTarget) and target.transform in ("log", "quantile"):
        parts.append(target.transform)
    if "temperature" in state:
        parts.append(f"temperature {number(float(state['temperature'][0]))}")
    if "threshold" in state:
        parts.append(f"threshold {listed([number(one) for one in state['threshold'].tolist()])}")
    if "target_low" in state:
        ranges = zip(state["target_low"].tolist(), state["target_high"].tolist(), strict=True)
        parts.append(f"clamped to {listed([f'{low:.10g} to {high:.10g}' for low, high in ranges])}")
    return " · ".join(parts)
