"""Files of recorded records: what goes in comes out, in constant pieces, resumed or not, and damage has a name."""

import random
import re
import stat
from collections.abc import Sequence
from pathlib import Path

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import schemas.records
from app.evidence import avro_container, record_file
from app.evidence.avro_container import Codec
from app.evidence.digests import SPAN_OFFSETS, RecordDigest
from app.evidence.record_file import (
    Layout,
    RecordFile,
    RecordFileWriter,
    Span,
    columns_of,
)
from app.evidence.span_files import lines_digest
from app.kafka.records import DamagedError, Recorded

TOPIC, PARTITION = "test.raw", 3
SCHEMAS_THEN = Path(__file__).parents[3] / "golden" / "schemas" / "d3ac245"
LAYOUT = Layout(TOPIC, PARTITION, Codec.DEFLATE, 6)


def recorded(count: int, *, first: int = 4_000, seed: int = 1) -> list[Recorded]:
    """Records with gaps between offsets, over several spans, some without key or value."""
    chance = random.Random(seed)
    offset, made = first, []
    for number in range(count):
        offset += chance.choice([1, 1, 1, 2, 500])
        key = chance.choice([None, b"", b"key-%d" % (number % 7)])
        value = None if number % 50 == 3 else chance.randbytes(chance.choice([0, 10, 900]))
        made.append(Recorded(TOPIC, PARTITION, offset, 1_800_000_000_000 + number, key, value))
    return made


def write(folder: Path, records: Sequence[Recorded], *, portion: int = 100) -> RecordFile:
    """Write all records and open the file."""
    writer = RecordFileWriter(folder, "raw", LAYOUT)
    for begin in range(0, len(records), portion):
        writer.add(records[begin : begin + portion])
    return RecordFile(folder / "raw.avro", LAYOUT, lines_digest(writer.finish()))


def flips(content_bytes: int, seed: int, size: int) -> list[int]:
    """Bits of a file to flip, one at a time: a tenth of them, another one in each run, and all of them at size 10."""
    bits = range(content_bytes * 8)
    return random.Random(seed).sample(bits, min(len(bits), len(bits) * size // 10))


def contents(file: RecordFile, first: int = 0, last: int = 1 << 60, max_records: int = 64) -> list[Recorded]:
    """All records of a file, flat."""
    return [record for batch in file.batches(first, last, max_records) for record in batch]


@pytest.mark.parametrize("codec", list(Codec))
def test_records_come_back_as_they_were(tmp_path: Path, codec: Codec) -> None:
    """Offsets, timestamps, keys and values come back, null and empty told apart, with every codec."""
    records = recorded(300)
    layout = Layout(TOPIC, PARTITION, codec, 6)
    writer = RecordFileWriter(tmp_path, "raw", layout)
    writer.add(records)
    file = RecordFile(tmp_path / "raw.avro", layout, lines_digest(writer.finish()))
    assert contents(file) == records


def test_another_avro_reader_reads_the_file(tmp_path: Path) -> None:
    """An auditor needs nothing of ours to look at the evidence."""
    records = recorded(50)
    write(tmp_path, records)
    with (tmp_path / "raw.avro").open("rb") as file:
        rows = list(fastavro.reader(file))
    assert rows == [{"offset": r.offset, "timestamp_ms": r.timestamp, "key": r.key, "value": r.value} for r in records]


@settings(max_examples=20)
@given(portion=st.integers(1, 400))
def test_the_file_does_not_depend_on_how_records_arrive(tmp_path_factory: pytest.TempPathFactory, portion: int) -> None:
    """The same records in other portions give the same bytes."""
    one, other = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("other")
    records = recorded(300)
    write(one, records)
    write(other, records, portion=portion)
    for name in ("raw.avro", "raw.spans"):
        assert (one / name).read_bytes() == (other / name).read_bytes()


def test_large_records_end_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block ends with the record that reaches the limit, wherever portions end."""
    monkeypatch.setattr(avro_container, "BLOCK_BYTES", 1_000)
    records = [Recorded(TOPIC, PARTITION, offset, 1, None, bytes(400)) for offset in range(10)]
    file = write(tmp_path, records, portion=7)
    with (tmp_path / "raw.avro").open("rb") as opened:
        opened.seek(file.spans[0].begin)
        sync = LAYOUT.header(tmp_path / "raw.avro").sync
        blocks = avro_container.read_blocks(opened, LAYOUT.codec, sync, file.spans[0].end)
        assert [block.records for block in blocks] == [3, 3, 3, 1]


def test_spans_say_what_they_hold(tmp_path: Path) -> None:
    """Each span has the digest of its records and joins the one before it."""
    records = recorded(300)
    file = write(tmp_path, records)
    assert len(file.spans) > 3
    for span in file.spans:
        inside = [record for record in records if record.offset // SPAN_OFFSETS == span.span]
        digest = RecordDigest(record_file.RECORDS_DOMAIN)
        digest.add(columns_of(inside))
        assert (span.first, span.last, span.records) == (inside[0].offset, inside[-1].offset, len(inside))
        assert span.digest == digest.hexdigest()


def test_a_part_of_a_file_can_be_read(tmp_path: Path) -> None:
    """Any range of offsets gives exactly the records in it, in lists of at most the size asked for."""
    records = recorded(300)
    file = write(tmp_path, records)
    chance = random.Random(2)
    for _ in range(30):
        first, last = sorted(chance.sample(range(3_900, records[-1].offset + 100), 2))
        batches = list(file.batches(first, last, 17))
        assert [r for batch in batches for r in batch] == [r for r in records if first <= r.offset <= last]
        assert all(0 < len(batch) <= 17 for batch in batches)
        assert all(len({r.offset // SPAN_OFFSETS for r in batch}) == 1 for batch in batches)


def test_a_resumed_file_is_the_same_as_one_written_at_once(tmp_path: Path) -> None:
    """However often and wherever a recording was torn, the finished file has the same bytes."""
    records = recorded(400)
    (tmp_path / "whole").mkdir()
    write(tmp_path / "whole", records)
    chance = random.Random(3)
    torn = tmp_path / "torn"
    torn.mkdir()
    for _ in range(12):
        writer = RecordFileWriter(torn, "raw", LAYOUT)
        start = writer.next_offset or 0
        writer.add([r for r in records if r.offset >= start][: chance.randrange(150)])
        writer.close()
        for name in ("raw.avro.partial", "raw.spans.partial"):
            path = torn / name
            content = path.read_bytes()
            path.write_bytes(content[: len(content) - chance.randrange(30)] + chance.randbytes(chance.randrange(20)))
    writer = RecordFileWriter(torn, "raw", LAYOUT)
    writer.add([r for r in records if r.offset >= (writer.next_offset or 0)])
    writer.finish()
    for name in ("raw.avro", "raw.spans"):
        assert (torn / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.proof
def test_a_power_cut_during_a_recording_costs_only_what_is_recorded_again(tmp_path: Path, seed: int, size: int) -> None:
    """Nothing is synced before the end: any part may be zeros, missing, or another file's, and the end is the same."""
    records = recorded(200)
    (tmp_path / "whole").mkdir()
    write(tmp_path / "whole", records)
    stale = {kind: (tmp_path / "whole" / f"raw.{kind}").read_bytes()[7:] for kind in ("avro", "spans")}
    chance = random.Random(seed)
    for cycle in range(10 * size):
        torn = tmp_path / str(cycle)
        torn.mkdir()
        writer = RecordFileWriter(torn, "raw", LAYOUT)
        writer.add(records[: chance.randrange(1, len(records))])
        writer.close()
        for kind in ("avro", "spans"):
            path = torn / f"raw.{kind}.partial"
            content = bytearray(path.read_bytes())
            begin = chance.randrange(len(content) + 1)
            end = chance.randrange(begin, len(content) + 1)
            match chance.choice(("zeros", "missing", "stale", "whole")):
                case "zeros":
                    content[begin:end] = bytes(end - begin)
                case "missing":
                    del content[begin:]
                case "stale":
                    content[begin:end] = stale[kind][begin:end]
                case _:
                    pass
            path.write_bytes(content)
        writer = RecordFileWriter(torn, "raw", LAYOUT)
        writer.add([record for record in records if record.offset >= (writer.next_offset or 0)])
        writer.finish()
        for kind in ("avro", "spans"):
            assert (torn / f"raw.{kind}").read_bytes() == (tmp_path / "whole" / f"raw.{kind}").read_bytes()


def test_resuming_goes_on_after_the_last_whole_span(tmp_path: Path) -> None:
    """What was safely written is not asked for again."""
    records = recorded(300)
    writer = RecordFileWriter(tmp_path, "raw", LAYOUT)
    writer.add(records)
    writer.close()
    resumed = RecordFileWriter(tmp_path, "raw", LAYOUT)
    last_span = records[-1].offset // SPAN_OFFSETS
    before = [record.offset for record in records if record.offset // SPAN_OFFSETS < last_span]
    assert (resumed.next_offset, resumed.records) == (before[-1] + 1, len(before))


def test_resuming_on_altered_bytes_writes_them_again(tmp_path: Path) -> None:
    """What was changed while a recording was interrupted, or lost in a power cut, does not become evidence."""
    records = recorded(300)
    writer = RecordFileWriter(tmp_path, "raw", LAYOUT)
    writer.add(records)
    writer.close()
    path = tmp_path / "raw.avro.partial"
    lines = (tmp_path / "raw.spans.partial").read_text().splitlines(keepends=True)
    first, second, *_ = (Span.of_line(f"{line.rpartition('}')[0]}}}\n") for line in lines)
    content = bytearray(path.read_bytes())
    content[second.begin : second.end] = bytes(second.end - second.begin)
    path.write_bytes(content)
    resumed = RecordFileWriter(tmp_path, "raw", LAYOUT)
    assert resumed.next_offset == first.last + 1
    resumed.add([record for record in records if record.offset > first.last])
    assert contents(RecordFile(tmp_path / "raw.avro", LAYOUT, lines_digest(resumed.finish()))) == records


def test_what_is_recorded_is_for_its_owner_only(tmp_path: Path) -> None:
    """Raw events are in it; a file of an earlier recording becomes private too."""
    writer = RecordFileWriter(tmp_path, "raw", LAYOUT)
    writer.add(recorded(10))
    writer.close()
    for path in tmp_path.iterdir():
        path.chmod(0o644)
    RecordFileWriter(tmp_path, "raw", LAYOUT).finish()
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_an_empty_file_is_a_file(tmp_path: Path) -> None:
    """A partition without records has a file that says so."""
    file = write(tmp_path, [])
    assert (contents(file), file.spans) == ([], [])


@pytest.mark.proof
@pytest.mark.slow(reason="reads the file once for each flipped bit")
@pytest.mark.parametrize("codec", list(Codec))
def test_any_flipped_bit_of_the_records_is_named(tmp_path: Path, codec: Codec, seed: int, size: int) -> None:
    """Wherever a bit of the file is flipped, reading fails and names file, partition and the span's offsets."""
    layout = Layout(TOPIC, PARTITION, codec, 6)
    records = [Recorded(TOPIC, PARTITION, offset, 5, b"k", b"value") for offset in (4_090, 4_095, 4_096, 4_100)]
    writer = RecordFileWriter(tmp_path, "raw", layout)
    writer.add(records)
    spans = writer.finish()
    path = tmp_path / "raw.avro"
    content = path.read_bytes()
    for position in flips(len(content), seed, size):
        damaged = bytearray(content)
        damaged[position // 8] ^= 1 << position % 8
        path.write_bytes(damaged)
        with pytest.raises(DamagedError) as caught:
            contents(RecordFile(path, layout, lines_digest(spans)))
        place = next(
            (f"offsets {span.first} to {span.last}" for span in spans if span.begin <= position // 8 < span.end),
            "header",
        )
        assert "raw.avro, partition 3" in str(caught.value)
        assert place in str(caught.value)


@pytest.mark.parametrize("codec", list(Codec))
def test_bytes_that_are_no_records_are_said_to_be_changed(tmp_path: Path, codec: Codec) -> None:
    """An auditor reads what happened to the file, and nothing about the lists of a library."""
    layout = Layout(TOPIC, PARTITION, codec, 6)
    writer = RecordFileWriter(tmp_path, "raw", layout)
    writer.add([Recorded(TOPIC, PARTITION, offset, 5, b"k", b"value") for offset in range(20)])
    spans = writer.finish()
    path = tmp_path / "raw.avro"
    content, said = path.read_bytes(), set()
    for position in range(spans[0].begin, len(content)):
        path.write_bytes(content[:position] + bytes([content[position] ^ 0xFF]) + content[position + 1 :])
        with pytest.raises(DamagedError) as caught:
            contents(RecordFile(path, layout, lines_digest(spans)))
        said.add(str(caught.value).partition(": ")[2])
    assert not [one for one in said if not re.match(r"byte \d+: \w|the bytes were changed", one)]
    assert "the bytes were changed: they hold no records" in said or codec is not Codec.NULL


@pytest.mark.proof
@pytest.mark.slow(reason="reads the file once for each flipped bit")
def test_any_flipped_bit_of_the_span_file_is_named(tmp_path: Path, seed: int, size: int) -> None:
    """The span file is vouched for by its digest; a line that is none is named."""
    records = recorded(40)
    file = write(tmp_path, records)
    digest, path = lines_digest(file.spans), tmp_path / "raw.spans"
    content = path.read_bytes()
    for position in flips(len(content), seed, size):
        damaged = bytearray(content)
        damaged[position // 8] ^= 1 << position % 8
        path.write_bytes(damaged)
        with pytest.raises(DamagedError, match=r"raw\.spans"):
            RecordFile(tmp_path / "raw.avro", LAYOUT, digest)


def test_a_truncated_file_says_from_where_on(tmp_path: Path) -> None:
    """A file that ends early names the first offset that is cut off; one that is longer is refused too."""
    file = write(tmp_path, recorded(300))
    path = tmp_path / "raw.avro"
    content = path.read_bytes()
    second = file.spans[1]
    path.write_bytes(content[: second.begin + 5])
    with pytest.raises(DamagedError, match=f"offsets from {second.first} on are cut off"):
        contents(file)
    path.write_bytes(content + b"x")
    with pytest.raises(DamagedError, match="bytes where"):
        contents(file)
    path.unlink()
    with pytest.raises(DamagedError, match=r"raw\.avro: No such file"):
        contents(file)


def test_a_recording_of_earlier_words_is_read_and_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose schema says the same in other words stays readable, and its header stays as it is when it grows."""
    records = recorded(300)
    with monkeypatch.context() as then:
        then.setattr(schemas.records, "schema_text", lambda name: (SCHEMAS_THEN / f"{name}.avsc").read_text()[:-1])
        earlier = RecordFileWriter(tmp_path, "raw", LAYOUT)
        earlier.add(records[:200])
        earlier.close()
    resumed = RecordFileWriter(tmp_path, "raw", LAYOUT)
    assert resumed.next_offset is not None
    assert resumed.next_offset > records[0].offset
    resumed.add([record for record in records if record.offset >= resumed.next_offset])
    file = RecordFile(tmp_path / "raw.avro", LAYOUT, lines_digest(resumed.finish()))
    assert contents(file) == records
    assert (tmp_path / "raw.avro").read_bytes().count(b'"doc"') == 2  # of then; today all fields have one
