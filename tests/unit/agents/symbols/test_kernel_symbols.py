"""Kernel and linker symbol names compare across builds and boots."""

import pytest

from agents.symbols.kernel_symbols import KernelSymbol, canonical_kernel_symbol, canonical_symbol


@pytest.mark.parametrize(
    ("raw", "canonical"),
    [
        ("memcpy@@GLIBC_2.14", "memcpy"),
        ("memcpy@GLIBC_2.2.5", "memcpy"),
        ("@plt", "@plt"),
        ("foo.llvm.1234567890", "foo"),
        ("foo.__uniq.123456", "foo"),
        ("foo.__uniq.123456.llvm.789", "foo"),
        ("foo.lto_priv.0", "foo"),
        ("foo.lto_priv.0.cold", "foo.cold"),
        ("foo.llvm.1234.cold", "foo.cold"),
        ("foo$0123456789abcdef0123456789abcdef", "foo"),
        ("foo$0123456789abcdef0123456789abcdef.cold", "foo.cold"),
        ("foo.cold", "foo.cold"),
        ("foo.part.0", "foo.part.0"),
        ("foo.isra.0", "foo.isra.0"),
        ("foo.constprop.0.isra.1", "foo.constprop.0.isra.1"),
        ("foo.llvm.lto_priv.0.7", "foo"),
        ("foo.llvm", "foo.llvm"),
        ("foo.llvmish.7", "foo.llvmish.7"),
        ("_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE", "_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE"),
        ("main.(*T).Serve", "main.(*T).Serve"),
        ("", ""),
    ],
)
def test_build_noise_goes_and_separate_bodies_stay(raw: str, canonical: str) -> None:
    """Versions and hashes are dropped; suffixes that name another body of the function are part of its name."""
    assert canonical_symbol(raw) == canonical
    assert canonical_symbol(canonical) == canonical


def test_padding_at_function_entry_is_the_function() -> None:
    """A probe at the first byte of X comes as `__pfx_X+0x10`, and is X+0."""
    assert canonical_kernel_symbol("__pfx_vfs_read", 16) == KernelSymbol("vfs_read", 0, None, is_trampoline=False)


@pytest.mark.parametrize("offset", [0, 5, 15, 17, 32])
def test_other_offsets_in_the_padding_stay(offset: int) -> None:
    """Only the 16th byte behind the start of the padding is the function's entry."""
    assert canonical_kernel_symbol("__pfx_vfs_read", offset) == KernelSymbol(
        "__pfx_vfs_read", offset, None, is_trampoline=False
    )


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("bpf_trampoline_6442453466", "bpf_trampoline"),
        ("bpf_trampoline_6442453466_1", "bpf_trampoline"),
        ("bpf_dispatcher_xdp", "bpf_dispatcher_xdp"),
        ("bpf_dispatcher_xdp_12", "bpf_dispatcher_xdp"),
        ("ftrace_trampoline", "ftrace_trampoline"),
        ("kprobe_optinsn_page\t[__builtin__kprobes]", "kprobe_optinsn_page"),
        ("ftrace_trampoline\t[__builtin__ftrace]", "ftrace_trampoline"),
    ],
)
def test_generated_code_loses_number_and_offset(raw: str, name: str) -> None:
    """The number and the place of a trampoline depend on what was loaded before it."""
    assert canonical_kernel_symbol(raw, 77) == KernelSymbol(name, 0, None, is_trampoline=True)


@pytest.mark.parametrize(
    "name", ["bpf_prog_6deef7357e7b4530_event_exit", "bpf_dispatcher_xdp_func", "bpf_trampoline_x"]
)
def test_code_with_a_lasting_name_keeps_its_offset(name: str) -> None:
    """A BPF program's tag hashes its instructions, so name and offset mean the same everywhere."""
    assert canonical_kernel_symbol(name, 77) == KernelSymbol(name, 77, None, is_trampoline=False)


def test_module_token_behind_a_symbol_is_the_module() -> None:
    """A line of kallsyms reads `symbol<tab>[module]`; the token names the kernel module."""
    assert canonical_kernel_symbol("nft_do_chain\t[nf_tables]", 9) == KernelSymbol(
        "nft_do_chain", 9, "nf_tables", is_trampoline=False
    )
