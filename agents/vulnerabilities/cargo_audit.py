"""The crates that a Rust program was built from, as cargo-auditable writes them into it.

The section `.dep-v0` holds JSON, compressed with zlib (github.com/rust-secure-code/cargo-auditable, PARSING.md): a list
`packages` with `name`, `version`, `source` and `kind`, which is `build` for what only built it.
"""

from dataclasses import dataclass
from typing import Any, Final

from agents.vulnerabilities.advisory import AdvisoryRefusal
from agents.vulnerabilities.fields import Fields, RefusedFieldError

REGISTRY: Final = "crates.io"
_BUILD: Final = "build"


@dataclass(frozen=True, slots=True)
class Crate:
    """A crate in a program. From another source than `crates.io` it may have any code under its name and version."""

    name: str
    version: str
    source: str


def read_crates(document: Any) -> tuple[Crate, ...] | AdvisoryRefusal:
    """The crates whose code may be in the file, or the field that is wrong."""
    try:
        return tuple(
            Crate(one.text("name"), one.text("version"), one.text("source", ""))
            for one in Fields(document, "").objects("packages")
            if one.text("kind", "runtime") != _BUILD
        )
    except RefusedFieldError as error:
        return error.refusal
