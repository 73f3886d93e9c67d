"""app/kafka/schemas.py: one memory of schemas by id; what it keeps, for how long, and what it refuses."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Self, cast

import pytest

from app.kafka.registry import Fault, RegistryError, SchemaRegistry
from app.kafka.schemas import (
    MAX_SCHEMAS,
    REFUSED_SECONDS,
    CallLayouts,
    RecordDecoder,
    RecordFault,
    SchemaCache,
    SchemaRefusal,
    SubjectTexts,
)
from app.replay.compare.published import PublishedSchemas
from app.settings import Settings
from schemas import avro_wire, records, topics

OURS: Final = 3
CALL: Final[dict[str, Any]] = json.loads(records.schema_text(records.CALL))


class _Registry:
    """Has `texts` by id, or does not answer; counts the questions."""

    def __init__(self) -> None:
        self.texts = {OURS: records.schema_text(records.CALL)}
        self.away = False
        self.asked = 0

    def versions(self, subject: str) -> list[int]:
        """All of `texts` are versions of the subject."""
        assert subject in {"runtime.calls-value", "runtime.audit-value"}
        self.asked += 1
        if self.away:
            raise RegistryError(Fault.UNREACHABLE, "nobody there")
        return list(self.texts)

    def version(self, _subject: str, number: int) -> tuple[int, str]:
        return number, self.texts[number]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class _Clock:
    """Seconds that pass when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def registry() -> _Registry:
    """A registry that knows our calls."""
    return _Registry()


@pytest.fixture
def clock() -> _Clock:
    """A clock that stands still."""
    return _Clock()


Use = Callable[[int], bool]
"""Whether a reader takes records with this schema id."""


def _decoder(registry: _Registry, clock: _Clock, _monkeypatch: pytest.MonkeyPatch) -> Use:
    found = cast("SchemaRegistry", registry)
    decoder = RecordDecoder(Settings(), found, topics.CALLS, follows=True, clock=clock)

    def takes(schema_id: int) -> bool:
        assert isinstance(decoder.decode(avro_wire.schema_header(schema_id) + b"garbage"), RecordFault)
        return schema_id in decoder._writers.known()

    return takes


def _layouts(registry: _Registry, clock: _Clock, monkeypatch: pytest.MonkeyPatch) -> Use:
    monkeypatch.setattr(SchemaRegistry, "from_settings", lambda _settings: registry)
    layout_of = CallLayouts(Settings(), ("process.binary",), follows=True, clock=clock)
    return lambda schema_id: layout_of(schema_id) is not None


def _published(registry: _Registry, clock: _Clock, _monkeypatch: pytest.MonkeyPatch) -> Use:
    return _schemas_of(registry, clock).is_our_call


def _schemas_of(registry: _Registry, clock: _Clock) -> PublishedSchemas:
    found = cast("SchemaRegistry", registry)
    return PublishedSchemas.of_topics(found, topics.CALLS, topics.AUDIT, follows=True, clock=clock)


USES: Final = {"decoder": _decoder, "layouts": _layouts, "published": _published}


@pytest.fixture(params=USES)
def use(request: pytest.FixtureRequest, registry: _Registry, clock: _Clock, monkeypatch: pytest.MonkeyPatch) -> Use:
    """Each reader that has a cache."""
    return USES[request.param](registry, clock, monkeypatch)


def test_a_schema_is_asked_for_once(registry: _Registry, clock: _Clock, use: Use) -> None:
    """For good: it never changes under its id."""
    assert all(use(OURS) for _ in range(1_000))
    clock.now = 1e9
    assert use(OURS)
    assert registry.asked == 1


def test_an_unknown_id_is_asked_for_once_a_minute(registry: _Registry, clock: _Clock, use: Use) -> None:
    """A flood of garbage costs one question, and a schema that is registered late is found."""
    assert not any(use(7) for _ in range(1_000))
    assert registry.asked == 1
    registry.texts[7] = registry.texts[OURS]
    clock.now = REFUSED_SECONDS - 0.1
    assert not use(7)
    assert registry.asked == 1
    clock.now = REFUSED_SECONDS
    assert use(7)
    assert registry.asked == 2


def test_a_registry_that_was_away_costs_nothing_later(registry: _Registry, use: Use) -> None:
    """That nobody answered is not that there is no such schema."""
    registry.away = True
    for _ in range(3):
        with pytest.raises(RegistryError, match="nobody there"):
            use(OURS)
    registry.away = False
    assert use(OURS)


@pytest.mark.parametrize(
    "foreign",
    [
        {**CALL, "name": "Elsewhere"},
        {**CALL, "namespace": "org.example"},
        "string",
        ["null", "string"],
        {"type": "array", "items": "int"},
        {"type": "enum", "name": "RuntimeCallEvent", "namespace": "callstream", "symbols": ["A"]},
    ],
)
def test_what_is_not_ours_is_refused_and_asked_for_once_a_minute(
    registry: _Registry, clock: _Clock, use: Use, foreign: Any
) -> None:
    """By the record's full name; a text that is not a schema is not ours either."""
    registry.texts[8] = json.dumps(foreign)
    assert not any(use(8) for _ in range(100))
    assert registry.asked == 1
    clock.now = REFUSED_SECONDS
    assert not use(8)
    assert registry.asked == 2


def _cache(registry: _Registry) -> SchemaCache[str]:
    def name(_schema_id: int, schema: Mapping[str, Any]) -> str:
        return str(schema["name"])

    texts = SubjectTexts(lambda: cast("SchemaRegistry", registry), topics.subject(topics.CALLS), follows=True)
    return SchemaCache(texts, records.CALL, name)


def test_the_memory_is_bounded_and_a_flood_forgets_no_schema_of_ours(registry: _Registry) -> None:
    """Five thousand unknown ids leave the newest thousand."""
    cache = _cache(registry)
    assert cache.find(OURS) == "RuntimeCallEvent"
    for schema_id in range(1_000_000, 1_005_000):
        assert isinstance(cache.find(schema_id), SchemaRefusal)
    assert len(cache._refused) + len(cache._known) == MAX_SCHEMAS
    asked = registry.asked
    assert cache.find(OURS) == "RuntimeCallEvent"
    assert isinstance(cache.find(1_004_999), SchemaRefusal)
    assert registry.asked == asked


def test_versions_of_ours_are_bounded_too(registry: _Registry) -> None:
    """The oldest goes, and is asked for again."""
    registry.texts = dict.fromkeys(range(MAX_SCHEMAS + 1), registry.texts[OURS])
    cache = _cache(registry)
    for schema_id in registry.texts:
        cache.find(schema_id)
    assert len(cache.known()) == MAX_SCHEMAS
    assert cache.find(0) == "RuntimeCallEvent"
    assert registry.asked == MAX_SCHEMAS + 2


def test_a_refusal_says_why(registry: _Registry) -> None:
    """By id and by name."""
    registry.texts |= {8: json.dumps({**CALL, "name": "Elsewhere"}), 9: "no JSON"}
    cache = _cache(registry)
    assert cache.find(7) == SchemaRefusal(7, "there is no schema with id 7")
    assert cache.find(8) == SchemaRefusal(8, "schema 8 is of callstream.Elsewhere, not of callstream.RuntimeCallEvent")
    assert cache.find(9) == SchemaRefusal(9, "schema 9 is not of callstream.RuntimeCallEvent: JSONDecodeError")


def test_the_texts_of_what_was_published_are_those_that_were_found(registry: _Registry, clock: _Clock) -> None:
    """An archive keeps them, and nothing of another program."""
    registry.texts |= {5: records.schema_text(records.AUDIT_RECORD), 8: json.dumps({**CALL, "name": "Elsewhere"})}
    published = _schemas_of(registry, clock)
    for schema_id in (OURS, 7, 8):
        published.calls.find(schema_id)
    published.audit.find(5)
    kept = published.texts()
    assert kept == {str(schema_id): json.dumps(json.loads(registry.texts[schema_id])) for schema_id in (OURS, 5)}
    again = PublishedSchemas.of_texts(kept)
    assert again.is_our_call(OURS)
    assert again.calls.find(OURS) == published.calls.find(OURS)
    assert again.calls.find(7) == SchemaRefusal(7, "there is no schema with id 7")


def test_a_flood_of_unknown_ids_is_one_question_a_batch(registry: _Registry) -> None:
    """And none at all later than the first where everything to decode was written before."""
    found = cast("SchemaRegistry", registry)
    follower = RecordDecoder(Settings(), found, topics.CALLS, follows=True)
    for batch in range(10):
        values = [avro_wire.schema_header(900_000 + batch * 1_000 + number) + b"x" for number in range(1_000)]
        follower.meet(follower.unmet(values))
        assert {follower.decode(value) for value in values} == {RecordFault.UNKNOWN_SCHEMA}
        assert registry.asked == batch + 1
    once = RecordDecoder(Settings(), found, topics.CALLS)
    for schema_id in range(900_000, 905_000):
        assert once.decode(avro_wire.schema_header(schema_id) + b"x") is RecordFault.UNKNOWN_SCHEMA
    assert registry.asked == 11


def test_a_version_that_is_registered_between_two_batches_is_found(registry: _Registry) -> None:
    """Other unknown ids before it do not hide it."""
    decoder = RecordDecoder(Settings(), cast("SchemaRegistry", registry), topics.CALLS, follows=True)
    value = avro_wire.schema_header(8) + b"garbage"
    decoder.meet({7})
    registry.texts[8] = json.dumps({**CALL, "doc": "newer"})
    decoder.meet(decoder.unmet([value]))
    assert decoder.decode(value) is RecordFault.MALFORMED


def _zigzag(number: int) -> bytes:
    """An Avro long of any size."""
    rest, out = number << 1, bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*out, rest])


@pytest.mark.parametrize(
    ("kind", "body", "fault"),
    [
        ({"type": "array", "items": "null"}, _zigzag(1 << 40) + b"\0", RecordFault.UNKNOWN_SCHEMA),
        (["null", "callstream.Watch"], b"\x02" * 60_000, RecordFault.UNKNOWN_SCHEMA),
        ("bytes", _zigzag(1 << 40), RecordFault.MALFORMED),
        ({"type": "array", "items": "int"}, _zigzag(1 << 40), RecordFault.MALFORMED),
        ({"type": "map", "values": "null"}, _zigzag(1 << 40), RecordFault.MALFORMED),
        ("int", b"\x80" * 60_000, RecordFault.MALFORMED),
        ("int", b"\0" * (64 << 10), RecordFault.TOO_LARGE),
    ],
)
def test_no_schema_and_no_count_harms_a_reader(kind: Any, body: bytes, fault: RecordFault) -> None:
    """Even where somebody may register versions of our own subject."""
    watch = json.loads(records.schema_text(records.WATCH))

    class Registry:
        def versions(self, _subject: str) -> list[int]:
            return [1]

        def version(self, _subject: str, _number: int) -> tuple[int, str]:
            return 7, json.dumps({**watch, "fields": [{"name": "zz_evil", "type": kind}, *watch["fields"]]})

    decoder = RecordDecoder(Settings(), cast("SchemaRegistry", Registry()), topics.WATCH)
    began = time.monotonic()
    assert decoder.decode(avro_wire.schema_header(7) + body) is fault
    assert time.monotonic() - began < 5


class _RegistryOfSubjects(_Registry):
    """Has versions by subject."""

    def __init__(self, **by_subject: int) -> None:
        super().__init__()
        self.texts = dict.fromkeys(by_subject.values(), records.schema_text(records.CALL))
        self.by_subject = {name.replace("_", "."): number for name, number in by_subject.items()}

    def versions(self, subject: str) -> list[int]:
        return [number for name, number in self.by_subject.items() if topics.subject(name) == subject]


def test_a_schema_of_another_subject_decodes_no_published_call() -> None:
    """Though it says that it is of a call: whoever may register schemas elsewhere decides nothing here."""
    registry = cast("SchemaRegistry", _RegistryOfSubjects(runtime_calls=OURS, elsewhere=8, x_runtime_calls=9))
    schemas = PublishedSchemas.of_topics(registry, topics.CALLS, topics.AUDIT)
    assert [schemas.is_our_call(schema_id) for schema_id in (OURS, 8, 9)] == [True, False, False]
    assert isinstance(schemas.audit.find(OURS), SchemaRefusal)
