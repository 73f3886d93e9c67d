"""Which node: its cluster and its name together.

Clusters name their nodes alike (`worker-0`), and machines that were cloned have one name, so a name alone is no
identity. An agent that names no cluster has the empty one.
"""

from typing import NamedTuple

from schemas.text_limits import cut_place


class NodeId(NamedTuple):
    """A node: Tetragon's `cluster_name` and `node_name`; either may be empty. Sorts by cluster, then by name."""

    cluster: str
    name: str

    def __str__(self) -> str:
        """`CLUSTER/NAME`, or the name alone where no cluster is named; never the same for two nodes.

        A slash or a percent sign inside of a name stands as `%2F` and `%25`.
        """
        name = _escaped(self.name)
        return f"{_escaped(self.cluster)}/{name}" if self.cluster else name

    def within_limits(self) -> "NodeId":
        """The same node, with names cut that are longer than a place's may be."""
        return NodeId(cut_place(self.cluster), cut_place(self.name))

    def as_key(self) -> bytes:
        """Key of the node's records: `str` of it."""
        return str(self).encode("utf-8", "surrogatepass")


def node_of_text(text: str) -> NodeId:
    """The node that `str` of it gave the text for."""
    cluster, slash, name = text.partition("/")
    return NodeId(_unescaped(cluster), _unescaped(name)) if slash else NodeId("", _unescaped(text))


def _escaped(name: str) -> str:
    return name.replace("%", "%25").replace("/", "%2F")


def _unescaped(text: str) -> str:
    return text.replace("%2F", "/").replace("%25", "%")
