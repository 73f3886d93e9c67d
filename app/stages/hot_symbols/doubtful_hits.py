"""Hits that may be of a watched function and may be of another: while such ones come, its watch is not NeverHit."""

import time
from collections.abc import Mapping
from typing import Any

from agents.hot_symbols.table.published import module_in
from agents.hot_symbols.watch.watch import Watch
from agents.hot_symbols.watch.watch_board import WatchBoard
from agents.hot_symbols.watch.watched_code import watched_codes
from app.kafka.registry import SchemaRegistry
from app.kafka.schemas import RecordDecoder, RecordFault
from app.kafka.topic_reader import TopicReader
from app.settings import Settings
from app.symbols.known_files import files_of
from schemas import topics


def doubtful_hits(settings: Settings, watch: Watch, schema_id: int) -> int:
    """Of all that was counted so far, by the rule that the answers follow; reads all rows.

    `schema_id` is that of a row as this program writes it.

    Raises KafkaUnreachableError, KafkaUnusableError, RegistryError, SymbolStoreError.
    """
    files = files_of(settings.symbol_store_dir)
    with SchemaRegistry.from_settings(settings) as registry:
        schemas = RecordDecoder(settings, registry, topics.HOT_SYMBOLS)

        def decode_row(value: bytes) -> Mapping[str, Any] | None:
            found = schemas.decode(value)
            return None if isinstance(found, RecordFault) else found

        board = WatchBoard(decode_row, lambda value: module_in(value, schema_id), None)
        board.set_watches({watch.watch_id: watch}, watched_codes([watch], files, {}))
        rows = _newest(settings)
        hits = _hits(board, watch, rows)
        # rows say which files there are under the watched path, and which snapshots named them
        if board.set_codes(watched_codes([watch], files, board.files.seen, set(board.files.snapshots))):
            hits = _hits(board, watch, rows)
    return hits


def _newest(settings: Settings) -> dict[bytes, bytes | None]:
    with TopicReader(settings) as reader:
        records = reader.records(settings.name(topics.HOT_SYMBOLS))
        return {record.key: record.value for record in records if record.key is not None}


def _hits(board: WatchBoard, watch: Watch, rows: Mapping[bytes, bytes | None]) -> int:
    for key, value in rows.items():
        board.take(key, value)
    hits: int = board.answer(watch.watch_id, time.time_ns())["ambiguous_hits"]
    return hits
