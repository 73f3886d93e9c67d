"""Records of a topic passed through a filter: the ones that match, decoded, and what is to be said of the others."""

from collections.abc import Iterable, Iterator

from app.kafka.records import Recorded
from app.progress import Progress
from app.tap.decoding import Decoder, Document
from app.tap.filters import RecordFilter


class Sifted:
    """Decodes records, and counts those that were read, matched, or could not be judged."""

    def __init__(self, wanted: RecordFilter, topic: str, decoder: Decoder, progress: Progress) -> None:
        """`topic` is the name of the live topic, without prefix."""
        self.conditions = wanted.conditions()
        self.matched = 0
        self._wanted = wanted
        self._topic = topic
        self._decoder = decoder
        self._progress = progress
        self._read = 0
        self._unknown = 0

    def matching(self, records: Iterable[Recorded]) -> Iterator[tuple[Recorded, Document | None]]:
        """The records that match, or all of them if there is no condition, with their documents."""
        if not self.conditions:
            for record in records:
                yield record, self._decoder.document(record.key, record.value)
            return
        for record in self._progress.each(records, "records searched"):
            self._read += 1
            if not self._wanted.may_match(self._topic, record.value):
                continue
            document = self._decoder.document(record.key, record.value)
            match self._wanted.matches(self._topic, document):
                case True:
                    self.matched += 1
                    yield record, document
                case None:
                    self._unknown += 1
                case False:
                    pass

    def summary(self) -> str:
        """How many records matched, and how many may match, in one sentence; empty without a condition."""
        if not self.conditions:
            return ""
        unknown = f"; {self._unknown:,} cannot be decoded, so they may match" if self._unknown else ""
        return f"{self.matched:,} of {self._read:,} records match{unknown}"
