"""How long the texts of events may be that are kept, counted by or printed, and how longer ones are cut.

A place or a symbol is chosen by whoever runs a process on a node. Rows, answers and keys hold several of them each, and
Kafka refuses a record that is too large, so a text without a limit could end the stage that counts it.
"""

from hashlib import blake2b
from typing import Final

MAX_PLACE_CHARS: Final = 512
"""Of a pod, namespace, image, node, workload or build id: twice what Kubernetes and registries allow."""

MAX_SYMBOL_CHARS: Final = 4_096
"""Of a symbol, or of a module's path, which a kernel does not let grow longer; no index keeps longer names."""

_DIGEST_BYTES: Final = 16
_CUT: Final = "~"


def cut_text(text: str, max_chars: int) -> str:
    """The text, cut to `max_chars` where it is longer.

    A cut text ends in `~` and 32 hex digits, the digest of the whole text: texts that differ stay different.
    """
    if len(text) <= max_chars:
        return text
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).hexdigest()
    return text[: max_chars - len(_CUT) - len(digest)] + _CUT + digest


def cut_place(text: str) -> str:
    """The name of a place within its limit."""
    return cut_text(text, MAX_PLACE_CHARS)


def cut_symbol(text: str) -> str:
    """A symbol or a module's path within its limit."""
    return cut_text(text, MAX_SYMBOL_CHARS)
