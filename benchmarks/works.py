"""The five works of the step benchmark: layer sizes, batch size, rows and FLOPs."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEARNING_RATE = 1e-3
MOMENTUM = 0.9
OPTIMIZERS = ("sgd", "adam")


@dataclass(frozen=True)
class Work:
    """One training: relu layers of `sizes`, softmax, float32, `steps` full batches per epoch."""

    name: str
    sizes: tuple[int, ...]
    batch_size: int
    steps: int

    @property
    def n_rows(self) -> int:
        """Rows of an epoch, without a short last batch, which JAX's scan does not support."""
        return self.steps * self.batch_size

    @property
    def flop_per_step(self) -> int:
        """Multiplications and additions of a step's matrix products.

        Forward one product a layer, backward two; the first layer needs no gradient of its inputs.
        """
        products = [n_in * n_out for n_in, n_out in pairwise(self.sizes)]
        return 2 * self.batch_size * (3 * sum(products) - products[0])

    @property
    def title(self) -> str:
        """Name, sizes and batch in one cell."""
        return f"{self.name} {'-'.join(map(str, self.sizes))}, {self.batch_size}"


WORKS = (
    Work("tiny", (4, 16, 3), 32, 200),
    Work("table", (14, 64, 64, 2), 256, 80),
    Work("digits32", (784, 100, 10), 32, 200),
    Work("digits200", (784, 100, 10), 200, 50),
    Work("wide", (784, 1024, 1024, 10), 128, 40),
)


def draw_rows(work: Work) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Inputs (n_rows, n_in) and class codes (n_rows,), learnable, so that no number becomes denormal."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((work.n_rows, work.sizes[0]), np.float32)
    teacher = rng.standard_normal((work.sizes[0], work.sizes[-1]), np.float32)
    y: NDArray[Any] = np.argmax(X @ teacher + rng.standard_normal((work.n_rows, work.sizes[-1]), np.float32), axis=1)
    return X, y.astype(np.int64)
