"""Alternating measurements, medians, line fits, and a description of the machine."""

import datetime
import os
import platform
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter
from typing import Any

PACKAGES = (
    "numpy",
    "pandas",
    "scikit-learn",
    "torch",
    "jax",
    "numba",
    "lightgbm",
    "xgboost",
    "catboost",
    "pytabkit",
    "mlp-train",
)


def alternate(contestants: Mapping[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    """The measurements of each contestant, in `repeats` rounds of random order.

    So disturbances of the machine affect all equally, and none always follows the same other one, whose threads may
    still spin and whose data fills the caches.
    """
    found: dict[str, list[float]] = {name: [] for name in contestants}
    drawn = random.Random(0)
    for _ in range(repeats):
        for name in drawn.sample(list(contestants), len(contestants)):
            found[name].append(contestants[name]())
    return found


def summary(values: Sequence[float]) -> dict[str, Any]:
    """Median, best and all values, for JSON."""
    return {"median": statistics.median(values), "best": min(values), "all": list(values)}


@dataclass(frozen=True)
class Line:
    """y = constant + slope * x, by least squares on relative residuals; `worst` is the largest residual."""

    constant: float
    slope: float
    worst: float


def fit_line(xs: Sequence[float], ys: Sequence[float]) -> Line:
    """Fit a line with weights 1/y^2, else the largest points would dominate over several orders of magnitude."""
    weights = [1.0 / (y * y) for y in ys]
    total = sum(weights)
    mean_x = sum(w * x for w, x in zip(weights, xs, strict=True)) / total
    mean_y = sum(w * y for w, y in zip(weights, ys, strict=True)) / total
    square = sum(w * (x - mean_x) ** 2 for w, x in zip(weights, xs, strict=True))
    product = sum(w * (x - mean_x) * (y - mean_y) for w, x, y in zip(weights, xs, ys, strict=True))
    slope = product / square if square else 0.0
    constant = mean_y - slope * mean_x
    worst = max(abs(constant + slope * x - y) / y for x, y in zip(xs, ys, strict=True))
    return Line(constant, slope, worst)


def product_peak(size: int = 2048, repeats: int = 12) -> float:
    """GFLOP/s of a large float32 matrix product on all cores, the best of several."""
    import numpy as np  # a large parent would count in the measured memory of its children

    a, b = np.random.default_rng(0).standard_normal((2, size, size), np.float32)
    out = np.empty((size, size), np.float32)
    np.matmul(a, b, out=out)
    seconds = []
    for _ in range(repeats):
        started = perf_counter()
        np.matmul(a, b, out=out)
        seconds.append(perf_counter() - started)
    return 2e-9 * size**3 / min(seconds)


def machine() -> dict[str, Any]:
    """Processor, memory, versions, time and load, without names of host and user."""
    return {
        "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": _memory_gb(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load_before": load(),
        "versions": {name: _version(name) for name in PACKAGES},
    }


def load() -> list[float]:
    """Load averages over 1, 5 and 15 minutes."""
    return [round(value, 2) for value in os.getloadavg()] if hasattr(os, "getloadavg") else []


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _memory_gb() -> float | None:
    if not hasattr(os, "sysconf"):
        return None
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
