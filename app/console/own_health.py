"""What the console says of itself: whether it has read its topics, and metrics.

It has no port of its own for that: CALLSTREAM_HTTP_PORT says where the workers of this host are. So `/healthz` and
`/readyz` stand beside the page, and tell nobody's data; `/metrics` wants the token, as all documents do.
"""

from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder

from app.console.followed_topics import FollowedTopics
from app.settings import Settings
from app.telemetry.meter import Meter
from app.telemetry.state_metrics import BUILD_INFO, CERTIFICATE_END, DEPLOYMENT_INFO, READY, REGISTRY_UP
from app.telemetry.surroundings import Surroundings

_TABLE: Final = (BUILD_INFO, DEPLOYMENT_INFO, READY, REGISTRY_UP, CERTIFICATE_END)
"""What the console can say of the table of metrics; the rest is of the pipeline."""

TOPICS_CHECK: Final = "topics"


class OwnHealth:
    """Answers from any thread, between `start` and `stop`."""

    def __init__(self, settings: Settings, followed: FollowedTopics) -> None:
        self._followed = followed
        self._meter = Meter(_TABLE)
        self._meter.add_source(lambda: self._meter.set(READY, followed.is_read, TOPICS_CHECK))
        self._surroundings = Surroundings(settings, self._meter)
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self._meter)
        ProcessCollector(registry=self._registry)

    def start(self) -> None:
        """Begin to look at what the console depends on."""
        self._surroundings.start()

    def stop(self) -> None:
        """Look no more."""
        self._surroundings.stop()

    def failing(self) -> list[str]:
        """The checks that keep it from showing all that there is.

        A broker that goes away later is none of them: the page goes on with what it has, and says so.
        """
        return [] if self._followed.is_read else [TOPICS_CHECK]

    def metrics(self, accepted: str) -> tuple[bytes, str]:
        """The metrics in a form that a client accepts, with its content type."""
        encode, content_type = choose_encoder(accepted)
        return encode(self._registry), content_type
