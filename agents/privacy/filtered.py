"""The types that only the privacy filter makes: Avro bytes that may leave, and what was done to get there.

Everything that encodes for a public topic takes these and nothing else, so a value that no filter has seen cannot be
encoded by mistake: it has the wrong type. A test holds that no other package makes them. This module refuses to know
rules and policies.
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
