"""How every verb shows targets, and which scores come first."""

from mlpcli.data.targets.target import ClassTarget, NumberTarget, Target
from mlpcli.messages import listed, number
from mlpcli.model import Model


def describe_target(target: Target) -> str:
    """`3 classes`, `target price`, `targets a, b`."""
    if isinstance(target, ClassTarget):
        return f"{len(target.labels)} classes"
    return f"{'target' if len(target.names) == 1 else 'targets'} {', '.join(target.names)}"


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
