"""A training on the shards of a cluster, as it is prepared and recorded."""

from dataclasses import replace

from mlpcli.workflows.engines import EngineChoice
from mlpcli.workflows.preparing.preparation import Prepared
from mlpcli.workflows.sharded.inputs import sharded

CLUSTER = "cluster"  # the engine, in records


def on_shards(prepared: Prepared) -> Prepared:
    """The same with the cluster as its engine: NumPy on each worker, with one thread."""
    there = sharded(prepared.train.samples)
    assert there is not None
    n_rows = [len(rows) for rows in there.rows_of]
    reason = f"{len(n_rows)} shards of {min(n_rows)} to {max(n_rows)} training rows, synchronous rounds"
    return replace(prepared, engine=EngineChoice(CLUSTER, reason), n_threads=1)
