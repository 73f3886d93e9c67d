"""The records that a part of the hot-symbol stage could not use: counted by its meter, and said in its log."""

from app.kafka.refused import RecordRefusal, RefusedRecords
from app.streaming.stage_process import StageRuntime
from app.telemetry import metrics
from schemas import topics


def refused_records(runtime: StageRuntime) -> RefusedRecords:
    """A place for one part's refusals."""

    def count(refusal: RecordRefusal) -> None:
        topic = topics.live_name(refusal.topic.removeprefix(runtime.settings.topic_prefix))
        runtime.meter.add(metrics.REFUSED, 1, topic, refusal.reason.value)

    return RefusedRecords(count)
