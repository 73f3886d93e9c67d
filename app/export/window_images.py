"""The symbols of a window of calls for each image by itself, in one reading."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from agents.hot_symbols.reading.gathering import Unreadable
from agents.hot_symbols.reading.observations import Observe
from app.export.repeats import Repeats
from app.export.window import ExportBooks
from app.export.window_stacks import IsWanted
from app.export.window_symbols import MAX_ROWS, SymbolGatherer, TooManySymbolsError
from app.kafka.records import Recorded

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_NO_IMAGE: Final = ""


class ImageGatherer:
    """Counts the symbols of a window by the digest of the image that they ran in.

    Calls in no image with a digest are in the books as not wanted. All images together have the limit on rows that
    one window has.
    """

    def __init__(
        self, observe: Observe, wanted: IsWanted, partitions: int, repeats: Repeats, *, max_rows: int = MAX_ROWS
    ) -> None:
        """As `SymbolGatherer`."""
        self.books = ExportBooks()
        self._observe = observe
        self._wanted = wanted
        self._partitions = partitions
        self._repeats = repeats
        self._max_rows = max_rows
        self._images: dict[str, SymbolGatherer] = {}

    def gather(self, runs: Iterable[tuple[int, Sequence[Recorded]]]) -> None:
        """Take all records; those of one partition follow each other.

        Raises TooManySymbolsError.
        """
        for number, records in runs:
            by_image: dict[str, list[Recorded]] = defaultdict(list)
            for record in records:
                by_image[self._image_of(record.value)].append(record)
            for digest, several in by_image.items():
                self._of(digest).gather([(number, several)])
            if sum(one.row_count for one in self._images.values()) > self._max_rows:
                raise TooManySymbolsError(f"the window has more than {self._max_rows:,} symbols; take a shorter one")

    def images(self) -> Iterator[tuple[str, SymbolGatherer]]:
        """Digests of images, in order, with what ran there."""
        yield from sorted((digest, one) for digest, one in self._images.items() if digest != _NO_IMAGE)

    def _of(self, digest: str) -> SymbolGatherer:
        if digest not in self._images:
            wanted = self._wanted if digest != _NO_IMAGE else lambda _place: False
            self._images[digest] = SymbolGatherer(
                self._observe, wanted, self._partitions, self._repeats, max_rows=self._max_rows, books=self.books
            )
        return self._images[digest]

    def _image_of(self, value: bytes | None) -> str:
        """The digest of a call's image; empty where it has none, or is not a call, which the books say."""
        seen = self._observe(value)
        if isinstance(seen, Unreadable) or seen[4].image is None:
            return _NO_IMAGE
        image_id, image_name = seen[4].image
        found = _DIGEST.search(image_id) or _DIGEST.search(image_name)
        return _NO_IMAGE if found is None else found[0]
