"""Numba forgets compiled code when the file that is called has changed: that file knows all others."""

import hashlib

from tests.program import ROOT

PACKAGE = ROOT / "mlpcli"


def digest():
    others = [PACKAGE / name for name in ("extras/coverage.py", "nn/activations.py", "nn/stepping.py")]
    files = [*(PACKAGE / "extras/loops").glob("*.py"), *others]
    texts = b"".join(path.name.encode() + path.read_bytes() for path in sorted(files))
    return hashlib.sha256(texts).hexdigest()[:16]


def test_the_file_of_the_compiled_functions_changes_with_those_that_they_are_made_of():
    kernels = (PACKAGE / "extras/kernels.py").read_text("utf-8")
    assert f'SOURCES = "{digest()}"' in kernels, f'write SOURCES = "{digest()}"'
