"""What a node's records tell besides stretches of time: its boots, farewells, and the word of those who may know.

Ingest tells a boot with each heartbeat, and a farewell when it stops in good order. An authority (an operator, or a
cluster's own word) tells when the node was created and when it was gone. The state depends only on which records went
in, not on their order or repetition.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from agents.coverage.vouching import VouchedInterval, join_by_session
from schemas.coverage import AUTHORITY, CLAIMS, CoverageGap, GapCause

MAX_TOLD: Final = 64
"""Boots, farewells, words and followed times that are kept of each kind, the newest ones."""


_CREATED: Final = GapCause.CREATED.value
_BOOTED: Final = GapCause.BOOTED.value
_RETIRED: Final = GapCause.RETIRED.value


class Word(NamedTuple):
    """An authority's word: what was at `at_ns`, by whom, and when it was said (`said_ns` orders words)."""

    said_ns: int
    at_ns: int
    cause: str
    by: str


class Told:
    """Facts of one node, by kind. `boots` has the earliest time that was told of each boot id.

    `followed` is when an authority knew all nodes of a cluster; a cluster has a row of its own, with an empty name.
    """

    __slots__ = ("boots", "farewells", "followed", "forgotten_ns", "version", "version_ns", "words")

    def __init__(self) -> None:
        self.boots: dict[str, int] = {}
        self.farewells: list[int] = []
        self.words: list[Word] = []
        self.followed: list[VouchedInterval] = []
        self.version = ""
        """Of the ingest that vouched last, and up to when it did."""
        self.version_ns = 0
        self.forgotten_ns = 0
        """Up to when boots or words may be missing here, because there were too many."""

    def add(self, found: Iterable[CoverageGap]) -> None:
        """Take records of this node; those that tell nothing of this kind change nothing."""
        for record in found:
            if record.cause in CLAIMS:
                self._take_claim(record)
            elif record.cause is GapCause.FAREWELL:
                self.farewells.append(record.to_ns)
            elif record.cause is GapCause.FOLLOWED:
                self.followed.append(VouchedInterval(record.from_ns, record.to_ns, record.session))
            elif record.cause in AUTHORITY:
                self.words.append(Word(record.to_ns, record.from_ns, record.cause.value, record.said_by))
        self._settle()

    def created(self) -> list[int]:
        """When the node was created."""
        return [word.at_ns for word in self.words if word.cause == _CREATED]

    def booted(self) -> list[int]:
        """When it was booted, by its own word; by an authority's where ingest told no boot."""
        if self.boots:
            return list(self.boots.values())
        return [word.at_ns for word in self.words if word.cause == _BOOTED]

    def retired(self) -> list[Word]:
        """By whose word it was gone, and when; what was undone is not among them."""
        return sorted((word for word in self.words if word.cause == _RETIRED), key=lambda word: word.at_ns)

    def _take_claim(self, record: CoverageGap) -> None:
        if record.boot_id and record.boot_ns is not None:
            self.boots[record.boot_id] = min(record.boot_ns, self.boots.get(record.boot_id, record.boot_ns))
        newest = (record.to_ns, record.ingest_version)
        if record.ingest_version and newest > (self.version_ns, self.version):
            self.version_ns, self.version = newest

    def _settle(self) -> None:
        boots = sorted((at_ns, boot_id) for boot_id, at_ns in self.boots.items())
        self.boots = {boot_id: at_ns for at_ns, boot_id in boots[-MAX_TOLD:]}
        self.forgotten_ns = max([self.forgotten_ns, *(at_ns + 1 for at_ns, _ in boots[:-MAX_TOLD])])
        self.farewells = sorted(set(self.farewells))[-MAX_TOLD:]
        self.followed = join_by_session(one for one in self.followed if one.to_ns > one.from_ns)[-MAX_TOLD:]
        undone = {
            word.by: word.said_ns for word in sorted(set(self.words)) if word.cause == GapCause.RETIREMENT_UNDONE.value
        }
        words = list(_standing(sorted(set(self.words)), undone))
        self.words = words[-MAX_TOLD:]
        self.forgotten_ns = max([self.forgotten_ns, *(word.said_ns + 1 for word in words[:-MAX_TOLD])])

    def numbers(self) -> list[int]:
        """The numbers of the packed state; `texts` has its texts."""
        counts = [len(self.boots), len(self.farewells), len(self.words), len(self.followed)]
        words = [number for word in self.words for number in word[:2]]
        followed = [number for one in self.followed for number in one[:2]]
        return [*counts, self.version_ns, self.forgotten_ns, *self.boots.values(), *self.farewells, *words, *followed]

    def texts(self) -> list[str]:
        """The texts of the packed state."""
        words = [text for word in self.words for text in word[2:]]
        return [self.version, *self.boots, *words, *(one.session for one in self.followed)]

    @classmethod
    def unpacked(cls, numbers: Iterator[int], texts: Iterator[str]) -> "Told":
        """What `numbers` and `texts` hold, as far as it is of this kind."""
        told = cls()
        boots, farewells, words, followed = (next(numbers) for _ in range(4))
        told.version_ns, told.forgotten_ns = next(numbers), next(numbers)
        told.version = next(texts)
        told.boots = {next(texts): next(numbers) for _ in range(boots)}
        told.farewells = [next(numbers) for _ in range(farewells)]
        told.words = [Word(next(numbers), next(numbers), next(texts), next(texts)) for _ in range(words)]
        told.followed = [VouchedInterval(next(numbers), next(numbers), next(texts)) for _ in range(followed)]
        return told


def _standing(words: Iterable[Word], undone: dict[str, int]) -> Iterator[Word]:
    """Words in order, without retirements that were undone and without undoings but each one's last."""
    for word in words:
        last = undone.get(word.by)
        is_retirement = word.cause in {GapCause.RETIRED.value, GapCause.RETIREMENT_UNDONE.value}
        is_last_undoing = word.cause == GapCause.RETIREMENT_UNDONE.value and word.said_ns == last
        if not is_retirement or last is None or word.said_ns > last or is_last_undoing:
            yield word
