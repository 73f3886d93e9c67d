"""Vulnerable code in Rust programs is never called absent while it is there, whatever debug information says."""

import json
import shutil
import zlib
from pathlib import Path
from typing import Any, Final

import pytest

from agents.vulnerabilities.advisory import Advisory
from agents.vulnerabilities.osv import read_osv
from app.symbols.store import SymbolStore
from app.vulnerabilities.findings import findings
from app.vulnerabilities.programs import programs
from tests.support.indexed_files import add_to
from tests.support.programs import need, run

LIBRARY: Final = """
pub mod inner {
    #[inline]
    pub fn inlined(x: u64) -> u64 { println!("inlined"); x.wrapping_mul(3) }

    #[inline(never)]
    pub fn plain(x: u64) -> u64 { println!("plain"); x }

    pub fn generic<T: std::fmt::Debug>(x: T) { println!("generic {x:?}"); }

    pub struct Holder<T>(pub T);
    impl<T: std::fmt::Debug> Holder<T> {
        pub fn open(&self) { println!("open {:?}", self.0); }
    }

    pub fn closure() -> impl Fn(u64) -> u64 { |x| { println!("closure"); x + 1 } }

    /// Writes behind the end of what it was given.
    #[inline]
    pub fn merged(place: *mut u8) { unsafe { *place.add(1) = 2 } }
}
pub use inner::{closure, generic, inlined, merged, plain as renamed, Holder};
"""

MAIN: Final = """
extern crate lib;
use std::hint::black_box;

#[inline(never)]
fn both(place: *mut u8) {
    lib::merged(place);
    unsafe { *place = 1 }
}

fn main() {
    lib::inlined(black_box(1));
    lib::renamed(black_box(2));
    lib::generic(black_box(3u8));
    lib::Holder(black_box("x")).open();
    lib::closure()(black_box(4));
    let mut data = [0u8; 2];
    both(black_box(data.as_mut_ptr()));
    println!("merged wrote {}", black_box(data)[1]);
}
"""

RAN: Final = ("inlined", "plain", "generic", "open", "closure", "merged")
NAMED: Final = ("inlined", "inner::plain", "generic", "Holder::open", "closure", "merged")


def _program(folder: Path, *flags: str) -> Path:
    """A program that says which crates it has, as cargo-auditable writes it; it must have run all of its functions."""
    need("rustc", "objcopy")
    for name, source in (("lib.rs", LIBRARY), ("main.rs", MAIN)):
        (folder / name).write_text(source)
    compiler = ("rustc", "--edition=2021", *flags)
    run(*compiler, "--crate-type=rlib", "--crate-name=lib", "lib.rs", cwd=folder)
    run(*compiler, "--extern=lib=liblib.rlib", "main.rs", "-o", "program", cwd=folder)
    said = run(folder / "program")
    assert all(name in said for name in RAN), said
    crates = {"packages": [{"name": "lib", "version": "1.0.0", "source": "crates.io"}]}
    (folder / "crates").write_bytes(zlib.compress(json.dumps(crates).encode()))
    run("objcopy", f"--add-section=.dep-v0={folder / 'crates'}", folder / "program")
    return folder / "program"


def _advisory(function: str) -> Advisory:
    document: dict[str, Any] = {
        "id": f"RUSTSEC-{function}",
        "affected": [
            {
                "package": {"ecosystem": "crates.io", "name": "lib"},
                "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "1.1.0"}]}],
                "ecosystem_specific": {"affects": {"functions": [f"lib::{function}"]}},
            }
        ],
    }
    read = read_osv(document)
    assert isinstance(read, Advisory)
    return read


@pytest.mark.parametrize(
    "flags",
    [("-O", "-g"), ("-O", "-Cdebuginfo=1", "-Csymbol-mangling-version=v0"), ("-O", "-Cstrip=symbols"), ("-g",)],
    ids=" ".join,
)
def test_code_that_runs_is_present_or_nobody_can_tell(flags: tuple[str, ...], tmp_path: Path) -> None:
    """Inlined, re-exported under another name, generic, in a closure, or merged: it ran, so it is not absent."""
    add_to(tmp_path / "store", [_program(tmp_path, *flags).resolve()])
    [program] = programs(SymbolStore.open(tmp_path / "store"))
    advisories = [(_advisory(function), "") for function in NAMED]
    answers = {one.advisory.advisory_id: type(one.assessment).__name__ for one in findings(program, advisories)}

    assert len(answers) == len(NAMED)
    assert set(answers.values()) <= {"CodePresent", "CannotTell"}
    if "-Cstrip=symbols" not in flags:
        assert answers["RUSTSEC-inner::plain"] == "CodePresent"


def test_full_debug_information_has_no_word_of_code_that_was_merged(tmp_path: Path) -> None:
    """One instruction is the caller's write and that of the function, and LLVM says that it is the caller's.

    This is why no Rust code is absent. Where a newer LLVM does say it, this fails, and the rule can be looked at again.
    """
    if shutil.which("readelf") is None:
        pytest.skip("this machine has no readelf")
    path = _program(tmp_path, "-O", "-g")
    add_to(tmp_path / "store", [path.resolve()])
    [program] = programs(SymbolStore.open(tmp_path / "store"))

    assert "merged wrote 2" in run(path)
    debug = run("readelf", "--debug-dump=info", path)
    assert "_ZN3lib5inner7inlined" in debug
    assert "_ZN3lib5inner6merged" not in debug
    assert not any("6merged" in name for name in program.names.all_names())
