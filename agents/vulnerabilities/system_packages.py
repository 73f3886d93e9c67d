"""Which package of a distribution owns a file, by the database that stands in an image's root.

- dpkg: `var/lib/dpkg/status` has a paragraph a package, and `var/lib/dpkg/info/NAME.list` or `NAME:ARCH.list` its paths
  (dpkg(1), deb-control(5)). Images without dpkg have the paragraphs in `var/lib/dpkg/status.d/`.
- apk: `lib/apk/db/installed` has a paragraph a package; `P` is its name, `V` its version, `A` the processor, `F` a
  folder and `R` a file in the folder before it (apk-tools, src/database.c).
- rpm: `rpmdb.sqlite` has a header a package (`agents/vulnerabilities/rpm_header.py`).

A package URL names the distribution, too (github.com/package-url/purl-spec): `pkg:deb/debian/...`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from packageurl import PackageURL

MAX_FILES: Final = 2_000_000
"""Paths of one database. A full desktop has some 500,000."""


@dataclass(frozen=True, slots=True)
class SystemPackage:
    """A package of a distribution; `source` is what it was built from, which its security team speaks of."""

    kind: str
    name: str
    version: str
    architecture: str
    source: str
    source_version: str


def dpkg_packages(status: str) -> list[SystemPackage]:
    """The packages that are installed, by the text of dpkg's status file."""
    return [
        _dpkg_package(fields)
        for fields in _paragraphs(status)
        if "Package" in fields and fields.get("Status", "install ok installed").endswith(" installed")
    ]


def _dpkg_package(fields: dict[str, str]) -> SystemPackage:
    """`Source: name (version)` where they differ from the package's own."""
    name, version = fields["Package"], fields.get("Version", "")
    source, _, source_version = fields.get("Source", name).partition(" (")
    return SystemPackage(
        "deb", name, version, fields.get("Architecture", ""), source, source_version.rstrip(")") or version
    )


def package_url(package: SystemPackage, os_release: str) -> str | None:
    """A package of the distribution that /etc/os-release names; None where it has no name."""
    release = {name: value.strip("\"'") for name, _, value in (line.partition("=") for line in os_release.splitlines())}
    distribution = release.get("ID", "")
    version, epoch = package.version, ""
    if package.kind == "rpm" and ":" in version:
        epoch, _, version = version.partition(":")
    distro = f"{distribution}-{release['VERSION_ID']}" if distribution and release.get("VERSION_ID") else distribution
    qualifiers = {"arch": package.architecture, "distro": distro, "epoch": epoch}
    try:
        url = PackageURL(
            package.kind,
            distribution or None,
            package.name,
            version or None,
            {name: value for name, value in qualifiers.items() if value},
        )
    except ValueError:  # an empty name
        return None
    return url.to_string()


def md5sums_paths(text: str) -> list[str]:
    """The paths in a list of checksums, which images without dpkg have beside their paragraphs."""
    return [
        f"/{path.removeprefix('./')}" for _, two, path in (line.partition("  ") for line in text.splitlines()) if two
    ]


def dpkg_list_names(package: SystemPackage) -> tuple[str, str]:
    """The names that the list of a package's paths may have."""
    return f"{package.name}.list", f"{package.name}:{package.architecture}.list"


def dpkg_paths(text: str) -> list[str]:
    """The paths in such a list, without the root itself."""
    return [line for line in text.splitlines() if line.startswith("/") and line != "/."][:MAX_FILES]


def apk_packages(installed: str) -> list[tuple[SystemPackage, list[str]]]:
    """The packages that are installed and their paths, by the text of apk's database."""
    found = []
    left = MAX_FILES
    for lines in _blocks(installed):
        fields = {line[0]: line[2:] for line in lines if line[1:2] == ":" and line[0] not in "FRZaM"}
        if "P" not in fields:
            continue
        name, version = fields["P"], fields.get("V", "")
        paths = _apk_paths(lines)[:left]
        left -= len(paths)
        origin = fields.get("o", name)
        found.append((SystemPackage("apk", name, version, fields.get("A", ""), origin, version), paths))
    return found


def _apk_paths(lines: list[str]) -> list[str]:
    folder = ""
    paths = []
    for line in lines:
        if line.startswith("F:"):
            folder = line[2:]
        elif line.startswith("R:"):
            paths.append(f"/{folder}/{line[2:]}" if folder else f"/{line[2:]}")
    return paths


def _blocks(text: str) -> Iterator[list[str]]:
    """The lines between empty ones."""
    block: list[str] = []
    for line in text.splitlines():
        if line.strip():
            block.append(line)
        elif block:
            yield block
            block = []
    if block:
        yield block


def _paragraphs(text: str) -> Iterator[dict[str, str]]:
    """The fields of each paragraph; lines that go on with a field are passed over, none of those here has any."""
    for block in _blocks(text):
        fields = {}
        for line in block:
            name, colon, value = line.partition(":")
            if colon and not line[0].isspace():
                fields[name] = value.strip()
        yield fields
