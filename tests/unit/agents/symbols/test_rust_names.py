"""Names that the Rust compiler really made, from two builds of one source."""

import pytest

from agents.symbols.rust_names import rust_function

CLOSURE = (
    "_RINvXs0_NtNtNtCsgEmfK2I1SDS_4core4iter8adapters3mapINtB6_3MapINtNtNtBc_5slice4iter4IterhENCNvNtCs{}_1a1m5parses_0"
    "ENtNtNtBa_6traits8iterator8Iterator4foldjNCINvXsK_NtB{}_5accumjNtB{}_3Sum3sumBN_E0EB1v_"
)


def test_back_references_mean_the_same_whatever_the_disambiguators_length() -> None:
    """A shorter one moves all bytes behind it, so the numbers in the names differ."""
    one = rust_function(CLOSURE.format("dKmGX6TnrL", "20", "2J"))
    other = rust_function(CLOSURE.format("dKmGX6TnrLs", "21", "2K"))

    assert one == other
    assert one != rust_function(CLOSURE.format("dKmGX6TnrLs", "20", "2K"))


@pytest.mark.parametrize("name", ["main", "_ZN3foo3barEv", "_Raven", "_RNv", "_ZN1a17hXE"])
def test_other_names_stay_as_they_are(name: str) -> None:
    """C, C++, and what only begins like Rust."""
    assert rust_function(name) == name
