"""What a training takes in memory, and what it may: always the peak of the process."""

import numpy as np

from mlpcli.machine import held_memory, peak_memory
from mlpcli.nn.steps import init_state
from mlpcli.training.ensemble import EVALUATION_ROWS
from mlpcli.workflows.preparing.preparation import Prepared
from mlpcli.workflows.preparing.rows.data_store import BASE_BYTES, memory_limit

# Numba and LLVM, with the machine code of an epoch.
COMPILED_BYTES = 115_000_000


def expected_peak(prepared: Prepared) -> int:
    """The most bytes that the process will have held when the training ends.

    The data is held already; to come are the compiled engine, the vectors of each member and of its optimizer, the
    buffers of a step of each, and those of a block of rows that is scored.
    """
    item = prepared.train.samples.X.dtype.itemsize
    specs = prepared.member_specs or (prepared.spec,)
    # Arrays of the optimizer, each as long as the weights.
    n_arrays = max(len(init_state(spec.update, np.empty(0))) for spec in specs)
    vectors = (4 + 2 * n_arrays) * sum(network.n_parameters for network in prepared.networks)
    widths = [sum(network.chain.widths(network.n_in)) for network in prepared.networks]
    steps = 5 * max(spec.batch_size for spec in specs) * sum(widths)
    scoring = EVALUATION_ROWS * max(widths) if len(prepared.splits) > 1 else 0
    engine = COMPILED_BYTES if prepared.engine.name == "compiled" else 0
    return max(peak_memory(), held_memory() + engine + (vectors + steps + scoring) * item)


def refuse_over_budget(prepared: Prepared) -> None:
    """Raise ConfigError where the training would need more memory than its budget, or has taken more already."""
    budget = memory_limit(prepared.loaded)
    if budget is None:
        return
    taken, needed = peak_memory(), expected_peak(prepared)
    # On disk it is a budget for the rows, beside which the program itself needs some.
    limit = budget + (BASE_BYTES if prepared.spec.chunk_rows is not None else 0)
    if needed <= limit:
        return
    if taken > limit and limit < BASE_BYTES:
        raise prepared.loaded.error(
            "budget.memory", f"the program itself takes about {format_bytes(BASE_BYTES)}. Raise it."
        )
    what = (
        f"reading the data took {format_bytes(taken)}"
        if taken > limit
        else f"the training needs about {format_bytes(needed)}"
    )
    raise prepared.loaded.error(
        "budget.memory",
        f"{what}, the budget is {format_bytes(budget)}. Raise it, or use fewer rows, columns or neurons.",
    )


def format_bytes(n_bytes: int) -> str:
    """`420 MB`, `2.15 GB`."""
    return f"{n_bytes / 1e9:.3g} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.3g} MB"
