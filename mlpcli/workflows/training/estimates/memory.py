"""Estimates the memory of a training and checks its limit; both are the peak of the whole process."""

import numpy as np

from mlpcli.machine import held_memory, peak_memory
from mlpcli.nn.steps import init_state
from mlpcli.training.ensemble import EVALUATION_ROWS
from mlpcli.workflows.preparing.preparation import Prepared
from mlpcli.workflows.preparing.rows.data_store import BASE_BYTES, memory_limit

# Bytes of Numba and LLVM, with the machine code of an epoch.
COMPILED_BYTES = 115_000_000


def expected_peak(prepared: Prepared) -> int:
    """Estimate the peak of the process's memory in bytes, up to the end of the training.

    The data is in memory already. The training adds the compiled engine, the parameter and optimizer vectors of each
    member, the buffers of its steps, and those of a chunk of rows to score.
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
    """Raise ConfigError if the training would exceed `budget.memory`, or if reading the data already has."""
    budget = memory_limit(prepared.loaded)
    if budget is None:
        return
    used, needed = peak_memory(), expected_peak(prepared)
    # For rows on disk the budget is for the rows alone, without the memory of the program.
    limit = budget + (BASE_BYTES if prepared.spec.chunk_rows is not None else 0)
    if needed <= limit:
        return
    if used > limit and limit < BASE_BYTES:
        raise prepared.loaded.error(
            "budget.memory", f"the program itself takes about {format_bytes(BASE_BYTES)}. Raise it."
        )
    what = (
        f"reading the data took {format_bytes(used)}"
        if used > limit
        else f"the training needs about {format_bytes(needed)}"
    )
    raise prepared.loaded.error(
        "budget.memory",
        f"{what}, the budget is {format_bytes(budget)}. Raise it, or use fewer rows, columns or neurons.",
    )


def format_bytes(n_bytes: int) -> str:
    """Three significant digits and a decimal unit: `420 MB`, `2.15 GB`."""
    return f"{n_bytes / 1e9:.3g} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.3g} MB"
