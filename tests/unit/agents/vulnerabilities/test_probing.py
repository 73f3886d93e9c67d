"""Probes stand on first bytes of functions only, and what they do not see is said."""

from agents.symbols.function_names import FunctionNames
from agents.symbols.index import SymbolIndex
from agents.symbols.index_format import NO_COPY, NO_PLACE, InlinedCopies, NameTrait, Segment
from agents.vulnerabilities.probing import NoProbe, ProbePlace, Unprobed, probe_places
from tests.support.made_indexes import ID, named_index

_SEGMENTS = (Segment(0x400, 0x1000, 0x1000),)
_FUNCTIONS = [
    (0x1000, 0x20, "alias", NameTrait.GLOBAL),
    (0x1000, 0x20, "parse", NameTrait.GLOBAL),
    (0x1100, 0x20, "twice", NameTrait.LOCAL),
    (0x1110, 0, "label", NameTrait.LOCAL),
    (0x1200, 0x10, "twice", NameTrait.LOCAL),
    (0x1300, 0x40, "chosen", NameTrait.RESOLVER),
    (0x3000, 0x10, "outside", NameTrait.LOCAL),
]
_RANGES = [
    (0x1000, 0x20, "parse"),
    (0x1100, 0x20, "twice"),
    (0x1200, 0x10, "twice"),
    (0x1300, 0x40, "chosen"),
    (0x3000, 0x10, "outside"),
]
_COPIES = InlinedCopies(
    names=["gone", "parse", "lost"],
    addresses=[0x1108, 0x1004, NO_PLACE],
    outer=[NO_COPY] * 3,
    files=[0] * 3,
    lines=[0] * 3,
)


def _names() -> FunctionNames:
    index = named_index(ID, _RANGES, _FUNCTIONS, _COPIES)
    return FunctionNames(SymbolIndex(memoryview(index)))


def test_every_code_of_a_name_has_a_place_in_the_file() -> None:
    """Of names that share one code, one probe is enough."""
    found = probe_places(["twice", "alias", "parse"], _names(), _SEGMENTS)

    assert found.places == (ProbePlace(0x400, "alias"), ProbePlace(0x500, "twice"), ProbePlace(0x600, "twice"))


def test_what_no_probe_sees_has_a_reason() -> None:
    """Copies with the functions that have them, labels, resolvers, and what the file does not have."""
    found = probe_places(["gone", "parse", "lost", "label", "chosen", "outside", "other"], _names(), _SEGMENTS)

    assert found.places == (ProbePlace(0x400, "parse"),)
    assert found.unprobed == (
        Unprobed("chosen", NoProbe.RESOLVER),
        Unprobed("gone", NoProbe.INLINED, ("twice",)),
        Unprobed("label", NoProbe.LABEL, ("twice",)),
        Unprobed("lost", NoProbe.LOST_COPY),
        Unprobed("other", NoProbe.NO_CODE),
        Unprobed("outside", NoProbe.NO_CODE),
        Unprobed("parse", NoProbe.INLINED, ("parse",)),
    )
