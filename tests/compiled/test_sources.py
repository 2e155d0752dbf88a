"""Numba forgets compiled code when the file that is called has changed: that file knows all others."""

import hashlib

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
