"""One event of a run, with all that it rests on: its call, its raw record, the digests of its span, and its policy.

The span is replayed again, so what is shown is proved without the rest of the run. The manifest's own digest and
signature, and the run's files, are checked as a verification checks them.
"""

import base64
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import DecodeError

from app.evidence.configuration import POLICY_FILE
from app.evidence.documents import DocumentError
from app.evidence.signed_documents import NOBODY, TrustedSigner
from app.evidence.span_lines import SpanLine, read_lines
from app.kafka.records import DamagedError, Recorded
from app.operators.times import time_text
from app.progress import Progress
from app.replay import call_file
from app.replay.event_search import first_difference, replay_range
from app.replay.manifest import Manifest
from app.replay.request import ReplayError, ReplayRequest
from app.replay.sources import ReplaySource, reopen_source
from app.replay.verdict import RunVerdict
from app.replay.verify import open_run
from schemas.tetragon.events_pb2 import GetEventsResponse
from schemas.units import NS_PER_MS


@dataclass(slots=True, kw_only=True)
class ShownEvent:
    """What is known of one event, and whether it is proved."""

    event_id: str
    verdict: RunVerdict
    call: dict[str, Any] | None = None
    raw: Recorded | None = None
    span: SpanLine | None = None
    policy: dict[str, str] = field(default_factory=dict)

    @property
    def is_proved(self) -> bool:
        """Whether the run has the event, and all that it rests on is as it was."""
        return self.call is not None and self.verdict.proved

    def document(self) -> dict[str, Any]:
        """For a machine."""
        return {
            "event_id": self.event_id,
            **self.verdict.document(),
            "proved": self.is_proved,
            "call": self.call,
            "raw_record": None if self.raw is None else _raw_document(self.raw),
            "span": None if self.span is None else _span_document(self.span),
            "policy": self.policy,
        }

    def lines(self) -> Iterator[str]:
        """For a person."""
        if self.call is not None:
            yield f"event {self.event_id} of {time_text(self.call['timestamp_ns'], 9)}"
            yield f"call        {json.dumps(self.call, ensure_ascii=False)}"
        if self.raw is not None:
            found = _raw_document(self.raw)
            yield f"raw record  {found['topic']}, partition {found['partition']}, offset {found['offset']}"
            yield f"            {json.dumps(found['event'] or found['value'], ensure_ascii=False)}"
        if self.span is not None:
            for name, text in _span_document(self.span).items():
                yield f"span        {name} {text}"
        for name, text in self.policy.items():
            yield f"policy      {name} {text}"
        yield from self.verdict.lines()
        yield f"{self.event_id}: {'proved' if self.is_proved else 'NOT PROVED'}"


def _raw_document(record: Recorded) -> dict[str, Any]:
    """A raw record, with its event as far as it can be read."""
    value = record.value or b""
    try:
        event = json_format.MessageToDict(GetEventsResponse.FromString(value), preserving_proto_field_name=True)
    except DecodeError:
        event = None
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "received": time_text(record.timestamp * NS_PER_MS, 3),
        "value": base64.b64encode(value).decode(),
        "event": event,
    }


def _span_document(line: SpanLine) -> dict[str, Any]:
    return {
        "first": line.first,
        "last": line.last,
        "records": line.records.digest,
        "canonical": line.canonical.written.digest,
        "calls": line.calls.written.digest,
    }


def show_event(
    path: Path,
    event_id: str,
    request: ReplayRequest,
    progress: Progress,
    *,
    trust: TrustedSigner = NOBODY,
) -> ShownEvent:
    """Show an event of the run whose manifest, or whose folder, is at `path`.

    Raises ReplayError where something that it needs is not at hand, and what reaching Kafka raises.
    """
    shown = ShownEvent(event_id=event_id, verdict=RunVerdict())
    run = open_run(path, request, trust, shown.verdict)
    if run is None:
        return shown
    if run.manifest.output_topic is not None:
        raise ReplayError(f"cannot tell: the run's calls are on {run.manifest.output_topic}, and in no file of the run")
    then = run.manifest.configuration
    shown.policy = {"id": then.policy_id, "digest": then.policy, "text": str(run.texts / POLICY_FILE)}
    found = _search(run.folder, event_id, run.manifest, shown.verdict, progress)
    if found is None:
        shown.verdict.find(path, f"the run has no event {event_id}")
        return shown
    partition, shown.span, calls = found
    shown.call = next(call for call in calls if call["event_id"] == event_id)
    if run.check_configuration(shown.verdict) is None:
        return shown
    with ExitStack() as stack:
        try:
            source, _ = reopen_source(run.request, run.manifest, run.folder, stack, progress)
            _prove(shown, run.request, source, partition, calls)
        except (DocumentError, DamagedError) as error:
            shown.verdict.find("input", error)
    return shown


def _search(
    folder: Path, event_id: str, manifest: Manifest, verdict: RunVerdict, progress: Progress
) -> tuple[int, SpanLine, list[dict[str, Any]]] | None:
    """The partition and the span that an event is in, and the span's calls."""
    progress.begin("spans searched")
    for part in manifest.output:
        calls, _, spans = call_file.paths(folder, part.partition)
        try:
            for line in read_lines(spans, part.spans):
                progress.add(1)
                if call_file.may_hold(calls, part.partition, line, event_id):
                    found = call_file.read_span(calls, part.partition, line)
                    if any(call["event_id"] == event_id for call in found):
                        return part.partition, line, found
        except DamagedError as error:
            verdict.find("output", error)
    return None


def _prove(
    shown: ShownEvent, request: ReplayRequest, source: ReplaySource, partition: int, then: list[dict[str, Any]]
) -> None:
    """Replay the event's span, and keep its raw record. Raises DamagedError."""
    assert shown.span is not None
    assert shown.call is not None
    offset = shown.call["source"]["offset"]
    batches = source.batches(partition, offset, offset, 1)
    shown.raw = next((record for batch in batches for record in batch), None)
    again = replay_range(request, source, partition, shown.span.first, shown.span.last)
    if [line.facts() for line in again.lines] != [shown.span.facts()]:
        place = call_file.place(partition, shown.span)
        shown.verdict.find(place, "the same raw records under the same configuration give something else")
    shown.verdict.first_event = first_difference(partition, then, again.calls)
