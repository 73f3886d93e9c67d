"""The partition of a symbol, by Kafka's rule."""

import pytest

from agents.hot_symbols.partitioning import symbol_partition
from schemas.murmur2 import murmur2


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_is_the_one_of_java_clients(key: bytes, expected: int) -> None:
    """The numbers are those that Kafka's own tests hold its function to."""
    assert murmur2(key) == expected % 2**32


def test_symbol_partition_is_spread_over_all_partitions() -> None:
    """Symbols of one module do not share a partition."""
    found = {symbol_partition(f"/usr/lib/libc.so.6!f{number}", 8) for number in range(200)}

    assert found == set(range(8))
