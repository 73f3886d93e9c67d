"""Avro object container files, block by block and with places: what is damaged is named by its bytes in the file.

Sources: Avro 1.12 specification, "Object Container Files" and "Required Codecs"; snappy's blocks end with the CRC-32 of
the uncompressed data. The same records give the same bytes on any machine: the sync marker is a digest of the header,
and a library with a pinned version compresses blocks, not the machine's zlib. A reader checks every byte of a file, but
not bytes behind the end of what was packed into a block: the digest of the part covers those.
"""

import hashlib
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, BinaryIO, Final, Generic, NamedTuple, TypeVar

import cramjam

from schemas import avro_wire

MAGIC: Final = b"Obj\x01"
SYNC_BYTES: Final = 16

MAX_BLOCK_BYTES: Final = 64 << 20
"""Above any block of ours: blocks end at `BLOCK_BYTES`, and the largest record has 17 MiB."""

BLOCK_BYTES: Final = 1 << 20
"""A block ends with the record that reaches this, so what a reader holds at a time is bounded."""

_ROOM_BYTES: Final = 2 * BLOCK_BYTES
_RAW_DEFLATE: Final = -15
_CRC_BYTES: Final = 4

_Record = TypeVar("_Record")


class Codec(StrEnum):
    """How blocks are compressed. Every Avro implementation reads the first two."""

    DEFLATE = "deflate"
    NULL = "null"
    SNAPPY = "snappy"


class ContainerError(Exception):
    """Bytes are not a container file; `position` is the byte position in the file."""

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(f"byte {position}: {reason}")
        self.position = position
        self.reason = reason


class Block(NamedTuple):
    """One block: where its bytes begin and end in the file, how many records, and their encodings."""

    begin: int
    end: int
    records: int
    payload: bytes


class Header(NamedTuple):
    """The beginning of a file: its bytes, and the marker that ends it and every block."""

    encoded: bytes
    sync: bytes


def header(schema: str, codec: Codec, facts: Mapping[str, str]) -> Header:
    """The header of a file with this schema (JSON text); `facts` are further metadata."""
    metadata = {"avro.codec": codec.value, "avro.schema": schema, **facts}
    entries = [avro_wire.text(name) + avro_wire.text(metadata[name]) for name in sorted(metadata)]
    encoded = MAGIC + avro_wire.long(len(entries)) + b"".join(entries) + avro_wire.END_OF_BLOCKS
    sync = hashlib.sha256(encoded).digest()[:SYNC_BYTES]
    return Header(encoded + sync, sync)


def block(codec: Codec, level: int, sync: bytes, count: int, payload: bytes) -> bytes:
    """One block; `level` is deflate's, from 1 (fast) to 9 (small)."""
    packed = _pack(codec, level, payload)
    return avro_wire.long(count) + avro_wire.long(len(packed)) + packed + sync


@dataclass(slots=True)
class BlockWriter(Generic[_Record]):
    """Writes a file's records in blocks, and the blocks in parts. A block does not reach over the end of its part.

    `begin` is where the file's next byte goes; `pack` makes a block of a number of records and their encoding.
    """

    file: BinaryIO
    begin: int
    pack: Callable[[int, bytes], bytes]
    encode: Callable[[Sequence[_Record]], bytes]
    _pending: list[_Record] = field(default_factory=list)
    _pending_bytes: int = 0
    _part_bytes: int = 0
    _stored: Any = field(default_factory=hashlib.sha256)

    def add(self, record: _Record, size: int) -> None:
        """Take the next record, of about `size` bytes."""
        self._pending.append(record)
        self._pending_bytes += size
        if self._pending_bytes >= BLOCK_BYTES:
            self._end_block()

    def end_part(self) -> tuple[int, int, str]:
        """End the part; returns where it begins and ends in the file, and the digest of its bytes."""
        if self._pending:
            self._end_block()
        begin, end, stored = self.begin, self.begin + self._part_bytes, self._stored.hexdigest()
        self.begin, self._part_bytes, self._stored = end, 0, hashlib.sha256()
        return begin, end, stored

    def _end_block(self) -> None:
        encoded = self.pack(len(self._pending), self.encode(self._pending))
        self._stored.update(encoded)
        self.file.write(encoded)
        self._part_bytes += len(encoded)
        self._pending.clear()
        self._pending_bytes = 0


def read_blocks(file: BinaryIO, codec: Codec, sync: bytes, end: int) -> Iterator[Block]:
    """The blocks from the file's position to position `end`. Raises ContainerError if the bytes are not blocks."""
    position = file.tell()
    while position < end:
        begin = position
        count, position = _read_long(file, position)
        size, position = _read_long(file, position)
        if count <= 0 or not 0 <= size <= MAX_BLOCK_BYTES:
            raise ContainerError(begin, "no block begins here")
        packed = file.read(size)
        marker = file.read(SYNC_BYTES)
        position += size + SYNC_BYTES
        if len(packed) < size or len(marker) < SYNC_BYTES or position > end:
            raise ContainerError(begin, "the block is cut off")
        if marker != sync:
            raise ContainerError(position - SYNC_BYTES, "the block does not end with the file's sync marker")
        yield Block(begin, position, count, _unpack(codec, packed, begin))


def _read_long(file: BinaryIO, position: int) -> tuple[int, int]:
    value = shift = 0
    for index in range(10):
        byte = file.read(1)
        if not byte:
            raise ContainerError(position + index, "the file ends inside a number")
        value |= (byte[0] & 0x7F) << shift
        shift += 7
        if byte[0] < 0x80:
            return value >> 1 ^ -(value & 1), position + index + 1
    raise ContainerError(position, "no number ends here")


def _pack(codec: Codec, level: int, payload: bytes) -> bytes:
    match codec:
        case Codec.NULL:
            return payload
        case Codec.DEFLATE:
            return bytes(cramjam.deflate.compress(payload, level))
        case Codec.SNAPPY:
            packed = bytes(cramjam.snappy.compress_raw(payload))
            return packed + zlib.crc32(payload).to_bytes(_CRC_BYTES, "big")


def _unpack(codec: Codec, packed: bytes, position: int) -> bytes:
    try:
        return _UNPACK[codec](packed)
    except (zlib.error, cramjam.DecompressionError, ValueError) as error:
        raise ContainerError(position, f"the block does not decompress ({type(error).__name__})") from None


def _inflate(packed: bytes) -> bytes:
    """Into a room that has place for most blocks, which takes half as long; zlib decides about all others."""
    room = bytearray(_ROOM_BYTES)
    with suppress(cramjam.DecompressionError):
        return bytes(memoryview(room)[: cramjam.deflate.decompress_into(packed, room)])
    decompressor = zlib.decompressobj(_RAW_DEFLATE)
    payload = decompressor.decompress(packed, MAX_BLOCK_BYTES)
    if not decompressor.eof or decompressor.unused_data:
        raise ValueError
    return payload


def _unsnap(packed: bytes) -> bytes:
    if cramjam.snappy.decompress_raw_len(packed[:-_CRC_BYTES]) > MAX_BLOCK_BYTES:
        raise ValueError
    payload = bytes(cramjam.snappy.decompress_raw(packed[:-_CRC_BYTES]))
    if zlib.crc32(payload).to_bytes(_CRC_BYTES, "big") != packed[-_CRC_BYTES:]:
        raise ValueError
    return payload


_UNPACK: Final[Mapping[Codec, Callable[[bytes], bytes]]] = {
    Codec.NULL: bytes,
    Codec.DEFLATE: _inflate,
    Codec.SNAPPY: _unsnap,
}
