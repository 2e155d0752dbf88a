"""Numba forgets compiled code when the file that is called has changed: that file knows all others."""

import hashlib
from pathlib import Path

import pytest

from tests.program import ROOT

PACKAGE = ROOT / "mlpcli"


def digest():
    others = [PACKAGE / name for name in ("nn/activations.py", "nn/layers.py", "nn/steps.py")]
    files = [
        path
        for path in (PACKAGE / "compiled").glob("*.py")
        if path.name not in ("epoch.py", "trainer.py", "program.py", "division.py")
    ]
    texts = b"".join(path.name.encode() + path.read_bytes() for path in sorted([*files, *others]))
    return hashlib.sha256(texts).hexdigest()[:16]


def test_the_file_of_the_compiled_function_changes_with_those_that_it_is_made_of():
    epoch = (PACKAGE / "compiled/epoch.py").read_text("utf-8")
    assert f'SOURCES = "{digest()}"' in epoch, f'write SOURCES = "{digest()}"'


def test_a_cache_of_other_sources_is_not_opened():
    """It may name classes that are gone: then it cannot be read."""
    pytest.importorskip("numba")
    from mlpcli.compiled.epoch import SOURCES, run_steps

    assert SOURCES in Path(run_steps._cache._cache_file._index_path).name


def test_no_compiled_function_counts_references_to_arrays():
    pytest.importorskip("numba")
    from mlpcli.compiled import epoch, kernels, updates

    modules = (epoch, kernels, updates)
    functions = [value for module in modules for value in vars(module).values() if hasattr(value, "py_func")]
    assert len(functions) > 20
    assert [run.py_func.__name__ for run in functions if run.targetoptions.get("_nrt") is not False] == []
