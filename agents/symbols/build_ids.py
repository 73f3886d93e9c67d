"""Build ids: what makes bytes a name of one file."""

import enum

_BLANK = ({0x00}, {0xFF})


def is_blank(build_id: bytes) -> bool:
    """Whether all bits are equal. A tool that leaves the note unfilled writes that, so many files share it."""
    return set(build_id) in _BLANK


class BuildIdKind(enum.StrEnum):
    """What a build id is: the content of a GNU note, of Go's, or the SHA-256 of a file that has neither."""

    GNU = "gnu"
    GO = "go"
    CONTENT = "sha256"
