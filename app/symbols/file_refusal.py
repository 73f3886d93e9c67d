"""Why a file gets no symbol index: a closed set, so that reports and tests can count on the words."""

import enum


class FileRefusalReason(enum.Enum):
    """Reasons; values are what people read."""

    NOT_ELF = "no ELF file"
    NOT_LINKED = "an object or core file, not a program or library"
    NOT_A_FILE = "not a regular file"
    UNREADABLE = "cannot be read"
    TOO_LARGE = "larger than the limit on files"
    MALFORMED = "malformed"
    UNSUPPORTED = "for a platform whose function symbols do not point at code"
    UNKNOWN_COMPRESSION = "packed in a way that callstream does not know"
    OVER_LIMIT = "claims more than the limits allow"
    TOO_SLOW = "took longer than the limit on time"
    READER_DIED = "ended the process that read it"
    NO_CODE = "debug information without its program or library; add that first, or both together"
    CONFLICT = "another file with this build id is in the store, with different code"


class FileRefusedError(Exception):
    """A file is refused for `reason`; raised and caught inside the reading process only."""

    def __init__(self, reason: FileRefusalReason, detail: str = "") -> None:
        super().__init__(reason.value, detail)
        self.reason = reason
        self.detail = detail
