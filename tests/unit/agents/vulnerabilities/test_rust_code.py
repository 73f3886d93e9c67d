"""Which demangled names of a Rust program are the functions that an advisory names."""

import pytest

from agents.vulnerabilities.rust_code import RustCode, named_path


@pytest.mark.parametrize(
    ("demangled", "named"),
    [
        ("smallvec::SmallVec<A>::grow", "smallvec::SmallVec::grow"),
        ("<smallvec::SmallVec<[u8; 4]>>::grow", "smallvec::SmallVec::grow"),
        ("<smallvec[1a2b3c]::SmallVec<A>>::grow::{closure#0}", "smallvec::SmallVec::grow"),
        ("<smallvec::SmallVec<A>>::grow::{{closure}}", "smallvec::SmallVec::grow"),
        ("lz4_flex::block::decompress::decompress_into::<u8>", "lz4_flex::block::decompress_into"),
        ("lz4_flex::block::decompress_into", "lz4_flex::decompress_into"),
        ("age::plugin::recipient::Identity::from_str::h0123456789abcdef", "age::plugin::Identity::from_str"),
        ("<age::plugin::Identity as core::str::FromStr>::from_str", "age::plugin::Identity::from_str"),
        ("<&mut time::Date as core::ops::Add<fn(u8) -> u8>>::add", "time::Date::add"),
        ("anyhow::error::object_ref::<clap::Error> (.llvm.1256820065749067636)", "anyhow::object_ref"),
        ("<smallvec::SmallVec<A>>::grow::{closure#0} (.llvm.12) (.cold)", "smallvec::SmallVec::grow"),
        ("<[gix_pack::tree::Item<u8>]>::sort_by::<u8>", "gix_pack::Item::sort_by"),
        (
            "<<a::Git>::clone_into::{closure#0} as core::ops::FnOnce<(u8,)>>::call_once::{shim:vtable#0}",
            "a::Git::clone_into",
        ),
        ("<a::spawn<<b::Walk>::visit::{closure#0}, ()>::{closure#1} as core::ops::FnOnce<()>>::call_once", "a::spawn"),
        ("<T as aead::AeadInPlace>::decrypt", "aead::AeadInPlace::decrypt"),
    ],
)
def test_a_name_is_the_function_that_is_named(demangled: str, named: str) -> None:
    """By crate, last type and name, in legacy and v0 form, generic or not."""
    path = named_path(named)

    assert path is not None
    assert RustCode([("mangled", demangled)]).functions(path).sure == {"mangled"}


@pytest.mark.parametrize(
    ("demangled", "named"),
    [
        ("smallvec::SmallVec<A>::grow", "smallvec::SmallVec::try_grow"),
        ("smallvec::SmallVec<A>::grow", "smallvec::grow"),
        ("smallvec::Other<smallvec::SmallVec>::grow", "smallvec::SmallVec::grow"),
        ("main", "smallvec::grow"),
        ("<", "smallvec::grow"),
        ("<<<", "smallvec::grow"),
    ],
)
def test_a_name_of_another_function_is_not_it(demangled: str, named: str) -> None:
    """Neither for sure nor perhaps."""
    path = named_path(named)

    assert path is not None
    assert not any(RustCode([("mangled", demangled)]).functions(path))


def test_a_type_of_another_crate_may_be_the_one_that_is_meant() -> None:
    """A crate may offer the types of another one as its own."""
    path = named_path("facade::Store::open")
    assert path is not None

    assert RustCode([("mangled", "backend::inner::Store::open")]).functions(path).maybe == {"mangled"}


def test_a_trait_is_known_by_what_was_written_for_it() -> None:
    """Any type may have its function."""
    path = named_path("aes_gcm::AeadInPlace::decrypt")
    assert path is not None

    assert RustCode([("mangled", "<a::B<C> as aead::AeadInPlace>::encrypt")]).is_trait(path)


@pytest.mark.parametrize("text", ["smallvec", "smallvec::SmallVec", "log::log!", "", "a::b c", "::"])
def test_what_is_no_function_has_no_path(text: str) -> None:
    """A bare type, a macro, or no path at all."""
    assert named_path(text) is None
