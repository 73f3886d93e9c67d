"""The answers to all watches as they stand now, read from `runtime.watch` and `runtime.watched`.

Every watch has an answer; one that no worker has answered yet says `Unknown`. Answers to watches that are no longer
there are left out.
"""

from collections.abc import Mapping
from typing import Any

from agents.hot_symbols.watch.answer_kind import AnswerKind
from agents.hot_symbols.watch.watch import Watch
from app.kafka.decoded_records import decoded_records
from app.kafka.refused import RefusedRecords
from app.kafka.schemas import RecordFault
from app.settings import Settings
from app.stages.hot_symbols.watch_list import read_watch_list
from schemas import topics


def watched_answers(settings: Settings, refused: RefusedRecords) -> list[dict[str, Any]]:
    """Answers by watch id, as fields of schemas/avro/watched_symbol.avsc; what cannot be used is noted in `refused`.

    Raises KafkaUnreachableError, KafkaUnusableError, RegistryError.
    """
    watches = read_watch_list(settings, refused).watches()
    answers: dict[str, dict[str, Any]] = {}
    for _, answer in decoded_records(settings, topics.WATCHED, refused):
        if not isinstance(answer, RecordFault):
            answers[answer["watch_id"]] = answer
    return answers_to(watches, answers)


def answers_to(watches: Mapping[str, Watch], answers: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """An answer to each watch, by id; `answers` may have others, too."""
    return [answers.get(watch_id) or _unanswered(watch) for watch_id, watch in sorted(watches.items())]


def _unanswered(watch: Watch) -> dict[str, Any]:
    return {
        "watch_id": watch.watch_id,
        **watch.as_record(),
        "answer": AnswerKind.UNKNOWN.value,
        "reasons": [],
        "reasons_more": 0,
        "snapshot": None,
        "hits": 0,
        "hits_may_be_doubled": False,
        "confirmed_hits": 0,
        "first_seen_ns": 0,
        "last_seen_ns": 0,
        "symbols": [],
        "symbols_more": 0,
        "kept_since_ns": 0,
        "ambiguous_hits": 0,
        "complete_ns": 0,
        "complete_until_ns": 0,
        "nodes": 0,
        "watched_ms": 0,
        "missing_ms": 0,
        "placed_nodes": 0,
        "placed_watched_ms": 0,
        "placed_missing_ms": 0,
        "sighted_nodes": None,
        "sighted_watched_ms": None,
        "sighted_missing_ms": None,
        "events_lost": None,
        "every_node_known": False,
        "retired": [],
        "gaps": [],
        "gaps_more": 0,
        "images": [],
        "images_more": 0,
        "events": [],
        "named_by": [],
    }
