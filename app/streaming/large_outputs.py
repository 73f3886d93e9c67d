"""Outputs that their topic does not take become dead letters of their sources: one of them would end the stage."""

from collections.abc import Sequence
from typing import Final

from agents.contract import SourceRecord, StepResult
from agents.dead_letters import dead_letter
from app.kafka.topic_limits import FRAMING_BYTES
from schemas.topics import Stage

REASON: Final = "too_large_for_topic"


def refuse_large(stage: Stage, limit_bytes: int, records: Sequence[SourceRecord], result: StepResult) -> None:
    """Turn outputs that a topic of this limit may not take into dead letters of the records that they were made of.

    A batch is compressed, so some of them might have had room; but nobody knows before they are sent.
    """
    most = limit_bytes - FRAMING_BYTES
    large = [at for at, one in enumerate(result.outputs) if len(one.key or b"") + len(one.value or b"") > most]
    if not large:
        return
    sources = _sources(records, result)
    for at in large:
        record, raw_offset = sources[at], result.raw_offsets[at]
        letter = dead_letter(record, stage, REASON, None, raw_partition=record.partition, raw_offset=raw_offset)
        result.dead_letters.append(letter)
    gone = frozenset(large)
    result.outputs = [one for at, one in enumerate(result.outputs) if at not in gone]
    result.raw_offsets = [one for at, one in enumerate(result.raw_offsets) if at not in gone]


def _sources(records: Sequence[SourceRecord], result: StepResult) -> list[SourceRecord]:
    """The record of each output. Where some rightly produce nothing, records are raw ones, and known by offset."""
    refused = {letter.offset for letter in result.dead_letters}
    left = [record for record in records if record.offset not in refused]
    if len(left) == len(result.outputs):
        return left
    by_offset = {record.offset: record for record in records}
    return [by_offset[offset] for offset in result.raw_offsets]
