"""app/kafka/inflating.py and fetched.py: no batch is inflated beyond the limit, and its offsets are not lost."""

import random

import pytest
from aiokafka import codec
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from agents.contract import UNREADABLE_BATCH
from app.kafka import fetched, inflating
from app.kafka.fetched import DamagedBatchError, FetchedRecords
from app.kafka.records import Recorded
from tests.support.hostile_batches import damaged

CODECS = {
    "gzip": (1, codec.gzip_encode, inflating.inflate_gzip),
    "snappy": (2, codec.snappy_encode, inflating.inflate_snappy),
    "lz4": (3, codec.lz4_encode, inflating.inflate_lz4),
    "zstd": (4, codec.zstd_encode, inflating.inflate_zstd),
}
LIMIT = 1 << 20


@pytest.fixture(autouse=True)
def _small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflating, "MAX_INFLATED_BYTES", LIMIT)


@pytest.mark.parametrize("name", CODECS)
def test_what_is_within_the_limit_is_inflated(name: str) -> None:
    """Whatever it is, up to the last byte."""
    _, encode, inflate = CODECS[name]
    noise = random.Random(1).randbytes(LIMIT // 2)
    for content in (b"x", bytes(LIMIT), noise, noise + bytes(LIMIT // 2)):
        assert inflate(memoryview(encode(content))) == content


@pytest.mark.parametrize("name", CODECS)
def test_what_is_larger_or_damaged_is_refused(name: str) -> None:
    """By a byte, and by far."""
    _, encode, inflate = CODECS[name]
    for content in (bytes(LIMIT + 1), bytes(40 * LIMIT)):
        with pytest.raises(inflating.BatchTooLargeError):
            inflate(encode(content))
    damaged = encode(bytes(1000))[:-4]
    with pytest.raises(inflating.BatchTooLargeError):
        inflate(damaged)


def test_two_gzip_members_are_one_batch_within_one_limit() -> None:
    """As gzip itself has it."""
    half = codec.gzip_encode(bytes(LIMIT // 2))
    assert inflating.inflate_gzip(half + half) == bytes(LIMIT)
    with pytest.raises(inflating.BatchTooLargeError):
        inflating.inflate_gzip(half + half + codec.gzip_encode(b"x"))


def _batch(first: int, values: list[bytes], codec_number: int) -> bytes:
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=codec_number,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=0,
        batch_size=1 << 30,
    )
    for number, value in enumerate(values):
        builder.append(number, timestamp=5, key=b"k", value=value, headers=[])
    built = bytearray(builder.build())
    built[:8] = first.to_bytes(8, "big")  # the checksum does not cover it
    return bytes(built)


@pytest.fixture
def _installed() -> None:
    fetched.install()


def _read(content: bytes, start: int) -> tuple[list[Recorded], int]:
    place = TopicPartition("calls", 2)
    records = FetchedRecords(place, MemoryRecords(content), [], start, None, None, True, 0)
    return list(records), records.next_fetch_offset


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.usefixtures("_installed")
def test_the_offsets_of_a_batch_that_is_too_large_are_there(name: str) -> None:
    """The batches before and behind it are read."""
    number = CODECS[name][0]
    bomb = [b"y", bytes(3 * LIMIT), b"z"]
    content = _batch(10, [b"a", b"b"], number) + _batch(12, bomb, number) + _batch(15, [b"c"], 0)
    found, following = _read(content, 11)
    assert [(record.offset, record.value) for record in found] == [
        (11, b"b"),
        (12, UNREADABLE_BATCH),
        (13, UNREADABLE_BATCH),
        (14, UNREADABLE_BATCH),
        (15, b"c"),
    ]
    assert all(record.value is UNREADABLE_BATCH for record in found[1:4])
    assert following == 16


@pytest.mark.usefixtures("_installed")
def test_a_fetch_of_large_batches_is_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows a large batch, or some that are large together, is fetched again, behind it."""
    monkeypatch.setattr(fetched, "LARGE_FETCH_BYTES", 1000)
    content = _batch(0, [b"a"], 3) + _batch(1, [bytes(2000)], 3) + _batch(2, [b"c"], 3)
    found, following = _read(content, 0)
    assert [record.offset for record in found] == [0, 1]
    assert following == 2
    halves = b"".join(_batch(offset, [bytes(600)], 3) for offset in range(4))
    assert [record.offset for record in _read(halves, 0)[0]] == [0, 1]


@pytest.mark.usefixtures("_installed")
def test_a_batch_that_was_written_damaged_costs_its_own_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its checksum is right, so it would come again and again: what cannot be read of it is passed over."""
    monkeypatch.setattr(inflating, "MAX_INFLATED_BYTES", 18 << 20)
    for seed in range(200):
        for number, damaged_batch in enumerate(damaged(random.Random(seed))):
            content = _batch(0, [b"a"], 3) + _at(1, damaged_batch)
            found, following = _read(content, 0)
            assert found[0].value == b"a", (seed, number)
            assert following > 1, (seed, number)


def _at(offset: int, batch: bytes) -> bytes:
    return offset.to_bytes(8, "big") + batch[8:]


@pytest.mark.parametrize("number", [0, 3])
@pytest.mark.usefixtures("_installed")
def test_what_comes_before_a_damaged_batch_is_handed_out_first(number: int) -> None:
    """The error says where the damage begins."""
    damaged = bytearray(_batch(2, [b"c" * 100], number))
    damaged[-3] ^= 1
    content = _batch(0, [b"a", b"b"], number) + bytes(damaged)
    found, following = _read(content, 0)
    assert [record.offset for record in found] == [0, 1]
    with pytest.raises(DamagedBatchError) as raised:
        _read(bytes(damaged), following)
    assert (raised.value.topic, raised.value.partition, raised.value.offset) == ("calls", 2, 2)
