"""Beside an index the store keeps what the file was built from, who owns it, and what a bill has for it."""

import json
import sqlite3
import zlib
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from agents.symbols.build_ids import BuildIdKind
from agents.vulnerabilities.file_packages import FilePackages
from app.symbols.adding import AddOptions, Indexed
from app.symbols.file_owners import BillRefusedError, read_bills
from app.symbols.store import SymbolStore
from tests.support.elf_files import ElfFile, ElfSegment, ElfSymbol
from tests.support.indexed_files import add_to

_FUNCTIONS = (ElfSymbol("first", 0x1000, 0x20),)
_CRATES = zlib.compress(b'{"packages": [{"name": "smallvec", "version": "0.6.9", "source": "crates.io"}]}')
_GO = (b"\xff Go buildinf:" + bytes((8, 2))).ljust(32, b"\0")
_MODULES = (
    "path\texample.com/app\nmod\texample.com/app\tv1.2.0\ndep\texample.com/lib\tv0.1.0\n=>\t/home/ann/lib\t\n"
    "dep\texample.com/old\tv1.0.0\n=>\texample.com/new\tv2.0.0\n"
    "build\t-ldflags=-X main.key=hunter2\nbuild\tGOOS=linux\n"
)


def _go_section(version: bytes = b"go1.22.4") -> bytes:
    marked = b"<" * 16 + _MODULES.encode() + b">" * 16
    return _GO + bytes((len(version),)) + version + bytes((len(marked) & 0x7F | 0x80, len(marked) >> 7)) + marked


def _program(root: Path, path: str, *, build_id: bytes = bytes(range(20)), **more: Any) -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(ElfFile(_FUNCTIONS, build_id=build_id, **more).encode())
    return file.resolve()


def _packages(store: Path, files: Iterable[Path], options: AddOptions) -> dict[str, FilePackages]:
    """What is kept of each file, by its name."""
    reports = [one for one in add_to(store, files, options) if isinstance(one, Indexed)]
    opened = SymbolStore.open(store)
    return {one.path.name: found for one in reports if (found := opened.packages(one.build_id)) is not None}


def _rpm_header() -> bytes:
    """Of epel's `tool-2:1.0-3.el9`, with one file."""
    values = [(1000, 6, [b"tool"]), (1001, 6, [b"1.0"]), (1002, 6, [b"3.el9"]), (1022, 6, [b"x86_64"])]
    values += [(1117, 8, [b"tool"]), (1118, 8, [b"/usr/bin/"])]
    data = b""
    entries = b""
    for tag, kind, texts in values:
        entries += b"".join(one.to_bytes(4) for one in (tag, kind, len(data), len(texts)))
        data += b"".join(text + b"\0" for text in texts)
    data = data.ljust(-(-len(data) // 4) * 4, b"\0")
    for tag, number in ((1003, 2), (1116, 0)):
        entries += b"".join(one.to_bytes(4) for one in (tag, 4, len(data), 1))
        data += number.to_bytes(4)
    return (len(entries) // 16).to_bytes(4) + len(data).to_bytes(4) + entries + data


def test_databases_in_the_root_say_who_owns_a_file(tmp_path: Path) -> None:
    """dpkg, apk and rpm; `/bin` is `/usr/bin` where it was folded. A link out of the root is not followed."""
    root = tmp_path / "root"
    files = {"usr/bin/dog": "dpkg", "usr/bin/ape": "apk", "usr/bin/tool": "rpm", "usr/bin/none": ""}
    written = [_program(root, path, build_id=bytes([at] * 19 + [9])) for at, path in enumerate(files, 1)]
    for path, text in {
        "var/lib/dpkg/status": "Package: dog\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.0-1\n",
        "var/lib/dpkg/info/dog.list": "/.\n/bin\n/bin/dog\n",
        "lib/apk/db/installed": "P:ape\nV:2.0-r1\nA:x86_64\nF:usr/bin\nR:ape\n",
        "usr/lib/os-release": 'ID="test"\nVERSION_ID="9.1"\n',
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    (root / "var/lib/rpm").mkdir()
    with sqlite3.connect(root / "var/lib/rpm/rpmdb.sqlite") as database:
        database.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB)")
        database.execute("INSERT INTO Packages VALUES (1, ?), (2, ?)", (_rpm_header(), b"no header"))
    database.close()
    (root / "etc").mkdir()
    (root / "etc/os-release").symlink_to("/etc/os-release")

    found = _packages(tmp_path / "store", written, AddOptions(root=root))

    assert {name: one.owners for name, one in found.items()} == {
        "dog": ("pkg:deb/test/dog@1.0-1?arch=amd64&distro=test-9.1",),
        "ape": ("pkg:apk/test/ape@2.0-r1?arch=x86_64&distro=test-9.1",),
        "tool": ("pkg:rpm/test/tool@1.0-3.el9?arch=x86_64&distro=test-9.1&epoch=2",),
        "none": (),
    }


def test_a_file_says_what_it_was_built_from_and_nothing_private(tmp_path: Path) -> None:
    """A folder that replaced a module, and texts that were linked into the program, are not kept."""
    extra = ((".go.buildinfo", _go_section()), (".dep-v0", _CRATES))
    file = _program(tmp_path, "app", extra=extra)

    found = _packages(tmp_path / "store", [file], AddOptions())["app"]

    assert found.build_id_kind is BuildIdKind.GNU
    assert [one.sha256 for one in found.contents] == [sha256(file.read_bytes()).hexdigest()]
    assert found.package_urls() == (
        "pkg:cargo/smallvec@0.6.9",
        "pkg:golang/example.com/app@v1.2.0",
        "pkg:golang/example.com/lib",
        "pkg:golang/example.com/new@v2.0.0",
        "pkg:golang/stdlib@1.22.4",
    )
    assert FilePackages.decoded(found.encoded()) == found
    assert b"ann" not in found.encoded()
    assert b"hunter2" not in found.encoded()


def test_files_of_one_build_id_that_say_something_else_say_nothing(tmp_path: Path) -> None:
    """Whichever is added first, and also when the first is added again."""
    first = _program(tmp_path, "first", extra=((".go.buildinfo", _go_section()),))
    second = _program(tmp_path, "second", extra=((".go.buildinfo", _go_section(b"go1.22.5")),))

    for order in ((first, second), (second, first), (first, second, first)):
        store = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        found = [_packages(store, [file], AddOptions())[file.name] for file in order][-1]
        assert found.go is None
        assert found.unread == ("files of this build id have different build information",)
        assert len(found.contents) == 2


@pytest.mark.parametrize(
    ("changes", "is_packed"),
    [
        ({}, False),
        ({"segments": (ElfSegment(0x1000, 0x1000, 0x1000, flags=7),)}, True),
        ({"build_id": b"", "extra": ((".note", b""),)}, False),
    ],
)
def test_code_that_changes_itself_is_packed(tmp_path: Path, changes: dict[str, Any], *, is_packed: bool) -> None:
    """A segment of code that can be written to."""
    file = _program(tmp_path, "app", **changes)

    assert _packages(tmp_path / "store", [file], AddOptions())["app"].is_packed is is_packed


def _cyclonedx(digest: str) -> dict[str, Any]:
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "components": [
            {"type": "library", "name": "a", "purl": "pkg:generic/by-digest@1", "hashes": [_hash("SHA-256", digest)]},
            {
                "type": "library",
                "name": "b",
                "purl": "pkg:generic/wrong-digest@1",
                "hashes": [_hash("SHA-1", "0" * 40)],
            },
            {
                "type": "library",
                "name": "c",
                "purl": "pkg:generic/by-path@1",
                "evidence": {"occurrences": [{"location": "/bin/second"}]},
            },
            {"type": "library", "name": "d", "purl": "pkg:generic/of-the-image@1"},
        ],
    }


def _hash(algorithm: str, content: str) -> dict[str, str]:
    return {"alg": algorithm, "content": content}


def _spdx(digest: str) -> dict[str, Any]:
    def package(number: int, name: str) -> dict[str, Any]:
        reference = {
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": f"pkg:generic/{name}@1",
        }
        return {
            "SPDXID": f"SPDXRef-{number}",
            "name": name,
            "downloadLocation": "NOASSERTION",
            "externalRefs": [reference],
        }

    def file(number: int, name: str, value: str) -> dict[str, Any]:
        sums = [{"algorithm": "SHA1", "checksumValue": "0" * 40}, {"algorithm": "SHA256", "checksumValue": value}]
        return {"SPDXID": f"SPDXRef-{number}", "fileName": name, "checksums": sums}

    names = ("by-digest", "by-path", "of-the-image", "wrong-digest")
    packages = [package(number, name) for number, name in enumerate(names)]
    packages[3]["externalRefs"].append({**packages[3]["externalRefs"][0], "referenceLocator": "no package URL"})
    return {
        "spdxVersion": "SPDX-2.3",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": "image",
        "dataLicense": "CC0-1.0",
        "documentNamespace": "https://example.com/image",
        "creationInfo": {"created": "2026-11-30T00:00:00Z", "creators": ["Tool: test"]},
        "packages": packages,
        "files": [file(10, "./moved", digest), file(11, "./bin/second", "1" * 64)],
        "relationships": [
            {"spdxElementId": "SPDXRef-0", "relationshipType": "CONTAINS", "relatedSpdxElement": "SPDXRef-10"},
            {"spdxElementId": "SPDXRef-11", "relationshipType": "CONTAINED_BY", "relatedSpdxElement": "SPDXRef-1"},
        ],
    }


@pytest.mark.parametrize("made", [_cyclonedx, _spdx])
def test_a_bill_is_joined_by_digest_then_by_path_else_it_speaks_of_the_image(tmp_path: Path, made: Any) -> None:
    """The rest is kept under the image, and not beside any file."""
    root = tmp_path / "root"
    first = _program(root, "usr/bin/first")
    second = _program(root, "usr/bin/second", build_id=bytes([7] * 19 + [8]))
    written = tmp_path / "bill.json"
    written.write_text(json.dumps(made(sha256(first.read_bytes()).hexdigest())))
    bill = read_bills([written], tmp_path)

    found = _packages(tmp_path / "store", [first, second], AddOptions(root=root, scope="image:one", bill=bill))

    assert found["first"].listed == ("pkg:generic/by-digest@1",)
    assert found["second"].listed == ("pkg:generic/by-path@1",)
    of_image = SymbolStore.open(tmp_path / "store").packages("image:one")
    assert of_image is not None
    assert of_image.listed == ("pkg:generic/of-the-image@1", "pkg:generic/wrong-digest@1")
    assert (bill.by_digest, bill.by_path) == (1, 1)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "it is not JSON"),
        (b"[]", "it is not a JSON object"),
        (b"{}", "it is neither CycloneDX nor SPDX"),
        (b'{"bomFormat": "CycloneDX", "components": 3}', "it is not CycloneDX"),
        (b'{"spdxVersion": "SPDX-2.3", "packages": [3]}', "it is not SPDX"),
        (b"[" * 100_000, "it is not JSON"),
    ],
)
def test_a_bill_that_is_none_is_named_with_its_reason(tmp_path: Path, content: bytes, words: str) -> None:
    """Nothing is added then."""
    path = tmp_path / "bill.json"
    path.write_bytes(content)

    with pytest.raises(BillRefusedError, match=rf"bill\.json: {words}"):
        read_bills([path], tmp_path)
