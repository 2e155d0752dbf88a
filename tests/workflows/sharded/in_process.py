"""Shards in this process: the computations of a cluster without a cluster."""

import os

from mlpcli.data.reading.shards import divide_files
from mlpcli.workflows.preparing.preparation import prepare
from mlpcli.workflows.sharded.shard import TrainingShard
from mlpcli.workflows.sharded.table import read_shards, training_files
from mlpcli.workflows.training.finalize import finalize
from mlpcli.workflows.training.fitting import epochs
from mlpcli.workflows.training.initial_state import initial_state
from mlpcli.workflows.training.on_shards import configure_shards


class Pool:
    """The interface of `ShardPool`; `lose` creates a shard again and repeats all broadcasts to it."""

    def __init__(self, make, arguments, n_shards):
        self.n_shards, self._make, self._arguments = n_shards, make, arguments
        self._broadcasts, self._objects = {}, [make(*arguments(shard)) for shard in range(n_shards)]

    def broadcast(self, topic, method, arguments):
        results = self.call(method, arguments)
        self._broadcasts[topic] = (method, arguments)
        return results

    def rebalance(self):
        pass

    def call(self, method, arguments, only=None, timeout=None):
        numbers = range(self.n_shards) if only is None else only
        return [getattr(self._objects[shard], method)(*arguments(shard)) for shard in numbers]

    def lose(self, shard):
        self._objects[shard] = self._make(*self._arguments(shard))
        for method, arguments in self._broadcasts.values():
            getattr(self._objects[shard], method)(*arguments(shard))


def sharded_table(loaded, n_shards):
    files = training_files(loaded)
    rows = divide_files(files.sources, n_shards)
    pool = Pool(TrainingShard, lambda shard: (loaded, files, rows[shard], os.getcwd()), n_shards)
    return read_shards(pool, files, loaded.config.data.train), pool


def trained(prepared, state=None):
    """The result of a training, and the reports of its epochs."""
    state = state or initial_state(prepared)
    reports = list(epochs(prepared, state, lambda: False))
    return finalize(prepared, state), reports


def prepared_on_shards(loaded, table, local_steps=1):
    prepared = prepare(loaded, table)
    return configure_shards(prepared, initial_state(prepared), local_steps)[0]


def trained_on_shards(loaded, n_shards, local_steps=1):
    return trained(prepared_on_shards(loaded, sharded_table(loaded, n_shards)[0], local_steps))
