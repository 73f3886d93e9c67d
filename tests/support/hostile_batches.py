"""Record batches as their bytes, and a producer that sends them as they are: what no client would make."""

import asyncio
import random
import time
import zlib
from collections.abc import Iterable, Iterator
from struct import Struct
from typing import Any, Final

import cramjam
from aiokafka import codec
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import for_code
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record._crc32c import crc as crc32c
from aiokafka.record.util import encode_varint
from aiokafka.structs import TopicPartition

_HEAD: Final = Struct(">qiibI")
_BODY: Final = Struct(">hiqqqhii")
_CHUNK: Final = bytes(1 << 20)
_PAUSE_SECONDS: Final = 0.2

LEADER_SECONDS: Final = 60.0
"""For a broker on a busy machine to lead a partition of a new topic."""

GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4
CODECS: Final = {"gzip": GZIP, "snappy": SNAPPY, "lz4": LZ4, "zstd": ZSTD}


def batch(content: bytes, number: int, *, records: int = 1) -> bytes:
    """A batch of now around records that are compressed with this codec; its checksum is right.

    A batch of another time would end its log's segment, and a broker that cleans a segment of a compacted topic
    inflates all of it: a large one ends the broker.
    """
    timestamp_ms = int(time.time() * 1000)
    body = _BODY.pack(number, records - 1, timestamp_ms, timestamp_ms, -1, -1, -1, records) + content
    return _HEAD.pack(0, len(body) + 9, -1, 2, crc32c(body)) + body


def bomb(name: str, size: int, key: bytes = b"bomb") -> bytes:
    """A batch of one record whose value is `size` zeros; it is made without ever being that large in memory."""
    return batch(b"".join(_compressed(name, record_pieces(size, key))), CODECS[name])


def damaged(chance: random.Random, *, flipped_bits: int = 4) -> Iterator[bytes]:
    """Small batches with a right checksum whose compressed records are cut off, flipped, followed by more, or none.

    A flipped bit may make a record say that it has two gigabytes. A broker believes that on a compacted topic, where it
    reads keys, and ends for want of memory: there, `flipped_bits` must be 0.
    """
    for name, number in CODECS.items():
        content = b"".join(_compressed(name, record_pieces(200, b"k")))
        for cut in (1, 4, 8, 20):
            yield batch(content[:-cut], number)
        for _ in range(flipped_bits):
            flipped = bytearray(content)
            flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
            yield batch(bytes(flipped), number)
        yield batch(content + content, number)
        yield batch(content + b"\0" * 9, number)
        yield batch(content, number, records=3)
        yield batch(b"", number)
        yield batch(content, number ^ 5)


def record_pieces(size: int, key: bytes) -> Iterator[bytes]:
    """The bytes of a record whose value is zeros."""
    head = bytearray((0, 0, 0))
    encode_varint(len(key), head.append)
    head += key
    encode_varint(size, head.append)
    length = bytearray()
    encode_varint(len(head) + size + 1, length.append)
    yield bytes(length + head)
    for begin in range(0, size, len(_CHUNK)):
        yield _CHUNK[: size - begin]
    yield b"\0"


def _compressed(name: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
    match name:
        case "gzip":
            gzip = zlib.compressobj(6, zlib.DEFLATED, zlib.MAX_WBITS | 16)
            for piece in pieces:
                yield gzip.compress(piece)
            yield gzip.flush()
        case "snappy":
            yield codec.snappy_encode(b"".join(pieces))
        case "lz4" | "zstd":
            # Kafka takes independent blocks only
            compressor: Any = cramjam.lz4.Compressor(block_linked=False) if name == "lz4" else cramjam.zstd.Compressor()
            for piece in pieces:
                compressor.compress(piece)
            yield bytes(compressor.finish())
        case _:
            raise ValueError(name)


def send_batches(bootstrap_servers: str, topic: str, partition: int, batches: Iterable[bytes]) -> list[int]:
    """Send batches as they are, one after the other; returns Kafka's answers, 0 where it took one.

    A broker that does not lead the partition yet, or no longer, is asked again: a topic that was just made is known
    before it can be written. Raises TimeoutError if nobody leads it within `LEADER_SECONDS`.
    """
    return asyncio.run(_send(bootstrap_servers, topic, partition, batches))


async def _send(servers: str, topic: str, partition: int, batches: Iterable[bytes]) -> list[int]:
    client = AIOKafkaClient(bootstrap_servers=servers, client_id="hostile")
    await client.bootstrap()
    try:
        return [await _answer(client, topic, partition, content) for content in batches]
    finally:
        await client.close()


async def _answer(client: AIOKafkaClient, topic: str, partition: int, content: bytes) -> int:
    """The leader's answer to one batch."""
    request = ProduceRequest(
        transactional_id=None, required_acks=-1, timeout=30_000, topics=[(topic, [(partition, content)])]
    )
    async with asyncio.timeout(LEADER_SECONDS):
        while True:
            await client._wait_on_metadata(topic)
            leader = client.cluster.leader_for_partition(TopicPartition(topic, partition))
            if leader is not None and leader >= 0:
                answer = await client.send(leader, request)
                code = int(answer.topics[0][1][0][1])
                if not for_code(code).invalid_metadata:
                    return code
            await asyncio.sleep(_PAUSE_SECONDS)
            await client.force_metadata_update()
