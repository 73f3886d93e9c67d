"""Versions as Go, Cargo and OSV order them: semantic versions, with Go's pseudo-versions and releases of Go itself.

Semantic Versioning 2.0.0, section 11, gives the order; build metadata has no part in it, so `+incompatible` has none
(go.dev/ref/mod#versions). A pseudo-version is a pre-release with the time of its commit in it, so the same order holds
(go.dev/ref/mod#pseudo-versions).
"""

import re
from functools import total_ordering
from typing import Final, Self

_MAX_CHARS: Final = 256
"""Of a version. The longest in Go's database has some 60."""

_NUMBER: Final = r"(?:0|[1-9][0-9]*)"
_VERSION: Final = re.compile(
    rf"v?(?P<major>{_NUMBER})(?:\.(?P<minor>{_NUMBER}))?(?:\.(?P<patch>{_NUMBER}))?"
    r"(?:-(?P<pre>[0-9A-Za-z.-]+))?(?:\+(?P<build>[0-9A-Za-z.-]+))?",
    re.ASCII,
)
_PSEUDO: Final = re.compile(r"(?:^|.*[.-])[0-9]{14}-[0-9a-f]{12}", re.ASCII)
_GO_RELEASE: Final = re.compile(
    rf"go(?P<release>1\.{_NUMBER})(?P<patch>\.{_NUMBER})?(?:-?(?P<kind>beta|rc|pre)(?P<number>[0-9]+))?", re.ASCII
)
_Identifier = tuple[int, int, str]


@total_ordering
class Version:
    """A version that can be compared with others; equal where only build metadata differs."""

    __slots__ = ("_key", "build", "pre_release", "text")

    def __init__(self, text: str, numbers: tuple[int, int, int], pre_release: str, build: str) -> None:
        """Use `parse`."""
        self.text = text
        self.pre_release = pre_release
        self.build = build
        self._key = (*numbers, not pre_release, tuple(map(_identifier, pre_release.split(".") if pre_release else ())))

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The version in a text, with or without a leading `v`; None if the text is not one."""
        found = _VERSION.fullmatch(text) if len(text) <= _MAX_CHARS else None
        if found is None:
            return None
        pre_release = found["pre"] or ""
        if pre_release and "" in pre_release.split("."):
            return None
        numbers = (int(found["major"]), int(found["minor"] or 0), int(found["patch"] or 0))
        return cls(text, numbers, pre_release, found["build"] or "")

    @property
    def is_pseudo(self) -> bool:
        """Whether Go made it of a commit, because no tag of the project names that."""
        return _PSEUDO.fullmatch(self.pre_release) is not None

    @property
    def is_dirty(self) -> bool:
        """Whether Go says that the files differed from the commit when it built."""
        return "dirty" in self.build.split(".")

    @property
    def numbers(self) -> tuple[int, int, int]:
        """Major, minor and patch."""
        return self._key[0], self._key[1], self._key[2]

    def __eq__(self, other: object) -> bool:
        """Whether neither comes before the other."""
        return isinstance(other, Version) and self._key == other._key

    def __lt__(self, other: "Version") -> bool:
        """Whether it comes before the other."""
        return self._key < other._key

    def __hash__(self) -> int:
        """Equal versions have one hash."""
        return hash(self._key)

    def __repr__(self) -> str:
        """The text that was parsed."""
        return f"Version({self.text!r})"


def _identifier(text: str) -> _Identifier:
    """Numbers come before words, and are compared as numbers."""
    return (0, int(text), "") if text.isdecimal() else (1, 0, text)


def go_release(tag: str) -> Version | None:
    """The semantic version of a release of Go, such as `go1.19rc1`; None for a development build or a vendor's own.

    Go's database has releases of the standard library in this form (go.dev/doc/security/vuln/database). What follows a
    space is the experiments that the build had (`go1.22.1 X:boringcrypto`).
    """
    words = tag.split()
    found = _GO_RELEASE.fullmatch(words[0]) if words and len(words[0]) <= _MAX_CHARS else None
    if found is None:
        return None
    pre_release = f"-{found['kind']}.{int(found['number'])}" if found["kind"] else ""
    return Version.parse(f"{found['release']}{found['patch'] or '.0'}{pre_release}")
