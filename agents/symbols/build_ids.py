"""Build ids: what makes bytes a name of one file."""

import enum
from typing import Final

_BLANK = ({0x00}, {0xFF})

_KERNEL_BYTES: Final = range(8, 21)
"""The kernel hands out 20 bytes at most (BUILD_ID_SIZE_MAX in include/linux/buildid.h)."""

_TEXT_BYTES: Final = 16
"""So many printable characters are a text that somebody put there: one digest in ten million looks like that."""


def is_blank(build_id: bytes) -> bool:
    """Whether all bits are equal. A tool that leaves the note unfilled writes that, so many files share it."""
    return set(build_id) in _BLANK


def told_build_id(build_id: bytes) -> str | None:
    """The build id of a loader event in hex digits, or None if it names no file: a wrong length, a text, equal bits."""
    if len(build_id) not in _KERNEL_BYTES or _is_text(build_id) or is_blank(build_id):
        return None
    return build_id.hex()


def _is_text(build_id: bytes) -> bool:
    return len(build_id) >= _TEXT_BYTES and build_id.isascii() and build_id.decode("ascii").isprintable()


class BuildIdKind(enum.StrEnum):
    """What a build id is: the content of a GNU note, of Go's, or the SHA-256 of a file that has neither."""

    GNU = "gnu"
    GO = "go"
    CONTENT = "sha256"
