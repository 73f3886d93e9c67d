"""Avro container files: what other readers make of ours, and what becomes of damage."""

import contextlib
import io
import json

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.evidence import avro_container
from app.evidence.avro_container import Block, Codec, ContainerError, Header
from schemas import avro_wire

SCHEMA = json.dumps({"type": "record", "name": "Row", "fields": [{"name": "text", "type": "string"}]})
CODECS = list(Codec)


def file_of(codec: Codec, blocks: list[list[str]]) -> tuple[Header, bytes]:
    """A container file with these rows."""
    header = avro_container.header(SCHEMA, codec, {"callstream.test": "yes"})
    encoded = [header.encoded]
    for rows in blocks:
        payload = b"".join(map(avro_wire.text, rows))
        encoded.append(avro_container.block(codec, 6, header.sync, len(rows), payload))
    return header, b"".join(encoded)


def read(header: Header, codec: Codec, content: bytes) -> list[Block]:
    """All blocks of a file."""
    file = io.BytesIO(content)
    file.seek(len(header.encoded))
    return list(avro_container.read_blocks(file, codec, header.sync, len(content)))


@pytest.mark.parametrize("codec", CODECS)
@given(blocks=st.lists(st.lists(st.text(), min_size=1, max_size=5), max_size=4))
def test_other_avro_readers_read_our_files(codec: Codec, blocks: list[list[str]]) -> None:
    """An Avro library gives back the rows and our metadata, whatever the codec."""
    _, content = file_of(codec, blocks)
    reader = fastavro.reader(io.BytesIO(content))
    assert list(reader) == [{"text": text} for rows in blocks for text in rows]
    assert reader.metadata["callstream.test"] == "yes"
    assert reader.codec == codec.value


@pytest.mark.parametrize("codec", CODECS)
def test_blocks_come_back_with_their_places(codec: Codec) -> None:
    """Each block says where its bytes are, without gaps."""
    header, content = file_of(codec, [["a", "b"], ["c"]])
    first, second = read(header, codec, content)
    assert (first.begin, second.begin, second.end) == (len(header.encoded), first.end, len(content))
    assert (first.records, second.records, second.payload) == (2, 1, avro_wire.text("c"))


@pytest.mark.parametrize("codec", CODECS)
def test_a_block_of_any_size_up_to_the_limit_comes_back(codec: Codec) -> None:
    """Blocks are read that are larger than most, and larger than the room that is tried first."""
    for size in (1, avro_container.BLOCK_BYTES, 2 * avro_container.BLOCK_BYTES + 1):
        header, content = file_of(codec, [["x" * size]])
        (found,) = read(header, codec, content)
        assert len(found.payload) > size


@pytest.mark.parametrize("codec", CODECS)
def test_the_same_rows_give_the_same_bytes(codec: Codec) -> None:
    """There is nothing random in a file, not even its sync marker; another header has another marker."""
    assert file_of(codec, [["a"], ["b"]]) == file_of(codec, [["a"], ["b"]])
    assert (
        avro_container.header(SCHEMA, codec, {"x": "1"}).sync != avro_container.header(SCHEMA, codec, {"x": "2"}).sync
    )


@pytest.mark.parametrize("codec", CODECS)
def test_a_truncated_file_is_refused_at_its_last_block(codec: Codec) -> None:
    """Every proper prefix that ends inside a block is refused, and the place is that block."""
    header, content = file_of(codec, [["a" * 50], ["b" * 50]])
    second = read(header, codec, content)[1].begin
    for end in range(second + 1, len(content)):
        file = io.BytesIO(content[:end])
        file.seek(len(header.encoded))
        blocks = avro_container.read_blocks(file, codec, header.sync, len(content))
        next(blocks)
        with pytest.raises(ContainerError) as caught:
            next(blocks)
        assert second <= caught.value.position <= end


@pytest.mark.parametrize("codec", CODECS)
def test_hostile_bytes_are_refused_and_nothing_else_happens(codec: Codec) -> None:
    """Any flipped byte either is refused with a place or leaves a block that reads; no other error comes out."""
    header, content = file_of(codec, [["abc" * 20, "d"], ["e" * 30]])
    refused = 0
    for position in range(len(header.encoded), len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 0xFF
        with contextlib.suppress(ContainerError):
            read(header, codec, bytes(damaged))
            refused -= 1
        refused += 1
    assert refused >= 2 * avro_container.SYNC_BYTES
