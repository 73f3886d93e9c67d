"""Build ids: what makes bytes a name of one file."""

_BLANK = ({0x00}, {0xFF})


def is_blank(build_id: bytes) -> bool:
    """Whether all bits are equal. A tool that leaves the note unfilled writes that, so many files share it."""
    return set(build_id) in _BLANK
