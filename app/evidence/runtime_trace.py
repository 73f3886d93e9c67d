"""What a signed archive or run states, as an in-toto runtime trace.

Source: the predicate https://in-toto.io/attestation/runtime-trace/v0.1. `monitorLog.process` has the form that the
monitor gives it: here an entry for each partition, with digests instead of events, because the events are private. The
document that is the subject has the rest.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from app.evidence.attestation import statement, subject

PREDICATE_TYPE: Final = "https://in-toto.io/attestation/runtime-trace/v0.1"
MONITOR: Final = "https://github.com/cilium/tetragon"
PROCESS_TYPE: Final = "urn:callstream:recorded-events"


def topic_host(cluster: str | None, topic: str) -> str:
    """A topic of a Kafka cluster as the host of what was monitored."""
    return f"urn:kafka:{cluster or 'unknown'}:{topic}"


def archive_host(digest: str) -> str:
    """An archive, by its digest, as the host of what was monitored."""
    return f"urn:sha256:{digest}"


def runtime_trace(
    document: tuple[str, bytes, str],
    host: str,
    partitions: Iterable[Mapping[str, Any]],
    *,
    policy: str | None = None,
    deciding: Mapping[str, Any] | None = None,
) -> bytes:
    """The statement about a document, given as its name, content and digest.

    `policy` is the digest of the privacy policy's text; `deciding` names by digest what else decided.
    """
    name, content, digest = document
    monitor: dict[str, Any] = {"type": MONITOR}
    if policy is not None:
        monitor["configSource"] = {"name": "privacy policy", "digest": {"sha256": policy}}
    if deciding is not None:
        monitor["tracePolicy"] = dict(deciding)
    predicate = {
        "monitor": monitor,
        "monitoredProcess": {"hostID": host, "type": PROCESS_TYPE, "event": f"urn:sha256:{digest}"},
        "monitorLog": {"process": [dict(one) for one in partitions]},
    }
    return statement([subject(name, content)], PREDICATE_TYPE, predicate)
