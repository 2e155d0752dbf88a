"""(14) Data-parallel training: rounds measured on this machine, and steps of 2 to 256 workers simulated."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.printing import markdown_table, write_between
from mlpcli.cluster.connection import connected
from mlpcli.cluster.pool import ShardPool, connect_directly
from mlpcli.nn.build import HiddenSpec, perceptron
from mlpcli.nn.losses import CrossEntropy
from mlpcli.nn.network import LossAndGradient, Network
from mlpcli.training.threads import blas_threads
from mlpcli.workflows.sharded.round_times import RoundTimes

Values = NDArray[np.float64]
WORKERS = (2, 4, 8, 16, 64, 256)
MEASURED = (1, 2, 4, 8)  # objects of a round, on two processes of this machine
DRAWS = 200
ADAM = 3  # arrays of a round with local steps: parameters, and both moments


@dataclass(frozen=True)
class Work:
    """A network and its batches."""

    sizes: tuple[int, ...]
    batch: int

    @property
    def n_parameters(self) -> int:
        """Weights and biases."""
        return sum(n_in * n_out + n_out for n_in, n_out in zip(self.sizes, self.sizes[1:], strict=False))

    @property
    def n_bytes(self) -> int:
        """Bytes of a message: the parameters, or the gradient, in float32."""
        return 4 * self.n_parameters


WORKS = {
    "small": Work((20, 64, 64, 2), 1024),
    "medium": Work((100, 300, 300, 10), 4096),
    "large": Work((200, 1024, 1024, 10), 4096),
}


@dataclass(frozen=True)
class Costs:
    """Seconds that the messages of a worker take on the master, sequentially, and the latencies of its response.

    The first is CPU time of the master, which other programs hardly affect. Latencies of simulated workers are drawn
    from the measured `latencies`.
    """

    per_message: float
    latencies: tuple[float, ...]


class Echo:
    """A worker that returns a gradient of zeros immediately."""

    def gradient(self, flat: Any) -> tuple[float, Any]:
        """Zeros of the size of the parameters."""
        return 0.0, np.zeros_like(flat)


def run(quick: bool, only: str | None, page: Path | None) -> dict[str, Any]:
    """Measure rounds and gradients, and simulate."""
    works = {name: work for name, work in WORKS.items() if only in (None, name)}
    found: dict[str, Any] = {}
    costs = measure_rounds(works, 3 if quick else 12)
    for name, work in works.items():
        gradients = measure_gradients(work, 1 if quick else 3)
        found[name] = {
            "work": asdict(work) | {"bytes": work.n_bytes},
            "costs": asdict(costs[name]),
            "gradient_seconds": gradients,
            "simulated": {str(n): simulated(work, costs[name], gradients, n) for n in WORKERS},
        }
    text = "\n\n".join(tables(found))
    print(f"\n{text}")
    if page:
        write_between(page, "scale", text)
    return found


def measure_rounds(works: Mapping[str, Work], n_times: int) -> dict[str, Costs]:
    """The costs of rounds without computation, by work."""
    seconds: dict[str, dict[int, list[tuple[float, float]]]] = {name: {} for name in works}
    with connected("local:2") as client, client.as_current():
        connect_directly(client)
        for n in MEASURED:
            pool = ShardPool(client, Echo, lambda shard: (), n)
            for name, work in works.items():
                flat = np.zeros(work.n_parameters, np.float32)
                seconds[name][n] = [_seconds_of_round(pool, flat) for _ in range(n_times + 1)][1:]
    return {name: _costs(own) for name, own in seconds.items()}


def _seconds_of_round(pool: ShardPool, flat: Any) -> tuple[float, float]:
    """Seconds of a round, and CPU seconds of the master."""
    started, processor = perf_counter(), process_time()
    total = np.zeros_like(flat)
    for _, gradient in pool.call("gradient", lambda shard: (flat,)):
        total += gradient
    return perf_counter() - started, process_time() - processor


def _costs(seconds: Mapping[int, Sequence[tuple[float, float]]]) -> Costs:
    """Costs from a line through the minimal CPU times over the number of objects; other programs only add time."""
    least = [min(processor for _, processor in own) for own in seconds.values()]
    per_message = max(0.0, float(np.polyfit(np.array(list(seconds), np.float64), least, 1)[0]))
    faster_half = sorted(clock for clock, _ in seconds[1])[: max(1, len(seconds[1]) // 2)]
    return Costs(per_message, tuple(max(0.0, own - per_message) for own in faster_half))


def measure_gradients(work: Work, n_times: int) -> dict[int, float]:
    """CPU time of a gradient on one thread, by number of rows: the whole batch, and the parts of the workers."""
    n_in, *hidden, n_out = work.sizes
    layers = perceptron(n_in, hidden, n_out, ["relu"] * len(hidden), "softmax", HiddenSpec())
    network = Network(n_in, layers, "softmax")
    rng = np.random.default_rng(0)
    flat = network.init(rng)
    gradient, found = np.empty_like(flat), {}
    with blas_threads(1):
        for n_rows in sorted({max(1, work.batch // n) for n in (1, *WORKERS)}):
            X = rng.normal(size=(n_rows, work.sizes[0])).astype(np.float32)
            y = np.eye(work.sizes[-1], dtype=np.float32)[rng.integers(work.sizes[-1], size=n_rows)]
            cost = LossAndGradient(network, CrossEntropy(), flat, gradient)
            times = []
            for _ in range(n_times + 1):
                started = process_time()
                cost(X, y)
                times.append(process_time() - started)
            found[n_rows] = min(times[1:])
    return found


def simulated(work: Work, costs: Costs, gradients: Mapping[int, float], n: int) -> dict[str, float]:
    """Seconds of a step of `n` workers, in synchronous rounds and with the local steps that `auto` takes."""
    share, whole = gradients[max(1, work.batch // n)], gradients[work.batch]
    rng = np.random.default_rng(n)
    latencies = rng.choice(costs.latencies, (DRAWS, n))
    taken = float(np.mean([seconds_of_round(share + own, costs.per_message) for own in latencies]))
    exchange = float(np.mean([seconds_of_round(own, ADAM * costs.per_message) for own in latencies]))
    times = RoundTimes(share, whole, taken, exchange)
    return {
        "share": share,
        "whole": whole,
        "sync": taken,
        "local_steps": times.local_steps,
        "local": times.step_seconds(times.local_steps),
    }


def seconds_of_round(workers: Values, per_message: float) -> float:
    """Seconds of a round in which each of `workers` (n,) takes so many seconds to respond.

    The master sends and receives messages sequentially, in half of `per_message` each.
    """
    half = per_message / 2
    arrivals = np.sort(half * np.arange(1, len(workers) + 1) + workers)
    now = half * len(workers)
    for arrival in arrivals.tolist():
        now = max(now, arrival) + half
    return float(now)


def tables(found: Mapping[str, Any]) -> list[str]:
    """Tables of the measured and the simulated times."""
    header = ["work", "parameters", "batch", "bytes a step and worker", "gradient, one core", "message", "latency"]
    measured = [
        [
            name,
            f"{(own['work']['bytes'] // 4):,}".replace(",", " "),
            str(own["work"]["batch"]),
            f"{2 * own['work']['bytes'] / 1e6:.2g} MB",
            _ms(own["gradient_seconds"][own["work"]["batch"]]),
            _ms(own["costs"]["per_message"]),
            _ms(float(np.median(own["costs"]["latencies"]))),
        ]
        for name, own in found.items()
    ]
    columns = ["work", "one core", *(f"{n} workers" for n in WORKERS)]
    rounds, local = [], []
    for name, own in found.items():
        by_n = own["simulated"]
        whole = _ms(by_n[str(WORKERS[0])]["whole"])
        rounds.append([name, whole, *(_with_speedup(by_n[str(n)], "sync") for n in WORKERS)])
        local.append([name, whole, *(f"{_with_speedup(by_n[str(n)], 'local')}" for n in WORKERS)])
    return [
        "Measured:\n\n" + markdown_table(header, measured),
        "Time of a step in synchronous rounds (in parentheses: speed relative to one core):\n\n"
        + markdown_table(columns, rounds),
        "Time of a step with the number of local steps that the command chooses, and Adam:\n\n"
        + markdown_table(columns, local),
    ]


def _with_speedup(own: Mapping[str, float], key: str) -> str:
    return f"{_ms(own[key])} ({own['whole'] / own[key]:.2g})"


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.2g} ms" if seconds < 0.0995 else f"{seconds * 1e3:.0f} ms"
