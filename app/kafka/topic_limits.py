"""How large a record may be that a topic takes: what its options say, which may be less than it was made with.

A broker refuses a whole batch that is larger than the limit, with all records in it. So producers must make smaller
batches where a limit is smaller.
"""

from collections.abc import Iterable
from typing import Final

from confluent_kafka.admin import AdminClient

from app.kafka.topic_options import topic_options

OPTION: Final = "max.message.bytes"

FRAMING_BYTES: Final = 4 << 10
"""Room for a record's key and framing, and for its batch's header."""


def topic_limits(admin: AdminClient, names: Iterable[str]) -> dict[str, int]:
    """Limits of topics, named in full, in bytes of a batch as it is stored.

    Topics whose options we may not read, or cannot now, are left out.
    """
    return {name: int(value) for name, value in topic_options(admin, names, OPTION).items()}
