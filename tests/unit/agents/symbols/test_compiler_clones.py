"""One function for all symbols that compilers make of it, and never one for two functions."""

import pytest

from agents.symbols.compiler_clones import common_word, function_of, symbols_by_function, symbols_of


@pytest.mark.parametrize(
    ("symbol", "function"),
    [
        ("parse.cold", "parse"),
        ("parse.cold.12", "parse"),
        ("parse.constprop.0.isra.1.part.2.cold", "parse"),
        ("parse.localalias", "parse"),
        ("parse._loopfn.0", "parse"),
        ("parse.clone.1.cold", "parse"),
        ("parse.cfi", "parse"),
        ("parse.cfi_jt", "parse"),
        ("sum._omp_fn.0", "sum"),
        ("_Z4loopPZ4loopvE14_Z4loopv.Frame.actor", "_Z4loopv"),
        ("_ZN2ns1S3runEPZNS0_3runEiE20_ZN2ns1S3runEi.Frame.destroy", "_ZN2ns1S3runEi"),
        ("checksum.avx2", "checksum"),
        ("checksum.arch_haswell", "checksum"),
        ("checksum.sse4_2", "checksum"),
        ("checksum.sse4.2.1", "checksum"),
        ("checksum.default", "checksum"),
        ("checksum._Msve2", "checksum"),
        ("_ZGVbN4v_sinf", "sinf"),
        ("_ZGTt3fooi", "_Z3fooi"),
        ("_ZN3FooC2Ev", "_ZN3FooC1Ev"),
        (
            "_ZNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEC2Ev",
            function_of("_ZNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEC1Ev"),
        ),
        ("_ZN3FooD0Ev", "_ZN3FooD1Ev"),
        ("_Z3genv.resume", "_Z3genv"),
        ("_Z3genv.destroy", "_Z3genv"),
        ("_Z3genv.cleanup.cold", "_Z3genv"),
        ("parse.specialized.3", "parse"),
        ("parse.argelim", "parse"),
        ("parse.retelim", "parse"),
        ("parse.memprof.1", "parse"),
        ("parse.__part.2", "parse"),
        ("parse.warm", "parse"),
        ("parse.146", "parse"),
        ("parse.llvm.8123456789", "parse"),
        ("main.(*T[go.shape.int]).Show", "main.(*T[...]).Show"),
        ("main.Map[go.shape.[]uint8,go.shape.string]", "main.Map[...]"),
        ("main.(*T[...]).Show.func1.2", "main.(*T[...]).Show"),
        ("main.Serve.gowrap1", "main.Serve"),
        ("main.Serve.deferwrap2", "main.Serve"),
        ("main.V.M-fm", "main.V.M"),
        ("main.Walk-range1", "main.Walk"),
        ("runtime.memmove.abi0", "runtime.memmove"),
    ],
)
def test_what_a_compiler_made_of_a_function_is_the_function(symbol: str, function: str) -> None:
    """The forms of GCC, LLVM and Go."""
    assert function_of(symbol) == function
    assert function_of(function) == function


@pytest.mark.parametrize(
    "symbol",
    [
        *("checksum.resolver", "checksum.ifunc", "a.b", ".text", "__memcpy_chk", "_ZN1a3FC2Ev", "[vdso]"),
        *("main.x.function", "main.cleanup", "main.resume", "main.split", "main.aesEncrypt", "main.shaSum", "net.hot"),
    ],
)
def test_other_names_stay_as_they_are(symbol: str) -> None:
    """What chooses a version of a function is not the function, `FC2` is a name, and Go's functions have dots."""
    assert function_of(symbol) == symbol


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("_ZN1a1m5parse17hd52b7cc40a360d2fE", "_ZN1a1m5parse17hf8d3a1ab5bc5d298E"),
        ("_ZN1a1m5parse17hd52b7cc40a360d2fE", "_ZN1a1m5parse28_$u7b$$u7b$closure$u7d$$u7d$17ha3d378387029e5cbE"),
        ("_RNvMNtCsdKmGX6TnrLs_1a1mINtB2_1PsE2goB4_", "_RNvMNtCsjFDhvNHko8v_1a1mINtB2_1PsE2goB4_"),
        ("_RNvMNtCsdKmGX6TnrLs_1a1mINtB2_1PsE2goB4_", "_RNvMNtCsdK_1a1mINtB2_1PsE2goBw_"),
        ("_RNvNtCsdKmGX6TnrLs_1a1m5parse", "_RNCNvNtCsdKmGX6TnrLs_1a1m5parses_0B5_"),
        ("_RNvMs0_NtCs1_1a1mNtB5_1P2go", "_RNvMNtCs1_1a1mNtB2_1P2go"),
    ],
)
def test_builds_and_closures_of_a_rust_function_are_one(one: str, other: str) -> None:
    """Hashes and disambiguators do not matter, and back references count other bytes then."""
    assert function_of(one) == function_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("_ZN1a1m5parse17hd52b7cc40a360d2fE", "_ZN1a1m4read17hd52b7cc40a360d2fE"),
        ("_RNvMNtCsdKmGX6TnrLs_1a1mINtB2_1PsE2goB4_", "_RNvMNtCsdKmGX6TnrLs_1a1mINtB2_1PtE2goB4_"),
        ("_RNvNtCs1_1a1m5parse", "_RNvNtCs1_1b1m5parse"),
    ],
)
def test_different_rust_functions_stay_different(one: str, other: str) -> None:
    """Types count: two implementations of one trait are two functions."""
    assert function_of(one) != function_of(other)


def test_a_hostile_rust_name_costs_no_stack() -> None:
    """Nesting without end, and a length without end."""
    for hostile in ("_R" + "INv" * 5_000, "_RNvC99999999999999999999a", "_RNvNtB_1a", "_R" + "B_" * 2_000):
        assert function_of(hostile) == hostile


def test_the_symbols_of_a_function_are_found_among_a_files_names() -> None:
    """Whatever the compiler put in front of the name or behind it."""
    names = ["checksum", "checksum.avx2", "checksum.resolver", "_ZGVbN4v_checksum", "check", "checksums"]

    assert symbols_of("checksum", names) == {"checksum", "checksum.avx2", "_ZGVbN4v_checksum"}
    assert symbols_of("_Z3fooi", ["_ZGTt3fooi", "_Z3fooi", "_Z4foooi"]) == {"_ZGTt3fooi", "_Z3fooi"}
    builds = {"_ZN1a1m5parse17hd52b7cc40a360d2fE", "_ZN1a1m5parse17hf8d3a1ab5bc5d298E"}
    assert symbols_of(function_of(min(builds)), [*builds, "_ZN1a1m4read17hf8d3a1ab5bc5d298E"]) == builds


def test_a_word_of_a_rust_function_is_in_each_of_its_builds() -> None:
    """What a name says besides identifiers differs from build to build, also where the canonical name has no gap."""
    builds = {
        "_RNvMs_NtNtCsjrHSEGnQ3l9_3std2io5errorNtB4_5Error3new",
        "_RNvMs5_NtNtCs1a_3std2io5errorNtB5_5Error3new",
    }

    assert {function_of(name) for name in builds} == {function_of(min(builds))}
    assert common_word(function_of(min(builds))) in {"error", "Error"}
    assert symbols_of(function_of(min(builds)), builds) == builds


def test_many_functions_have_the_symbols_that_each_has_alone() -> None:
    """However many are looked for at once."""
    names = [f"{name}{suffix}" for name in ("read", "_Z3fooi", "main.main") for suffix in ("", ".cold", ".part.0")]
    functions = [*map(function_of, names), *(f"other_{number}" for number in range(100))]

    found = symbols_by_function(functions, names)

    assert found == {function: symbols_of(function, names) for function in functions}
    assert found["read"] == {"read", "read.cold", "read.part.0"}
