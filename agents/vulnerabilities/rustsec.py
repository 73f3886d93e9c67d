"""Reads an advisory of RustSec: Markdown that begins with a block of TOML, or the TOML alone.

github.com/rustsec/advisory-db, README, "Advisory Format". RustSec's own licence is CC0 1.0; an advisory that has
another one says so.
"""

import re
from typing import Final

from agents.toml_text import TomlTextError, parse_toml
from agents.vulnerabilities.advisory import (
    Advisory,
    AdvisoryFault,
    AdvisoryRefusal,
    AffectedPackage,
    Ecosystem,
    FaultyFunctions,
)
from agents.vulnerabilities.fields import Fields, RefusedFieldError
from agents.vulnerabilities.version_rules import CargoRequirement, CargoVersions, parse_requirement

_BLOCK: Final = re.compile(r"\A\s*```toml[ \t]*\r?\n(?P<toml>.*?)\r?\n```[ \t]*(?:\r?\n(?P<text>.*))?\Z", re.DOTALL)
_TITLE: Final = re.compile(r"^# (.+)$", re.MULTILINE)
_LICENCE: Final = "CC0-1.0"


def read_rustsec(text: str) -> Advisory | AdvisoryRefusal:
    """The advisory of a text, or the field that is wrong."""
    block = _BLOCK.match(text)
    title = _TITLE.search(block["text"] or "") if block is not None else None
    try:
        document = Fields(parse_toml(text if block is None else block["toml"]), "")
        advisory, versions = document.inner("advisory"), document.inner("versions")
        package = advisory.text("package")
        excluded = (*_requirements(versions, "patched"), *_requirements(versions, "unaffected"))
        return Advisory(
            advisory.text("id"),
            advisory.texts("aliases"),
            advisory.summary("title") or (title[1].strip() if title is not None else ""),
            (
                AffectedPackage(
                    Ecosystem.CARGO, package, CargoVersions(excluded), _named(document.inner("affected"), package)
                ),
            ),
            is_withdrawn=advisory.has("withdrawn"),
            licence=advisory.text("license", _LICENCE),
            related=advisory.texts("related"),
            dated=advisory.text("date", ""),
        )
    except TomlTextError as error:
        return AdvisoryRefusal(AdvisoryFault.NOT_A_DOCUMENT, str(error))
    except RefusedFieldError as error:
        return error.refusal


def _named(affected: Fields, package: str) -> tuple[FaultyFunctions, ...]:
    functions = affected.inner("functions")
    return tuple(
        FaultyFunctions(package, (name,), versions=_requirements(functions, name)) for name in functions.names()
    )


def _requirements(fields: Fields, name: str) -> tuple[CargoRequirement, ...]:
    found = []
    for text in fields.texts(name):
        requirement = parse_requirement(text)
        if requirement is None:
            raise RefusedFieldError(AdvisoryFault.VERSION, fields.place(name))
        found.append(requirement)
    return tuple(found)
