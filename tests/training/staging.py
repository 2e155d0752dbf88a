"""Small trainings."""

import numpy as np

from mlpcli.nn.build import HiddenSpec, perceptron
from mlpcli.nn.losses import CrossEntropy
from mlpcli.nn.network import Network
from mlpcli.nn.optimizers import Adam
from mlpcli.nn.schedules import Cosine
from mlpcli.nn.steps import UpdateSpec
from mlpcli.training.dataset import Dataset
from mlpcli.training.member import Member, TrainingSpec

SPEC = TrainingSpec(
    CrossEntropy(),
    UpdateSpec(optimizer=Adam(learning_rate=0.01), gradient_clip=0.5),
    Cosine(warmup=1.5),
    batch_size=16,
    epochs=6,
)


def network(*hidden, activation="relu", dropout=0.3, n_in=3, n_out=2, **more):
    """A classifier."""
    layers = perceptron(n_in, hidden, n_out, [activation] * len(hidden), "softmax", HiddenSpec(dropout=dropout, **more))
    return Network(n_in, layers, "softmax")


def dataset(n_rows=50, seed=0, dtype=np.float32):
    """Two classes a line can part, with row weights; 50 rows leave a last batch of 2 after three of 16."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 3)).astype(dtype)
    codes, weights = (X.sum(axis=1) > 0).astype(np.int8), rng.uniform(0.2, 2.0, n_rows)
    return Dataset(X, codes, np.eye(2, dtype=dtype), (weights / weights.mean()).astype(dtype))


def members(n=3, n_rows=50):
    """Members that differ in depth and width."""
    return [Member(number, network(8 + number, *(6,) * (number % 3)), n_rows) for number in range(n)]
