"""The target of a user probe is named as a frame at the same place is."""

from dataclasses import dataclass, field

import pytest

from agents.canonicalize.probes import probe_part
from agents.symbols.lookup import Resolved, Unresolved
from schemas import canonical_pb2 as canonical
from schemas import proto_wire

PROGRAM, BUILD_ID = "/usr/bin/imgtool", "58254ca972028402bc40624f81388d85ec95f70d"


@dataclass(frozen=True)
class OneFile:
    """A process that has mapped one file, with one answer for its offsets."""

    answer: Resolved | Unresolved
    builds: dict[str, str | Unresolved] = field(default_factory=lambda: {PROGRAM: BUILD_ID})

    def lookup(self, build_id: str, file_offset: int, *, innermost: bool) -> Resolved | Unresolved:
        """For the probed instruction itself."""
        assert (build_id, file_offset, innermost) == (BUILD_ID, 4424, True)
        return self.answer

    def build_id(self, module: str, *, is_deleted: bool = False) -> str | Unresolved | None:
        """By path."""
        assert not is_deleted
        return self.builds.get(module)

    def probed_build_id(self, module: str) -> str | Unresolved | None:
        """The same."""
        return self.build_id(module)

    def kernel_module(self, symbol: str) -> str | None:
        """No kernel here."""
        raise AssertionError(symbol)


def target(symbol: str, offset: int, resolver: OneFile | None) -> canonical.CanonicalTarget:
    """The target of a probe by name or by offset."""
    part = probe_part(("process_uprobe", "p", "", (), 0, 0, PROGRAM, symbol, offset, 0), {}, resolver)
    event = canonical.CanonicalEvent.FromString(part.field)
    assert part.field == proto_wire.field(canonical.CanonicalEvent.PROBE_FIELD_NUMBER, event.probe)
    return event.probe.target


def test_a_probe_by_offset_has_the_function_at_the_offset() -> None:
    """With the build id, so that it counts for the function and not for code that nothing names."""
    found = target("", 4424, OneFile(Resolved("parse_chunk", 0)))

    assert (found.symbol, found.offset, found.build_id) == ("parse_chunk", 0, BUILD_ID)
    assert found.offset_basis == canonical.OFFSET_BASIS_SYMBOL


@pytest.mark.parametrize(
    "resolver",
    [
        None,
        OneFile(Unresolved.NO_INDEX),
        OneFile(Resolved("parse_chunk", 0), {}),
        OneFile(Resolved("parse_chunk", 0), {PROGRAM: Unresolved.AMBIGUOUS}),
    ],
)
def test_a_probe_in_a_file_that_nothing_knows_keeps_its_offset(resolver: OneFile | None) -> None:
    """Without an index or a sure build id there is no name."""
    found = target("", 4424, resolver)

    assert (found.symbol, found.offset, found.offset_basis) == ("", 4424, canonical.OFFSET_BASIS_MODULE)


@pytest.mark.parametrize("symbol", ["parse_chunk", "parse_chunk@@LIB_2"])
def test_a_probe_by_name_has_the_name_as_frames_have_it(symbol: str) -> None:
    """Without a version."""
    found = target(symbol, 0, OneFile(Resolved("other", 0)))

    assert (found.symbol, found.offset_basis) == ("parse_chunk", canonical.OFFSET_BASIS_SYMBOL)
