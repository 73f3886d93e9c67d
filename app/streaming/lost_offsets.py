"""A group whose offsets are gone, although its stage has published: Kafka forgets them when a stage is away for long.

The stage reads again from the first record that is left. What it publishes a second time has the same raw positions, so
counts and readers skip it (`source`). What was deleted meanwhile is a gap. That is right, and it is never silent.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from confluent_kafka import KafkaException

from app.kafka.records import Partition

log = logging.getLogger(__name__)


def look_for_lost_offsets(
    source: str,
    output: str,
    ends: Callable[[Iterable[Partition]], Mapping[Partition, int]],
    count: Callable[[int], None],
    partitions: Sequence[Partition],
) -> None:
    """Say in which of these partitions of `source` the group had offsets: those that have results in `output`.

    Both are full names, and results have the partition number of their source. `ends` gives next offsets, and may raise
    KafkaException. `count` takes the number of partitions. Partitions of other sources are ignored.
    """
    wanted = [(output, number) for topic, number in partitions if topic == source]
    try:
        written = sorted(number for (_, number), end in ends(wanted).items() if end)
    except KafkaException as error:
        log.warning("whether the group had offsets is not known: %s", error.args[0].name())
        return
    if not written:
        return
    count(len(written))
    log.warning(
        "the group's offsets of %s are gone, and there are results of it: all that is left is read again; results that "
        "come twice have the same raw position",
        source,
        extra={"facts": {"partitions": written}},
    )
