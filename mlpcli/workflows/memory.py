"""What a training takes in memory, and what it may."""

from mlpcli.machine import peak_memory
from mlpcli.training.ensemble import JUDGED_ROWS
from mlpcli.workflows.data_store import BASE_BYTES, memory_limit
from mlpcli.workflows.initial_state import fresh_state
from mlpcli.workflows.preparation import Prepared


def training_memory(prepared: Prepared) -> int:
    """Bytes of the inputs (in memory) and targets of each part, the network's buffers and the optimizer's state."""
    item = prepared.train.samples.X.dtype.itemsize
    is_on_disk = prepared.spec.chunk_rows is not None
    samples = sum(part.samples.y.nbytes + (0 if is_on_disk else part.samples.X.nbytes) for part in prepared.parts)
    states = fresh_state(prepared).members
    vectors = sum(state.flat.size * (4 + 2 * len(state.optimizer)) for state in states)
    rows = prepared.spec.batch_size * 5 + (JUDGED_ROWS * 4 if len(prepared.parts) > 1 else 0)
    widths = sum(sum(network.chain.widths(network.n_in)) for network in prepared.networks)
    return samples + (rows * widths + vectors) * item


def refuse_over_budget(prepared: Prepared) -> None:
    """Raise ConfigError where the training would need more memory than its budget, or has taken more already."""
    budget = memory_limit(prepared.loaded)
    if budget is None:
        return
    taken, needed = peak_memory(), training_memory(prepared)
    # On disk it is a budget for the rows, beside which the program itself needs some.
    limit = budget + (BASE_BYTES if prepared.spec.chunk_rows is not None else 0)
    if max(taken, needed) <= limit:
        return
    if needed <= limit < BASE_BYTES:
        raise prepared.loaded.error("budget.memory", f"the program itself takes about {shown(BASE_BYTES)}. Raise it.")
    what = f"the training needs about {shown(needed)}" if needed > limit else f"reading the data took {shown(taken)}"
    raise prepared.loaded.error(
        "budget.memory",
        f"{what}, the budget is {shown(budget)}. Raise it, or use fewer rows, columns or neurons.",
    )


def shown(n_bytes: int) -> str:
    """`420 MB`, `2.15 GB`."""
    return f"{n_bytes / 1e9:.3g} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.3g} MB"
