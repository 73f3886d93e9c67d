"""The crates that a Rust program says it was built from."""

from agents.vulnerabilities.advisory import AdvisoryFault, AdvisoryRefusal
from agents.vulnerabilities.cargo_audit import Crate, read_crates


def test_crates_that_only_built_the_program_are_left_out() -> None:
    """Their code is not in it; of the others the source is kept."""
    document = {
        "packages": [
            {"name": "smallvec", "version": "0.6.9", "source": "crates.io"},
            {"name": "cc", "version": "1.0.0", "source": "crates.io", "kind": "build"},
            {"name": "tool", "version": "0.1.0", "source": "local", "root": True, "dependencies": [0]},
        ]
    }

    assert read_crates(document) == (Crate("smallvec", "0.6.9", "crates.io"), Crate("tool", "0.1.0", "local"))


def test_a_wrong_field_is_named() -> None:
    """By its place in the document."""
    refusal = read_crates({"packages": [{"name": "a", "version": 1}]})

    assert refusal == AdvisoryRefusal(AdvisoryFault.FIELD_TYPE, "packages[0].version")
