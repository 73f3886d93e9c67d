"""What is known of every node: the rows of the table `node-coverage`, which workers keep."""

from agents.coverage.covering import parse_node_key
from agents.coverage.node_coverage import NodeCoverage
from agents.packing import StateError
from app.kafka.topic_reader import TopicReader
from app.operators.errors import OperatorError
from app.settings import Settings
from schemas import topics
from schemas.node import NodeId
from schemas.topics import Stage


class NodeRowsError(OperatorError):
    """A row of the table is not as this version writes it."""


def known_nodes(settings: Settings) -> dict[NodeId, NodeCoverage]:
    """Every node, and of each cluster that somebody follows a row with an empty name.

    Raises KafkaUnreachableError, KafkaUnusableError, NodeRowsError.
    """
    topic = settings.name(topics.changelog(Stage.HOT_SYMBOLS, topics.NODE_COVERAGE_TABLE))
    newest: dict[NodeId, bytes] = {}
    with TopicReader(settings) as reader:
        for record in reader.records(topic):
            node = parse_node_key(record.key or b"")
            if node is None:
                continue
            if record.value is None:
                newest.pop(node, None)
            else:
                newest[node] = record.value
    try:
        return {node: NodeCoverage.from_bytes(newest[node]) for node in sorted(newest)}
    except StateError as error:
        raise NodeRowsError(f"{topic}: {error}") from None
