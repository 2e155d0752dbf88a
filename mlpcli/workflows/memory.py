"""What a training takes in memory, and what it may."""

from mlpcli.machine import peak_memory
from mlpcli.nn.network import SCORING_ROWS
from mlpcli.nn.parameters import count_parameters
from mlpcli.workflows.data_store import BASE_BYTES, memory_limit
from mlpcli.workflows.engines import runs_compiled_epochs
from mlpcli.workflows.fitting import fresh_state
from mlpcli.workflows.preparation import Prepared


def training_memory(prepared: Prepared) -> int:
    """Bytes of the inputs (in memory) and targets of each part, the network's buffers and the optimizer's state."""
    dtype, n_members, n_threads = prepared.train.samples.X.dtype, prepared.network.members, prepared.n_threads
    item = dtype.itemsize
    is_on_disk = prepared.plan.chunk_rows is not None
    samples = sum(part.samples.y.nbytes + (0 if is_on_disk else part.samples.X.nbytes) for part in prepared.parts)
    widths = sum(prepared.network.widths) * n_members
    rows = prepared.plan.batch_size * 5 + (SCORING_ROWS * 4 if len(prepared.parts) > 1 else 0)
    n_parameters = count_parameters(prepared.network)
    n_states = sum(values.size == n_parameters for values in fresh_state(prepared).optimizer.values())
    vectors = 5 + n_states
    if n_members > 1:
        vectors += 1 + n_states  # each group of members works on a copy of its own
    elif n_threads > 1 and not runs_compiled_epochs(prepared.engine, prepared.network, prepared.plan, dtype):
        vectors += n_threads  # each thread has a gradient of its rows,
        rows += prepared.plan.batch_size * 2  # and what they exchange is laid side by side
    return samples + rows * widths * item + vectors * n_parameters * item


def refuse_over_budget(prepared: Prepared) -> None:
    """Raise ConfigError where the training would need more memory than its budget, or has taken more already."""
    budget = memory_limit(prepared.loaded)
    if budget is None:
        return
    taken, needed = peak_memory(), training_memory(prepared)
    # On disk it is a budget for the rows, beside which the program itself needs some.
    limit = budget + (BASE_BYTES if prepared.plan.chunk_rows is not None else 0)
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
