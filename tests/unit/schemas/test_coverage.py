"""schemas/coverage.py: the typed twin of coverage_gap.avsc."""

import json
from importlib.resources import files

import pytest

from schemas.coverage import CoverageGap, GapCause, decode, encode, from_record, merge

GAP = CoverageGap(node="n", from_ns=1, to_ns=2, cause=GapCause.OVERFLOW, events_lost=3, detail="d")


def test_causes_are_those_of_the_schema() -> None:
    """No cause is missing on either side."""
    schema = json.loads(files("schemas").joinpath("avro", "coverage_gap.avsc").read_text(encoding="utf-8"))
    (cause,) = [field["type"] for field in schema["fields"] if field["name"] == "cause"]

    assert cause["symbols"] == [one.value for one in GapCause]


@pytest.mark.parametrize(
    "gap", [GAP, CoverageGap(node="", from_ns=-(1 << 63), to_ns=(1 << 63) - 1, cause=GapCause.HEARTBEAT)]
)
def test_what_is_encoded_is_decoded(gap: CoverageGap) -> None:
    """Absent numbers and the ends of the time line survive."""
    assert decode(encode(gap, 7)) == gap


def test_times_that_no_record_can_hold_are_its_ends() -> None:
    """A journal of an earlier version may have them, and ingest must not end because of it."""
    gap = CoverageGap(node="n", from_ns=-(1 << 70), to_ns=1 << 70, cause=GapCause.THROTTLE)
    found = decode(encode(gap, 7))
    assert (found.from_ns, found.to_ns) == (-(1 << 63), (1 << 63) - 1)


def test_cause_of_a_newer_schema_is_unknown() -> None:
    """A consumer of this version can still read tomorrow's causes."""
    assert from_record(GAP.as_record() | {"cause": "Eclipse"}).cause is GapCause.UNKNOWN


def test_merging_spans_both_and_adds_known_numbers() -> None:
    """Unknown plus known is unknown; gaps of different kinds stay apart."""
    later = CoverageGap(node="n", from_ns=5, to_ns=9, cause=GapCause.OVERFLOW, events_lost=4, detail="d")
    unknown = CoverageGap(node="n", from_ns=0, to_ns=1, cause=GapCause.OVERFLOW, detail="d")
    other = CoverageGap(node="n", from_ns=0, to_ns=1, cause=GapCause.THROTTLE, detail="d")

    both = merge(later, GAP)
    assert both == CoverageGap(node="n", from_ns=1, to_ns=9, cause=GapCause.OVERFLOW, events_lost=7, detail="d")
    merged = merge(GAP, unknown)
    assert merged is not None
    assert merged.events_lost is None
    assert merge(GAP, other) is None
