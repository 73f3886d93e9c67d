"""Makes topics on a broker that may be busy, or may just have started."""

import time
from typing import Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

PATIENCE_SECONDS: Final = 60.0

_NOT_YET: Final = {
    KafkaError.INVALID_REPLICATION_FACTOR,  # the one broker of the cluster was not heard of for nine seconds
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError._TIMED_OUT,
    KafkaError._TRANSPORT,
}


def make_topics(admin: AdminClient, wanted: list[NewTopic]) -> None:
    """Return when all are made. Raises KafkaException if the broker refuses one, or cannot make it for too long."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    left = {one.topic: one for one in wanted}
    while True:
        for name, answer in admin.create_topics(list(left.values())).items():
            try:
                answer.result()
            except KafkaException as error:
                code = error.args[0].code()
                if code in _NOT_YET and time.monotonic() < deadline:
                    continue
                if code != KafkaError.TOPIC_ALREADY_EXISTS:  # a question that timed out was carried out all the same
                    raise
            del left[name]
        if not left:
            return
        time.sleep(0.2)
