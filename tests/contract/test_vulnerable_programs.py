"""Vulnerable code in real Go programs is never called absent while it is there, stripped or not."""

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any, Final

import pytest

from agents.vulnerabilities.advisory import Advisory
from agents.vulnerabilities.osv import read_osv
from app.vulnerabilities.advisory_files import read_database
from tests.support.go_modules import STRIPPED, ModuleProxy, installed
from tests.support.vulnerable_programs import ANSWERS, answers, is_of_go

RECORDED: Final[dict[str, Any]] = json.loads(ANSWERS.read_text(encoding="utf-8"))
MAX_SECONDS: Final = 10.0
"""Of processor time for one file and the whole database."""

LIBRARY: Final = """package lib

import "fmt"

func ran(name string) { fmt.Println(name) }

// Inlined is small, so it has no code of its own.
func Inlined(x int) int { if x > 2 { println("Inlined"); return x * 3 }; return x + 1 }

// Constant leaves no instruction of its own where it was inlined.
func Constant() int { return 7 }

type Reader struct{ left int }

func (r *Reader) Read() int { ran("Reader.Read"); return r.left }

type Value struct{ n int }

func (v Value) Get() int { ran("Value.Get"); return v.n }

func Generic[T any](v T) []T { ran("Generic"); return []T{v, v} }

type Box[T any] struct{ V T }

func (b *Box[T]) Open() T { ran("Box.Open"); return b.V }

func Closure(n int) func() int { return func() int { ran("Closure"); return n + 1 } }

func Deferred() { defer func() { ran("Deferred") }() }

func Ranged(yield func(int) bool) { ran("Ranged"); yield(1) }

func Exported() { ran("Exported") }

//go:noinline
func Plain() { ran("Plain") }

func Unused() { ran("Unused") }

func init() { ran("init") }
"""
FRONT: Final = """package front

import "example.com/lib"

type Thing = lib.Value

var Run = lib.Exported
"""
MAIN: Final = """package main

import (
	"fmt"
	"os"

	"example.com/front"
	"example.com/lib"
)

type outer struct{ lib.Reader }

type reading interface{ Read() int }

type getting interface{ Get() int }

func main() {
	n := len(os.Args)
	fmt.Println(lib.Inlined(n + 9), lib.Constant())
	fmt.Println("Constant")
	var r reading = &outer{}
	r.Read()
	var g getting = front.Thing{}
	get := g.Get
	get()
	lib.Generic(n)
	lib.Generic("text")
	(&lib.Box[int]{n}).Open()
	lib.Closure(n)()
	lib.Deferred()
	lib.Ranged(func(int) bool { return true })
	front.Run()
	lib.Plain()
}
"""
FUNCTIONS: Final = (
    "Inlined", "Constant", "Reader.Read", "Value.Get", "Generic", "Box.Open", "Closure", "Deferred", "Ranged",
    "Exported", "Plain", "init", "Unused",
)  # fmt: skip


def _advisory(function: str) -> Advisory:
    """One that names a function of the library, in all versions up to 1.1."""
    document = {
        "id": f"GO-{function}",
        "affected": [
            {
                "package": {"ecosystem": "Go", "name": "example.com/lib"},
                "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "1.1.0"}]}],
                "ecosystem_specific": {"imports": [{"path": "example.com/lib", "symbols": [function]}]},
            }
        ],
    }
    read = read_osv(document)
    assert isinstance(read, Advisory), read
    return read


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> ModuleProxy:
    """A proxy with the library, and a module that hands its functions on under other names."""
    made = ModuleProxy(tmp_path_factory.mktemp("proxy"))
    made.publish("example.com/lib", "v1.0.0", {"lib.go": LIBRARY})
    made.publish("example.com/front", "v1.0.0", {"front.go": FRONT}, "require example.com/lib v1.0.0\n")
    return made


NOTHING_INLINED: Final = "-gcflags=all=-l"
REQUIRES: Final = "require (\n\texample.com/lib v1.0.0\n\texample.com/front v1.0.0\n)\n"


@pytest.mark.slow  # compiles
@pytest.mark.parametrize(
    ("flags", "vendored"),
    [((), False), ((f"-ldflags={STRIPPED}",), False), ((NOTHING_INLINED,), False), ((), True)],
    ids=["plain", "stripped", "nothing-inlined", "vendored"],
)
def test_code_that_runs_is_never_called_absent(
    proxy: ModuleProxy, tmp_path: Path, flags: tuple[str, ...], *, vendored: bool
) -> None:
    """Inlined, generic, embedded, a closure, handed on under another name: what ran is there, and what is not, is not.

    A constant that was folded into its caller left no instruction, so there is no code of it to find.
    """
    program = proxy.build(tmp_path / "app", MAIN, REQUIRES, *flags, vendored=vendored)
    done = subprocess.run(program, capture_output=True, text=True, check=True)
    ran = {*done.stdout.split("\n"), *done.stderr.split("\n")}
    found, _ = answers(tmp_path / "store", program, [_advisory(one) for one in FUNCTIONS])

    assert {one for one in FUNCTIONS if one in ran} == {*FUNCTIONS} - {"Unused"}
    absent = {one for one in FUNCTIONS if found[f"GO-{one}"] == "code_absent"}
    assert absent == ({"Unused"} if NOTHING_INLINED in flags else {"Unused", "Constant"})
    unsure = {one for one in FUNCTIONS if found[f"GO-{one}"] == "cannot_tell"}
    assert unsure <= {"Closure"}  # where its function was inlined, the closure has lost its package


@pytest.mark.slow  # compiles
@pytest.mark.parametrize("package", sorted(RECORDED["programs"]))
def test_a_real_program_is_answered_as_govulncheck_answers_and_so_is_its_stripped_twin(
    package: str, tmp_path: Path
) -> None:
    """Against the whole database of Go, by its own data; govulncheck's answers are recorded, with its version."""
    folder = os.environ.get("CALLSTREAM_VULNERABILITY_DATA_DIR")
    if not folder:
        pytest.skip("CALLSTREAM_VULNERABILITY_DATA_DIR is not set: the databases are not in the project")
    database = read_database(Path(folder) / RECORDED["database"])
    advisories = [one for one in database.advisories.values() if not is_of_go(one)]
    started = time.process_time()
    whole, _ = answers(tmp_path / "whole", installed(package, stripped=False), advisories)
    taken = time.process_time() - started
    stripped, _ = answers(tmp_path / "stripped", installed(package, stripped=True), advisories)
    said = RECORDED["programs"][package]

    assert database.digest == RECORDED["digest"]
    assert sorted(name for name, answer in whole.items() if answer == "code_present") == said["symbol"]
    known = {*said["symbol"], *said["module"]}
    assert {name for name in said["module"] if whole[name] not in {"code_absent", "cannot_tell"}} == set()
    assert {name for name, answer in whole.items() if answer == "code_absent"} <= known
    assert stripped == whole
    assert taken < MAX_SECONDS
