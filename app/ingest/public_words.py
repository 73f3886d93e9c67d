"""Words of an agent as they may stand on a public topic, in a log and on disk."""

import logging
from collections.abc import Callable
from dataclasses import replace

from agents.privacy.redaction.answers import Cleared, TextAnswer
from app.ingest.filter_effect import FiltersInForce, filters_in_force
from app.privacy.load import Privacy
from schemas.node import NodeId
from schemas.tetragon.filters_pb2 import GetEventsRequest

log = logging.getLogger(__name__)


def public_names(privacy: Privacy) -> Callable[[str], str]:
    """What clears a name; one that cannot be cleared becomes empty."""
    return lambda name: _cleared(privacy.engine.name(name))


def public_node(public_name: Callable[[str], str], node: NodeId) -> NodeId:
    """The node as it may be called, by what clears a name."""
    return NodeId(*(public_name(name) if name else "" for name in node)).within_limits()


def public_filters(wanted: GetEventsRequest, privacy: Privacy) -> FiltersInForce:
    """The filters; their patterns may hold names of people."""
    found = filters_in_force(wanted)
    if found.hide_evidence:
        log.warning("filters hide events, so coverage says Filtered and no watch is answered NeverHit")
    return found if found.text is None else replace(found, text=_cleared(privacy.engine.text(found.text)))


def _cleared(answer: TextAnswer) -> str:
    return answer.text if isinstance(answer, Cleared) else ""
