"""A training on the shards of a cluster, as it is prepared and recorded."""

from dataclasses import replace

from mlpcli.messages import count
from mlpcli.workflows.engines import EngineChoice
from mlpcli.workflows.preparing.preparation import Prepared
from mlpcli.workflows.sharded.inputs import sharded

CLUSTER = "cluster"  # the engine, in records


def on_shards(prepared: Prepared) -> Prepared:
    """The same with the cluster as its engine: NumPy on each worker, with one thread."""
    there = sharded(prepared.train.samples)
    assert there is not None
    n_rows = [len(rows) for rows in there.rows_of]
    sizes = f"{min(n_rows)} to {max(n_rows)}" if len(n_rows) > 1 else f"{n_rows[0]}"
    reason = f"{count(len(n_rows), 'shard')} of {sizes} training rows, synchronous rounds"
    return replace(prepared, engine=EngineChoice(CLUSTER, reason), n_threads=1)
