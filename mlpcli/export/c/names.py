"""C identifiers, comments, literals and arrays."""

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence

# Keywords of C99 and C23, and macros of the standard headers.
_KEYWORDS = """
auto break case char const continue default do double else enum extern float for goto if inline int long register
restrict return short signed sizeof static struct switch typedef union unsigned void volatile while
alignas alignof bool constexpr false nullptr static_assert thread_local true typeof typeof_unqual
NAN NULL INFINITY EOF BUFSIZ FILENAME_MAX RAND_MAX stdin stdout stderr errno
"""
KEYWORDS = frozenset(_KEYWORDS.split())
PER_LINE = 8


def identifier(name: str) -> str:
    """The name as a C identifier."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    cleaned = re.sub(r"\W+", "_", plain, flags=re.ASCII).strip("_") or "column"
    return f"c_{cleaned}" if cleaned[0].isdigit() or cleaned in KEYWORDS else cleaned


def identifiers(names: Iterable[str]) -> list[str]:
    """A distinct identifier for each name."""
    distinct: dict[str, None] = {}
    for name in map(identifier, names):
        number, own = 1, name
        while own in distinct:
            number += 1
            own = f"{name}_{number}"
        distinct[own] = None
    return list(distinct)


def comment_safe(text: str) -> str:
    """A text from the user's table, escaped so that it cannot end a comment."""
    return json.dumps(text).replace("*", "\\u002a").replace("?", "\\u003f").replace("/", "\\/")


def strings(texts: Iterable[str]) -> list[str]:
    """Texts as string literals in UTF-8, with non-ASCII bytes as octal escapes."""
    plain = frozenset(range(32, 127)) - frozenset(b'"\\?')
    spelled = ("".join(chr(byte) if byte in plain else f"\\{byte:03o}" for byte in text.encode()) for text in texts)
    return [f'"{text}"' for text in spelled]


def floats(values: Iterable[float]) -> list[str]:
    """Numbers as float literals that round-trip."""
    texts = (f"{value:.9g}" for value in values)
    return [f"{text}f" if re.search("[.e]", text) else f"{text}.0f" for text in texts]


def declared(kind: str, items: Sequence[str]) -> str:
    """The definition of an array; `kind` ends in its name."""
    lines = [", ".join(items[start : start + PER_LINE]) for start in range(0, len(items), PER_LINE)]
    return f"{kind}[{len(items)}] = {{\n    " + ",\n    ".join(lines) + "\n};\n"


def array(kind: str, values: Sequence[float]) -> str:
    """The definition of an array of doubles."""
    return declared(kind, [repr(float(value)) for value in values])
