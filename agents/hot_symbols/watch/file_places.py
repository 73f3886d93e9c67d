"""Where a file is known to lie, as far as a hook on a path of a node can be on it."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class FilePlaces:
    """Paths on nodes. A file of an image lies elsewhere on each node, so no path in a policy is its path."""

    paths: frozenset[str] = frozenset()
    is_in_images: bool = False

    def with_more(self, others: "FilePlaces") -> "FilePlaces":
        """All of both."""
        if others is NOWHERE:
            return self
        return FilePlaces(self.paths | others.paths, self.is_in_images or others.is_in_images)


NOWHERE: Final = FilePlaces()
