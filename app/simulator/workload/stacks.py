"""Call stacks for a generated load: chains of functions that call each other in life, at real offsets in real files.

A chain is written from the innermost part to the outermost; a part is one library with the functions that take part
in it. Functions that this machine's copy of the library does not have are left out, and so is a library that is
missing. A module of a program that is not on this machine (a JVM, a Go program) gets made-up offsets: such frames
have no build id and stay unresolved, as they do in life.

As Tetragon reports it (`StackTraceEntry`): user frames have file offsets, at the innermost frame the instruction
itself and further out return addresses; kernel frames count from their symbol.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import Final

from app.simulator.workload.binaries import Binary, Function
from schemas.tetragon.events_pb2 import StackTraceEntry


@dataclass(frozen=True, slots=True)
class ChainPart:
    """One library's part of a chain: `low` to `high` frames of `functions`, the first of them the most frequent."""

    role: str
    functions: tuple[str, ...]
    low: int = 1
    high: int = 1


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Frames of a module that is not on this machine. `hints` are names that the agent may have seen there."""

    module: str
    low: int
    high: int
    hints: tuple[str, ...] = ()
    offsets: int = 400
    """How many distinct places of it occur."""


_INTERPRETER: Final = (
    ChainPart(
        "python",
        (
            "_PyEval_EvalFrameDefault",
            "_PyEval_Vector",
            "_PyFunction_Vectorcall",
            "PyObject_Vectorcall",
            "method_vectorcall",
            "PyObject_Call",
            "cfunction_call",
            "slot_tp_call",
            "_PyObject_MakeTpCall",
            "gen_iternext",
            "PyObject_CallMethodObjArgs",
            "_PyObject_FastCallDictTstate",
            "PyVectorcall_Call",
            "object_vacall",
        ),
        2,
        9,
    ),
    ChainPart("python", ("PyEval_EvalCode",)),
    ChainPart("python", ("run_mod", "PyRun_FileExFlags")),
    ChainPart("python", ("_PyRun_SimpleFileObject",)),
    ChainPart("python", ("Py_RunMain",)),
    ChainPart("python", ("Py_BytesMain",)),
    ChainPart("libc", ("__libc_start_main",)),
)

CHAINS: Final[Mapping[str, tuple[ChainPart | Elsewhere, ...]]] = {
    "python-tls": (
        ChainPart("libc", ("write", "read", "sendmsg")),
        ChainPart("crypto", ("BIO_write", "BIO_read", "EVP_EncryptUpdate", "EVP_DigestUpdate"), 1, 3),
        ChainPart("ssl", ("SSL_write_ex", "SSL_read_ex", "SSL_do_handshake", "SSL_read", "SSL_write"), 1, 2),
        ChainPart("_ssl", ("_ssl__SSLSocket_write", "_ssl__SSLSocket_read", "_ssl__SSLSocket_do_handshake")),
        *_INTERPRETER,
    ),
    "python-socket": (
        ChainPart("libc", ("connect", "send", "recv", "sendto", "recvfrom")),
        ChainPart(
            "_socket", ("sock_send_impl", "sock_call_ex.constprop.0", "sock_send", "sock_recv", "sock_connect"), 1, 2
        ),
        *_INTERPRETER,
    ),
    "python-sqlite": (
        ChainPart("libc", ("pread64", "pwrite64", "fdatasync", "open64")),
        ChainPart("sqlite", ("sqlite3_step", "sqlite3_exec", "sqlite3_prepare_v2", "sqlite3_finalize"), 1, 4),
        ChainPart("_sqlite3", ("_pysqlite_query_execute", "pysqlite_cursor_execute", "pysqlite_cursor_iternext"), 1, 2),
        *_INTERPRETER,
    ),
    "python-file": (
        ChainPart("libc", ("read", "write", "open64", "openat64", "close")),
        ChainPart("python", ("_Py_read", "_Py_write", "_bufferedwriter_raw_write", "_bufferedreader_raw_read"), 1, 3),
        *_INTERPRETER,
    ),
    "python-zlib": (
        ChainPart("libc", ("write",)),
        ChainPart("zlib", ("deflate", "inflate", "crc32"), 1, 2),
        ChainPart("_zlib", ("zlib_Compress_compress", "zlib_compress"), 0, 1),
        *_INTERPRETER,
    ),
    "proxy": (
        ChainPart("libc", ("writev", "recv", "epoll_wait", "sendmsg", "connect")),
        ChainPart("crypto", ("BIO_write", "BIO_read"), 0, 2),
        ChainPart("ssl", ("SSL_write", "SSL_read"), 0, 1),
        Elsewhere("/usr/sbin/nginx", 4, 9, ("ngx_http_write_filter", "ngx_event_pipe", "ngx_unix_recv")),
        ChainPart("libc", ("__libc_start_main",)),
    ),
    "java": (
        ChainPart("libc", ("write", "read", "recv", "pread64")),
        Elsewhere("/usr/lib/jvm/java-21/lib/libnio.so", 1, 1, ("Java_sun_nio_ch_UnixFileDispatcherImpl_write0",), 4),
        Elsewhere("", 6, 14, offsets=4_000),
        Elsewhere("/usr/lib/jvm/java-21/lib/server/libjvm.so", 4, 7, ("_ZN9JavaCalls11call_helperEP9JavaValue",)),
        ChainPart("libc", ("clone",)),
    ),
    "go": (Elsewhere("/usr/local/bin/metrics-agent", 6, 14, ("runtime.goexit", "syscall.Syscall6")),),
    "sshd": (
        ChainPart("libc", ("read", "write", "poll", "open64")),
        Elsewhere("/usr/sbin/sshd", 3, 6),
        ChainPart("libc", ("__libc_start_main",)),
    ),
    "bash": (
        ChainPart("libc", ("execve", "read", "open64", "write")),
        Elsewhere("/usr/bin/bash", 4, 8, ("execute_command_internal", "execute_simple_command", "reader_loop")),
        ChainPart("libc", ("__libc_start_main",)),
    ),
}
"""Call chains by name, innermost link first."""

_ENTRY: Final = ("do_syscall_64", "entry_SYSCALL_64_after_hwframe")
KERNEL_CALLERS: Final[Mapping[str, tuple[str, ...]]] = {
    "security_file_permission": ("vfs_read", "ksys_read", "__x64_sys_read", *_ENTRY),
    "vfs_read": ("ksys_read", "__x64_sys_read", *_ENTRY),
    "tcp_connect": ("tcp_v4_connect", "__inet_stream_connect", "__sys_connect", "__x64_sys_connect", *_ENTRY),
    "tcp_sendmsg": ("inet_sendmsg", "sock_write_iter", "vfs_write.isra.0", "ksys_write", "__x64_sys_write", *_ENTRY),
    "__x64_sys_write": _ENTRY,
    "__x64_sys_openat": _ENTRY,
}
"""Kernel functions that are probed, and who calls them, innermost first."""

_MAX_CALL_SITE_BYTES: Final = 0x400
"""Where in a kernel function a call may lie."""


class StackMaker:
    """Makes stacks from the binaries of this machine; the same random numbers give the same stacks."""

    def __init__(self, binaries: Mapping[str, Binary], rng: Random) -> None:
        self._binaries = binaries
        self._rng = rng
        self._functions: dict[ChainPart, tuple[Sequence[Function], list[float]]] = {}

    def roles(self, chain: str) -> list[str]:
        """Roles of the binaries that a chain's frames lie in, sorted."""
        return sorted(
            {link.role for link in CHAINS[chain] if isinstance(link, ChainPart) and link.role in self._binaries}
        )

    def user(self, chain: str, *, hinted: bool) -> list[StackTraceEntry]:
        """A user stack; `hinted` where the agent found names."""
        entries: list[StackTraceEntry] = []
        for link in CHAINS[chain]:
            for _ in range(self._rng.randint(link.low, link.high)):
                entry = (
                    self._elsewhere(link) if isinstance(link, Elsewhere) else self._frame(link, innermost=not entries)
                )
                if entry is not None:
                    entries.append(entry)
        if not hinted:
            for entry in entries:
                entry.ClearField("symbol")
        return entries

    def kernel(self, function: str) -> list[StackTraceEntry]:
        """The kernel stack at the start of `function`."""
        callers = [
            StackTraceEntry(symbol=symbol, offset=self._rng.randrange(5, _MAX_CALL_SITE_BYTES))
            for symbol in KERNEL_CALLERS[function]
        ]
        return [StackTraceEntry(symbol=function), *callers]

    def _frame(self, link: ChainPart, *, innermost: bool) -> StackTraceEntry | None:
        functions, weights = self._candidates(link)
        if not functions:
            return None
        function = self._rng.choices(functions, cum_weights=weights)[0]
        # A return address lies behind its call, so never at the start and possibly at the very end.
        within = self._rng.randrange(function.size) if innermost else self._rng.randint(1, function.size)
        return StackTraceEntry(
            module=self._binaries[link.role].path, symbol=function.name, offset=function.file_offset + within
        )

    def _candidates(self, link: ChainPart) -> tuple[Sequence[Function], list[float]]:
        """Functions of a link and their cumulative weights by Zipf's law."""
        if link not in self._functions:
            binary = self._binaries.get(link.role)
            functions = binary.named(*link.functions) or binary.functions[:8] if binary is not None else ()
            self._functions[link] = functions, zipf_weights(len(functions))
        return self._functions[link]

    def _elsewhere(self, link: Elsewhere) -> StackTraceEntry:
        place = self._rng.randrange(link.offsets)
        hint = link.hints[place % len(link.hints)] if link.hints and place % 3 else ""
        return StackTraceEntry(module=link.module, symbol=hint, offset=0x1_0000 + place * 0x37)


def zipf_weights(count: int) -> list[float]:
    """Cumulative weights of `count` things of which the n-th is n times as rare as the first."""
    return list(accumulate(1 / rank for rank in range(1, count + 1)))
