"""What the console keeps of compacted public topics: read from their beginning, then followed, by one thread.

So a view costs no question to Kafka. `runtime.calls` is not among them: it is read for single questions only.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from agents.coverage.fleet import FleetCoverage
from agents.hot_symbols.watch.watch import Watch
from agents.hot_symbols.watch.watch_board import MAX_WATCHES
from agents.packing import StateError
from app.console.probe_shelf import ProbeShelf
from app.console.symbol_shelf import SymbolShelf
from app.dead_letters.inventory import (
    ALL_LETTERS,
    DeadLetterGroup,
    Inventory,
    RefusalKind,
    RefusedPosition,
    grouped,
)
from app.kafka.records import Recorded
from app.kafka.refused import RefusedRecords
from app.kafka.registry import RegistryError, SchemaRegistry
from app.kafka.schemas import RecordDecoder, RecordFault
from app.kafka.topic_follower import WholeTopics
from app.kafka.topic_reader import TopicReader
from app.operators.errors import OperatorError
from app.settings import Settings
from app.stages.hot_symbols.watch_list import MAX_PLACES, WatchList
from schemas import topics
from schemas.topics import Stage

log = logging.getLogger(__name__)
_retry_log = log.getChild("retries")

NODES: Final = topics.changelog(Stage.HOT_SYMBOLS, topics.NODE_COVERAGE_TABLE)
"""The workers' table of coverage, one row a node."""

FOLLOWED: Final = (topics.WATCH, topics.WATCHED, NODES, topics.PROBES, topics.DEAD_LETTERS, topics.HOT_SYMBOLS)

MAX_LETTERS: Final = 200_000
"""Dead letters that are told apart, at some 500 bytes; further ones are counted."""

MAX_POSITIONS: Final = 10
"""Of each kind of dead letter that are shown."""

_TAKE_SECONDS: Final = 0.5
_RETRY_SECONDS: Final = 2.0


class FollowedTopics:
    """The present state of the topics, by `start`. Its parts may be read from any thread."""

    def __init__(self, settings: Settings, shown_name: Callable[[str], str]) -> None:
        self._settings = settings
        self.refused = RefusedRecords()
        self.symbols = SymbolShelf(shown_name)
        self.fleet = FleetCoverage()
        self.probes = ProbeShelf()
        self.letters = Inventory(settings.name(topics.RAW))
        self.letters_left_out = 0
        self._watches = WatchList(self.refused, MAX_PLACES)
        self._answers: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._when_read: Callable[[], None] = lambda: None
        self._thread = threading.Thread(target=self._run, name="followed-topics", daemon=True)
        self.changes = 0
        """Grows whenever a watch or an answer changes."""
        self.is_read = False
        """Whether all was read that was there when the console began."""
        self.trouble: str | None = None
        """Why nothing can be read now."""

    def start(self, when_read: Callable[[], None] = lambda: None) -> None:
        """Begin to read. `when_read` is called once, on the reading thread, when all is read and before it is said."""
        self._when_read = when_read
        self._thread.start()

    def close(self, within_seconds: float) -> None:
        """End the reading; a question to a broker that is away is not waited for."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(within_seconds)

    def watches(self) -> dict[str, Watch]:
        """The watches by id."""
        with self._lock:
            return self._watches.watches()

    def answers(self) -> Mapping[str, dict[str, Any]]:
        """The newest answer of each watch id, of watches that are gone too."""
        with self._lock:
            return dict(self._answers)

    def letter_groups(self) -> list[tuple[RefusalKind, DeadLetterGroup, list[RefusedPosition]]]:
        """Dead letters by kind, the largest first, each with the positions of some."""
        with self._lock:
            groups = grouped(self.letters, ALL_LETTERS)
            positions: dict[RefusalKind, list[RefusedPosition]] = {kind: [] for kind in groups}
            for letter in self.letters.by_event.values():
                listed = positions[RefusalKind(letter.stage, letter.reason, letter.error_class)]
                if len(listed) < MAX_POSITIONS:
                    listed.append(letter.source)
        return [(kind, group, positions[kind]) for kind, group in groups.items()]

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._follow()
            except OperatorError as error:
                self._say(str(error))
            except Exception as error:  # noqa: BLE001 - a view says what is wrong, and the reading begins again
                self._say(f"{type(error).__name__} while topics were read")
            self._stopped.wait(_RETRY_SECONDS)

    def _say(self, trouble: str) -> None:
        _retry_log.warning("topics cannot be read, trying again: %s", trouble)
        self.trouble = trouble

    def _follow(self) -> None:
        """Read and follow. Raises what Kafka and the registry raise."""
        with TopicReader(self._settings) as reader:
            counts = {self._settings.name(topic): reader.partitions(self._settings.name(topic)) for topic in FOLLOWED}
        whole = WholeTopics(self._settings, counts, self.refused)
        try:
            with SchemaRegistry.from_settings(self._settings) as registry:
                take = self._takers(registry)
                while not self._stopped.is_set():
                    for record in whole.next(_TAKE_SECONDS):
                        self._patiently(take[record.topic], record)
                    if whole.is_read and not self.is_read:
                        self._when_read()
                    self.is_read, self.trouble = self.is_read or whole.is_read, None
        finally:
            whole.close()

    def _patiently(self, take: Callable[[Recorded], None], record: Recorded) -> None:
        """Take a record as soon as the registry answers."""
        while not self._stopped.is_set():
            try:
                take(record)
            except RegistryError as error:
                self._say(str(error))
                self._stopped.wait(_RETRY_SECONDS)
            else:
                return

    def _takers(self, registry: SchemaRegistry) -> dict[str, Callable[[Recorded], None]]:
        """What takes the records of each topic, by its full name."""
        decoders = {
            topic: RecordDecoder(self._settings, registry, topic, follows=True) for topic in FOLLOWED if topic != NODES
        }

        def decoded(take: Callable[[Recorded, dict[str, Any] | RecordFault | None], None], topic: str) -> Any:
            def run(record: Recorded) -> None:
                take(record, None if record.value is None else decoders[topic].decode(record.value))

            return run

        takers = {
            topics.HOT_SYMBOLS: decoded(self._take_row, topics.HOT_SYMBOLS),
            topics.WATCH: decoded(self._take_watch, topics.WATCH),
            topics.WATCHED: decoded(self._take_answer, topics.WATCHED),
            topics.DEAD_LETTERS: decoded(self._take_letter, topics.DEAD_LETTERS),
            topics.PROBES: decoded(self._take_probes, topics.PROBES),
            NODES: self._take_node,
        }
        return {self._settings.name(topic): take for topic, take in takers.items()}

    def _take_row(self, record: Recorded, row: dict[str, Any] | RecordFault | None) -> None:
        if record.key is None:
            self.refused.refuse_keyless(record)
        elif isinstance(row, RecordFault):
            self.refused.refuse(record, row)
        else:
            self.symbols.take(record, row)

    def _take_watch(self, record: Recorded, watch: dict[str, Any] | RecordFault | None) -> None:
        with self._lock:
            self._watches.take(record, RecordFault.EMPTY if watch is None else watch)
            self.changes += 1

    def _take_answer(self, record: Recorded, answer: dict[str, Any] | RecordFault | None) -> None:
        if isinstance(answer, RecordFault):
            self.refused.refuse(record, answer)
            return
        with self._lock:
            self.changes += 1
            if answer is None:
                self._answers.pop((record.key or b"").decode("utf-8", "replace"), None)
            elif answer["watch_id"] in self._answers or len(self._answers) < 2 * MAX_WATCHES:
                self._answers[answer["watch_id"]] = answer
            else:
                self.refused.refuse(record, RecordFault.TOO_MANY)

    def _take_letter(self, record: Recorded, letter: dict[str, Any] | RecordFault | None) -> None:
        if isinstance(letter, RecordFault) or letter is None:
            self.refused.refuse(record, RecordFault.EMPTY if letter is None else letter)
            return
        with self._lock:
            if len(self.letters.by_event) < MAX_LETTERS:
                self.letters.add(letter, record.timestamp)
            else:
                self.letters_left_out += 1

    def _take_probes(self, record: Recorded, window: dict[str, Any] | RecordFault | None) -> None:
        if record.key is None:
            self.refused.refuse_keyless(record)
        elif isinstance(window, RecordFault):
            self.refused.refuse(record, window)
        else:
            self.probes.take(record.key, window)

    def _take_node(self, record: Recorded) -> None:
        try:
            with self._lock:
                self.fleet.take(record.partition, record.key or b"", record.value)
        except StateError:
            self.refused.refuse(record, RecordFault.MALFORMED)
