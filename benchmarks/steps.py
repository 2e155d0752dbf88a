"""(1) Training steps on the five works, alternating between all libraries."""

from typing import Any

from benchmarks.measuring import alternate, summary
from benchmarks.peers_steps import PEERS, Worker
from benchmarks.printing import print_table
from benchmarks.works import OPTIMIZERS, WORKS

PROJECT = "mlp"
# Products on two threads become several times slower if another process uses a core.
DISTURBED = 1.3


def run(quick: bool, only: str | None) -> dict[str, Any]:
    """Run the benchmark; `only` is a work or a library (this project is always included)."""
    works = [work for work in WORKS if only in (None, *PEERS) or work.name == only]
    if not works:
        return {}
    peers = [name for name in PEERS if only not in PEERS or name in (PROJECT, only)]
    workers = {name: Worker(name) for name in peers}
    peak = workers[PROJECT].product_peak()
    print(f"float32 product peak, NumPy: {peak:.1f} GFLOP/s")
    results = []
    for work in works:
        for optimizer in OPTIMIZERS:
            ready = {}
            for name, worker in workers.items():
                fault = worker.prepare(work, optimizer)
                if fault:
                    print(f"left out: {name} on {work.name}/{optimizer}: {fault}")
                else:
                    ready[name] = worker
            seconds = alternate(
                {
                    name: lambda worker=worker: worker.seconds_per_step(0.02 if quick else 0.25)
                    for name, worker in ready.items()
                },
                1 if quick else 7,
            )
            result = {
                "work": work.name,
                "sizes": work.sizes,
                "batch_size": work.batch_size,
                "optimizer": optimizer,
                "flop_per_step": work.flop_per_step,
                "seconds_per_step": {name: summary(values) for name, values in seconds.items()},
            }
            results.append(result)
            print(f"{work.title} {optimizer}: {_medians(result)}", flush=True)
    for worker in workers.values():
        worker.close()
    _print(results, peers, peak)
    return {"product_peak_gflops": peak, "works": results}


def _medians(result: dict[str, Any]) -> str:
    return " · ".join(f"{name} {s['median'] * 1e6:.4g}" for name, s in result["seconds_per_step"].items())


def _print(results: list[dict[str, Any]], peers: list[str], peak: float) -> None:
    steps, ratios, best_ratios = [], [], []
    for result in results:
        title = f"{result['work']} {'-'.join(map(str, result['sizes']))}, {result['batch_size']}, {result['optimizer']}"
        seconds = result["seconds_per_step"]
        rate = result["flop_per_step"] / seconds[PROJECT]["median"] / 1e9
        steps.append([title, *(_time(seconds.get(name)) for name in peers), f"{rate:.3g}", f"{rate / peak:.0%}"])
        ratios.append([title, *(_ratio(seconds, name, "median") for name in peers[1:])])
        best_ratios.append([title, *(_ratio(seconds, name, "best") for name in peers[1:])])
    header = "work, batch, optimizer"
    print_table("µs per training step (median)", [header, *peers, "GFLOP/s", "of peak"], steps)
    print(f"* disturbed: the median is more than {DISTURBED} x the best turn; look at the best turns instead.")
    print_table("time of mlp / time of the peer, medians", [header, *peers[1:]], ratios)
    print_table("time of mlp / time of the peer, best turns", [header, *peers[1:]], best_ratios)


def _time(found: dict[str, Any] | None) -> str:
    if found is None:
        return "-"
    return f"{found['median'] * 1e6:.4g}{'*' if found['median'] > DISTURBED * found['best'] else ''}"


def _ratio(seconds: dict[str, Any], peer: str, which: str) -> str:
    return f"{seconds[PROJECT][which] / seconds[peer][which]:.2f}" if peer in seconds else "-"
