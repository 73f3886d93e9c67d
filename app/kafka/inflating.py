"""Inflating the batches of a fetch within a limit, where aiokafka does it without one.

A batch of 18 kB may inflate to 200 MB, and the broker's limit is of its compressed size. What would be larger than the
limit is not inflated. aiokafka looks these functions up by name in its modules, where `install` replaces them.
"""

import threading
import zlib
from collections.abc import Callable
from importlib import import_module
from struct import Struct, error
from typing import Any, Final

import cramjam
from aiokafka import codec

from schemas.topics import MAX_RECORD_BYTES

MAX_INFLATED_BYTES: Final = MAX_RECORD_BYTES + (1 << 20)
"""Of one batch. A producer of ours closes a batch at 900 kB, so the largest batch holds one record of the largest
size."""

_FIRST_GUESS: Final = 8
_LEAST_GUESS_BYTES: Final = 1 << 18
_LZ4_HEAD: Final = Struct("<IBB")
_LZ4_MAGIC: Final = 0x184D2204
_SIZE: Final = Struct("<I")
_XERIAL_HEAD_BYTES: Final = 16
_XERIAL_SIZE: Final = Struct(">i")

Buffer = bytes | memoryview
Inflate = Callable[[Buffer], bytes]


class BatchTooLargeError(Exception):
    """A batch is damaged, or larger than the limit when it is inflated."""


def inflate_zstd(data: Buffer) -> bytes:
    """A zstd batch. Raises BatchTooLargeError."""
    return _into(cramjam.zstd.decompress_into, data)


def inflate_lz4(data: Buffer) -> bytes:
    """An lz4 batch. Raises BatchTooLargeError."""
    most = _most_lz4_bytes(data)
    if most is None or most > MAX_INFLATED_BYTES:
        return _into(cramjam.lz4.decompress_into, data)
    try:
        return bytes(codec.lz4_decode(data))
    except cramjam.DecompressionError:
        raise BatchTooLargeError from None


def inflate_gzip(data: Buffer) -> bytes:
    """A gzip batch. Raises BatchTooLargeError."""
    inflated, rest = bytearray(), bytes(data)
    try:
        while rest:
            member = zlib.decompressobj(zlib.MAX_WBITS | 16)
            inflated += member.decompress(rest, MAX_INFLATED_BYTES + 1 - len(inflated))
            if len(inflated) > MAX_INFLATED_BYTES or not member.eof:
                raise BatchTooLargeError
            rest = member.unused_data
    except zlib.error:
        raise BatchTooLargeError from None
    return bytes(inflated)


def inflate_snappy(data: Buffer) -> bytes:
    """A snappy batch, whose blocks begin with their sizes. Raises BatchTooLargeError."""
    view, total = memoryview(data), 0
    try:
        if codec._detect_xerial_stream(view):  # noqa: SLF001 - aiokafka has no other name for it
            at = _XERIAL_HEAD_BYTES
            while at < len(view):
                (size,) = _XERIAL_SIZE.unpack_from(view, at)
                total += _varint(view, at + _XERIAL_SIZE.size)
                if size < 0:
                    raise BatchTooLargeError
                at += _XERIAL_SIZE.size + size
        else:
            total = _varint(view, 0)
        if total > MAX_INFLATED_BYTES:
            raise BatchTooLargeError
        return bytes(codec.snappy_decode(data))
    except (error, IndexError, cramjam.DecompressionError):
        raise BatchTooLargeError from None


_REPLACED: Final[dict[str, Inflate]] = {
    "gzip_decode": inflate_gzip,
    "snappy_decode": inflate_snappy,
    "lz4_decode": inflate_lz4,
    "zstd_decode": inflate_zstd,
}
_MODULES: Final = (
    "aiokafka.record.default_records",
    "aiokafka.record.legacy_records",
    "aiokafka.record._crecords.default_records",
    "aiokafka.record._crecords.legacy_records",
)


class _Inflated(threading.local):
    total_bytes = 0


_inflated = _Inflated()


def inflated_bytes() -> int:
    """Bytes inflated so far by this thread, over all batches."""
    return _inflated.total_bytes


def install() -> None:
    """Have aiokafka inflate with these; again is the same as once."""
    for name in _MODULES:
        module: Any = import_module(name)
        for function, replacement in _REPLACED.items():
            if hasattr(module, function):  # legacy batches have no zstd
                setattr(module, function, _measured(replacement))


def _measured(inflate: Inflate) -> Inflate:
    def measured(data: Buffer) -> bytes:
        inflated = inflate(data)
        _inflated.total_bytes += len(inflated)
        return inflated

    return measured


def _into(inflate: Callable[[Any, Any], int], data: Buffer) -> bytes:
    """Inflate into a buffer that is as large as the result may be; most results fit into a smaller one."""
    guess = min(MAX_INFLATED_BYTES, max(_LEAST_GUESS_BYTES, _FIRST_GUESS * len(data)))
    for size in dict.fromkeys((guess, MAX_INFLATED_BYTES)):
        room = bytearray(size)
        try:
            return bytes(memoryview(room)[: inflate(data, room)])
        except cramjam.DecompressionError:
            continue
    raise BatchTooLargeError


def _most_lz4_bytes(data: Buffer) -> int | None:
    """What an lz4 frame inflates to at most, by the number of its blocks; None where it is something else."""
    try:
        magic, flags, block = _LZ4_HEAD.unpack_from(data)
        if magic != _LZ4_MAGIC:
            return None
        at = _LZ4_HEAD.size + 1 + (8 if flags & 0x08 else 0) + (4 if flags & 0x01 else 0)
        block_bytes, blocks = 1 << 8 + 2 * (block >> 4 & 7), 0
        while size := _SIZE.unpack_from(data, at)[0]:
            blocks += 1
            at += _SIZE.size + (size & 0x7FFFFFFF) + (4 if flags & 0x10 else 0)
    except error:
        return None
    ends_at = at + _SIZE.size + (4 if flags & 0x04 else 0)
    return blocks * block_bytes if ends_at == len(data) else None


def _varint(view: memoryview, at: int) -> int:
    value = shift = 0
    while True:
        byte = view[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80 or shift > 28:
            return value
        at, shift = at + 1, shift + 7
