"""How well the frames of decoded records are resolved: the grades counted, and their shares as one line for people.

A frame counts under the grade that its record gives it; no grade is worked out here.
"""

from collections import Counter
from collections.abc import Iterator, Mapping

from app.tap.decoding import Document
from app.tap.lines import canonical_resolution
from schemas import topics


def frame_grades(topic: str, document: Document | None) -> Iterator[str]:
    """The grade of every frame in a record of the topic with this unprefixed name."""
    if document is None:
        return
    if topic == topics.CALLS:
        yield from (frame["resolution"] for frame in document.get("stack_frames", ()))
    elif topic == topics.CANONICAL:
        yield from (canonical_resolution(frame) for frame in document.get("stack", {}).get("frames", ()))


def shares_line(grades: Mapping[str, int]) -> str:
    """Grades by their share, the largest first: `40 frames: 62.5% Exact, 37.5% Kernel`."""
    total = sum(grades.values())
    ordered = sorted(Counter(grades).items(), key=lambda item: (-item[1], item[0]))
    return f"{total:,} frames: " + ", ".join(f"{count / total:.1%} {grade}" for grade, count in ordered)
