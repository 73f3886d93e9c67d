"""Who owns which file, by the package databases in the root of an image or a node: dpkg, apk and rpm.

Runs only in the reading process (package_reader.py), because these files are strangers'. Nothing outside the root is
read, wherever links lead.
"""

import sqlite3
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Final

from agents.vulnerabilities.rpm_header import read_rpm_header
from agents.vulnerabilities.system_packages import (
    SystemPackage,
    apk_packages,
    dpkg_list_names,
    dpkg_packages,
    dpkg_paths,
    md5sums_paths,
    package_url,
)
from app.operators.regular_files import read_regular

MAX_DATABASE_BYTES: Final = 256 << 20
"""Of one file. dpkg's status of a full desktop has 5 MB, rpm's database 300 bytes a path."""

_USR: Final = "/usr"
_RPM_FOLDERS: Final = ("usr/lib/sysimage/rpm", "var/lib/rpm")
_UNREAD_RPM: Final = ("Packages.db", "Packages")


def owners_of(paths: Collection[str], root: Path) -> tuple[dict[str, list[str]], list[str]]:
    """The package URLs of the packages that own paths of a root, by path, and databases that could not be read."""
    wanted = dict(_spellings(paths))
    release = _text(root, "etc/os-release") or _text(root, "usr/lib/os-release") or ""
    found: dict[str, set[str]] = {}
    unread: list[str] = []
    for package, owned in _packages(root, unread):
        here = {wanted[path] for path in owned if path in wanted}
        url = package_url(package, release) if here else None
        for path in here if url is not None else ():
            found.setdefault(path, set()).add(str(url))
    return {path: sorted(urls) for path, urls in found.items()}, unread


def _spellings(paths: Iterable[str]) -> Iterator[tuple[str, str]]:
    """How a database may have the paths of maps, which have `/lib` and its like under `/usr`."""
    for path in paths:
        yield path, path
        if path.startswith(_USR):
            yield path.removeprefix(_USR), path


def _packages(root: Path, unread: list[str]) -> Iterator[tuple[SystemPackage, list[str]]]:
    yield from _of_dpkg(root)
    apk = _text(root, "lib/apk/db/installed") or _text(root, "usr/lib/apk/db/installed")
    yield from apk_packages(apk) if apk is not None else ()
    yield from _of_rpm(root, unread)


def _of_dpkg(root: Path) -> Iterator[tuple[SystemPackage, list[str]]]:
    for package in dpkg_packages(_text(root, "var/lib/dpkg/status") or ""):
        for name in dpkg_list_names(package):
            if _is_name(name) and (text := _text(root, f"var/lib/dpkg/info/{name}")) is not None:
                yield package, dpkg_paths(text)
                break
    folder = _inside(root, "var/lib/dpkg/status.d")
    for path in sorted(folder.iterdir()) if folder is not None and folder.is_dir() else ():
        if path.suffix != ".md5sums":
            sums = _text(root, f"var/lib/dpkg/status.d/{path.name}.md5sums") or ""
            text = _text(root, f"var/lib/dpkg/status.d/{path.name}") or ""
            yield from ((package, md5sums_paths(sums)) for package in dpkg_packages(text))


def _is_name(name: str) -> bool:
    return "/" not in name and "\0" not in name


def _of_rpm(root: Path, unread: list[str]) -> Iterator[tuple[SystemPackage, list[str]]]:
    for folder in _RPM_FOLDERS:
        path = _inside(root, f"{folder}/rpmdb.sqlite")
        if path is not None and path.is_file():
            try:
                yield from _of_sqlite(path)
            except sqlite3.Error as error:
                unread.append(f"/{folder}/rpmdb.sqlite: {error}")
            return
        unread += [
            f"/{folder}/{name}: only rpm's sqlite database is read"
            for name in _UNREAD_RPM
            if _is_there(root, f"{folder}/{name}")
        ]


def _of_sqlite(path: Path) -> Iterator[tuple[SystemPackage, list[str]]]:
    """`immutable`: no lock and no journal is made in somebody's image."""
    database = sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        for (blob,) in database.execute("SELECT blob FROM Packages ORDER BY hnum"):
            read = read_rpm_header(blob) if isinstance(blob, bytes) else None
            if read is not None:
                yield read
    finally:
        database.close()


def _is_there(root: Path, relative: str) -> bool:
    path = _inside(root, relative)
    return path is not None and path.is_file()


def _inside(root: Path, relative: str) -> Path | None:
    """A path of the root; None where links lead out of it."""
    resolved = root.resolve()
    path = (resolved / relative).resolve()
    return path if path.is_relative_to(resolved) else None


def _text(root: Path, relative: str) -> str | None:
    path = _inside(root, relative)
    try:
        return None if path is None else read_regular(path, MAX_DATABASE_BYTES).decode("utf-8", "replace")
    except OSError:
        return None
