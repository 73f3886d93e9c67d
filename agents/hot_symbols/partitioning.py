"""The partition of a symbol, by Kafka's own rule: murmur2 of the key, as Java's default partitioner computes it.

So any Java client that looks a symbol up by its key finds the partition that we wrote it to.
"""

from typing import Final

from agents.memo import Memo
from schemas.murmur2 import positive_murmur2


def symbol_partition(symbol_id: str, partitions: int) -> int:
    """Partition number of a symbol's row among `partitions`."""
    return _NUMBERS[symbol_id] % partitions


_NUMBERS: Final = Memo[str, int](lambda symbol_id: positive_murmur2(symbol_id.encode()), 65_536)
"""Hot symbols come in every flush; keys have some 100 bytes."""
