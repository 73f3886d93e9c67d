"""The types that only the privacy filter makes: Avro bytes that may leave, and the redactions that made them.

Everything that encodes for a public topic takes these and nothing else. So a value that did not pass the filter cannot
be encoded by mistake: it has the wrong type. A test holds that no other package makes them.
"""

from typing import NamedTuple

from agents.privacy.redaction.answers import Hits


class FilteredPart(NamedTuple):
    """Avro bytes of one or several whole fields. Named tuples, because millions are looked up a minute."""

    avro: bytes
    hits: Hits


class FilteredProcess(NamedTuple):
    """A `ProcessInfo`, and the process id for the record's key."""

    avro: bytes
    hits: Hits
    process_id: bytes


class FilteredProbe(NamedTuple):
    """The fields that a probe decides, as they stand apart in the record. `probe_type` is the enum's number."""

    probe_type: int
    type_avro: bytes
    target: bytes
    details: bytes
    """syscall to tags"""
    hits: Hits
