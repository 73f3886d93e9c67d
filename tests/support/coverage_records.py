"""Coverage records as ingest writes them: under their own keys, in the partition of their node."""

from confluent_kafka import Producer

from agents.coverage.keys import node_partition, record_key
from schemas.coverage import CoverageGap, encode
from schemas.node import NodeId


def send_coverage(producer: Producer, topic: str, record: CoverageGap, schema_id: int) -> None:
    """Hand a record to the producer."""
    partition = partition_of(producer, topic, record.node_id)
    producer.produce(topic, encode(record, schema_id), record_key(record), partition)


def partition_of(producer: Producer, topic: str, node: NodeId) -> int:
    """The partition of a node's records."""
    return node_partition(node, len(producer.list_topics(topic, timeout=30).topics[topic].partitions))
