"""Shared arrays are restored unchanged, and changes by one process are not visible in others."""

from dataclasses import dataclass

import numpy as np

from mlpcli.search.shared_arrays import ArrayFile, SharedArray, open_arrays


@dataclass(frozen=True)
class Rows:
    X: np.ndarray
    name: str
    y: np.ndarray | None = None


def test_shared_values_are_restored_unchanged(tmp_path):
    rng = np.random.default_rng(0)
    value = {
        "rows": Rows(rng.normal(size=(3000, 7)).astype(np.float32), "train", rng.integers(0, 9, 20_000)),
        "few": np.arange(5),
        "turned": np.asfortranarray(rng.normal(size=(500, 40))),
    }
    file = ArrayFile(str(tmp_path / "arrays"))
    shared = file.share(value)
    file.close()
    assert isinstance(shared["rows"].X, SharedArray)
    assert shared["few"] is value["few"]
    first, second = open_arrays(shared), open_arrays(shared)
    for opened in (first, second):
        np.testing.assert_array_equal(opened["rows"].X, value["rows"].X)
        np.testing.assert_array_equal(opened["rows"].y, value["rows"].y)
        np.testing.assert_array_equal(opened["turned"], value["turned"])
        assert opened["rows"].X.dtype == np.float32
        assert opened["rows"].name == "train"
    first["rows"].X[0, 0] = 99
    assert second["rows"].X[0, 0] == value["rows"].X[0, 0] != 99
