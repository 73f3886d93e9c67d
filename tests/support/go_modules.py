"""Go programs of modules that the test makes itself, and programs of the module proxy, stripped and not."""

import hashlib
import io
import json
import os
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.support.programs import CACHE

STRIPPED: Final = "-s -w"


def need_go() -> None:
    """Skip where there is no Go."""
    if shutil.which("go") is None:
        pytest.skip("this machine has no Go")


class ModuleProxy:
    """A module proxy in a folder; programs are built from it without any network."""

    def __init__(self, folder: Path) -> None:
        need_go()
        self._folder = folder / "proxy"
        self._environment = {
            **os.environ,
            "GOPROXY": f"file://{self._folder}",
            "GOSUMDB": "off",
            "GOTOOLCHAIN": "local",
            "GOMODCACHE": str(folder / "modules"),
            "GOFLAGS": "-mod=mod -modcacherw",
        }

    def publish(self, path: str, version: str, files: Mapping[str, str], requires: str = "") -> None:
        """Publish a version of a module, as go.dev/ref/mod#module-proxy has it."""
        place = self._folder / path / "@v"
        place.mkdir(parents=True, exist_ok=True)
        text = f"module {path}\n\ngo 1.20\n{requires}"
        (place / f"{version}.mod").write_text(text)
        (place / f"{version}.info").write_text(f'{{"Version": "{version}"}}')
        with (place / "list").open("a") as versions:
            versions.write(f"{version}\n")
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            for name, source in {"go.mod": text, **files}.items():
                archive.writestr(f"{path}@{version}/{name}", source)
        (place / f"{version}.zip").write_bytes(content.getvalue())

    def build(self, folder: Path, source: str, requires: str, *flags: str, vendored: bool = False) -> Path:
        """A program that requires such modules."""
        folder.mkdir(parents=True)
        (folder / "go.mod").write_text(f"module example.com/app\n\ngo 1.20\n{requires}")
        (folder / "main.go").write_text(source)
        if vendored:
            self._run(folder, "go", "mod", "tidy")
            self._run(folder, "go", "mod", "vendor")
            flags = ("-mod=vendor", *flags)
        self._run(folder, "go", "build", *flags, "-o", "app", ".")
        return folder / "app"

    def _run(self, folder: Path, *command: str) -> None:
        done = subprocess.run(command, cwd=folder, env=self._environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def installed(package: str, *, stripped: bool) -> Path:
    """A program of the module proxy, as `path@version`; kept between runs. Skips where nothing can be fetched."""
    need_go()
    version = subprocess.run(("go", "version"), capture_output=True, text=True, check=True).stdout
    flags = ("-trimpath", f"-ldflags={STRIPPED}") if stripped else ("-trimpath",)
    name = hashlib.sha256("\0".join((version, package, *flags)).encode()).hexdigest()
    kept = CACHE / name
    if not kept.exists():
        made = CACHE / f"{name}-{os.getpid()}"
        made.mkdir(parents=True)
        environment = {**os.environ, "GOBIN": str(made), "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
        command = ("go", "install", *flags, package)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            shutil.rmtree(made)
            pytest.skip(f"{package} cannot be built here: {done.stderr.strip()[-200:]}")
        [program] = made.iterdir()
        program.rename(kept)  # whole or not at all
        shutil.rmtree(made)
    return kept


def vulnerable_shop(folder: Path) -> None:
    """In a folder: the program `shop`, with a function of CVE-2022-32149, and `go-vulndb.zip`, which knows it."""
    with tempfile.TemporaryDirectory() as scratch:
        proxy = ModuleProxy(Path(scratch))
        source = "package language\n\n//go:noinline\nfunc ParseAcceptLanguage() { println(1) }\n"
        proxy.publish("golang.org/x/text", "v0.3.7", {"language/language.go": source})
        main = 'package main\n\nimport "golang.org/x/text/language"\n\nfunc main() { language.ParseAcceptLanguage() }\n'
        built = proxy.build(Path(scratch) / "shop", main, "require golang.org/x/text v0.3.7\n")
        shutil.copy(built, folder / "shop")
    document = {
        "id": "GO-2022-1059",
        "aliases": ["CVE-2022-32149"],
        "affected": [
            {
                "package": {"ecosystem": "Go", "name": "golang.org/x/text"},
                "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "0.3.8"}]}],
                "ecosystem_specific": {
                    "imports": [{"path": "golang.org/x/text/language", "symbols": ["ParseAcceptLanguage"]}]
                },
            }
        ],
    }
    with zipfile.ZipFile(folder / "go-vulndb.zip", "w") as archive:
        archive.writestr("GO-2022-1059.json", json.dumps(document))
