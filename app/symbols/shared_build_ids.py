"""Build ids that files with different code share: a linker's mistake, or a forgery.

Then the build id alone says nothing, and neither file names a frame, until an operator says which code is meant. From
then on no other file can make it ambiguous again.
"""

from dataclasses import dataclass, field

from app.symbols.snapshot import SymbolStoreError


@dataclass(frozen=True, slots=True)
class SharedBuildId:
    """The codes that were seen under one build id, by digest, and the one that was chosen."""

    codes: frozenset[str] = field(default_factory=frozenset)
    chosen: str | None = None

    @property
    def are_ambiguous(self) -> bool:
        """Whether nobody can tell which code a frame is in."""
        return self.chosen is None and len(self.codes) > 1


def encode_codes(shared: SharedBuildId) -> bytes:
    """One code a line, sorted, then the chosen one."""
    lines = [f"code {code}\n" for code in sorted(shared.codes)]
    if shared.chosen:
        lines.append(f"chosen {shared.chosen}\n")
    return "".join(lines).encode()


def decode_codes(content: bytes) -> SharedBuildId:
    """What was encoded as `content`. Raises SymbolStoreError."""
    try:
        pairs = [line.split(" ", 1) for line in content.decode("ascii").split("\n")[:-1]]
        codes = frozenset(digest for word, digest in pairs if word == "code")
        chosen = [digest for word, digest in pairs if word == "chosen"]
    except ValueError as error:
        raise SymbolStoreError("a list of codes has a line that is not a code") from error
    return SharedBuildId(codes, chosen[0] if chosen else None)
