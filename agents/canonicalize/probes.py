"""What was probed: the scalar fields of an event's body become a probe part.

Tetragon decides how kinds map to probe types (pkg/grpc/tracing). A return probe is a kprobe event whose `return` is
set. A fentry hook looks like a kprobe, and a return uprobe like a uprobe with the return value as last argument; both
need the operator's map from policy name to hook kind. Nothing is guessed: without a map entry the type stays as it was
sent.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from agents.canonicalize.frames import KERNEL_MODULE, MAX_OFFSET, FrameResolver
from agents.canonicalize.identity import digest
from agents.symbols.kernel_symbols import canonical_kernel_symbol, canonical_symbol
from agents.symbols.lookup import Resolved
from agents.symbols.module_paths import normalize_module
from schemas import canonical_pb2 as canonical
from schemas import proto_wire
from schemas.tetragon.arguments_pb2 import KprobeAction


class HookKind(Enum):
    """Kinds of hook that look like others on the wire; values are those of the operator's map."""

    FENTRY = "fentry"
    FEXIT = "fexit"
    URETPROBE = "uretprobe"


PolicyHooks = Mapping[str, HookKind]
"""Policy name to hook kind."""

ProbeKey = tuple[Any, ...]
"""Kind of event and every scalar field of its body: hashable, and all that a probe part is made of."""


@dataclass(frozen=True, slots=True)
class ProbePart:
    """A probe as a field of the event, the exit field or nothing, and the digest of the fields as sent.

    `last_argument_returns`: the last argument is the call's return value.
    """

    digest: bytes
    field: bytes
    exit_field: bytes
    probe_type: int
    last_argument_returns: bool


# arch/*/include/asm/syscall_wrapper.h: each architecture wraps system calls under a prefix of its own.
_SYSCALL_WRAPPER: Final = re.compile(r"__(?:x64|ia32|x32|arm64|riscv|s390x?|se)_(compat_)?sys_")


def syscall_name(function: str) -> str:
    """A kernel function as it compares across architectures: `__x64_sys_openat` is `sys_openat`."""
    return _SYSCALL_WRAPPER.sub(lambda match: f"{match[1] or ''}sys_", function, count=1)


def exec_key(flags: str) -> ProbeKey:
    """Key of a process_exec; `flags` is how the agent came to know the process."""
    words = flags.split()
    return ("process_exec", next((call for call in ("execveat", "execve") if call in words), ""))


def exit_key(body: Any) -> ProbeKey:
    """Key of a process_exit."""
    return ("process_exit", body.signal, body.status)


def kprobe_key(body: Any, *, returns: bool) -> ProbeKey:
    """Key of a process_kprobe."""
    return _hook_key("process_kprobe", body, body.return_action, body.function_name, returns)


def tracepoint_key(body: Any) -> ProbeKey:
    """Key of a process_tracepoint."""
    return _hook_key("process_tracepoint", body, 0, body.subsys, body.event)


def lsm_key(body: Any) -> ProbeKey:
    """Key of a process_lsm."""
    return _hook_key("process_lsm", body, 0, body.function_name, body.ima_hash)


def uprobe_key(body: Any) -> ProbeKey:
    """Key of a process_uprobe."""
    return _hook_key("process_uprobe", body, 0, body.path, body.symbol, body.offset, body.ref_ctr_offset)


def usdt_key(body: Any) -> ProbeKey:
    """Key of a process_usdt."""
    return _hook_key("process_usdt", body, 0, body.path, body.provider, body.name, body.flags)


def _hook_key(kind: str, body: Any, return_action: int, *own: Any) -> ProbeKey:
    """What all kinds of hook say, and then what only this kind says."""
    tags = body.tags
    return (kind, body.policy_name, body.message, tuple(tags) if tags else (), body.action, return_action, *own)


def probe_part(key: ProbeKey, hooks: PolicyHooks, resolver: FrameResolver | None = None) -> ProbePart:
    """The part for a key made by one of the functions above; `resolver` knows the build id of a probed file."""
    kind = key[0]
    if kind == "process_exec":
        probe = canonical.CanonicalProbe(probe_type=canonical.PROBE_TYPE_PROCESS_EXEC, syscall=key[1])
        return _part(key, probe)
    if kind == "process_exit":
        return _part(key, canonical.CanonicalProbe(probe_type=canonical.PROBE_TYPE_PROCESS_EXIT), _exit(*key[1:]))
    policy_name, message, tags, action, return_action, *rest = key[1:]
    hook = hooks.get(policy_name)
    probe = _PROBES[kind](hook, *rest)
    if resolver is not None and probe.target.module not in ("", KERNEL_MODULE):
        build_id = resolver.probed_build_id(probe.target.module)
        if isinstance(build_id, str):
            probe.target.build_id = build_id
            _name_target(probe.target, resolver)
    probe.policy_name = policy_name
    probe.message = message
    probe.tags.extend(tags)
    probe.action = _action(action)
    probe.return_action = _action(return_action)
    return _part(key, probe)


def _name_target(target: canonical.CanonicalTarget, resolver: FrameResolver) -> None:
    """Name the function that a probe by file offset sits in, as a frame at that offset is named."""
    if target.offset_basis != canonical.OFFSET_BASIS_MODULE:
        return
    found = resolver.lookup(target.build_id, target.offset, innermost=True)
    if isinstance(found, Resolved):
        target.symbol, target.offset = found.symbol, found.offset
        target.offset_basis = canonical.OFFSET_BASIS_SYMBOL


def _part(key: ProbeKey, probe: canonical.CanonicalProbe, exit_: canonical.CanonicalExit | None = None) -> ProbePart:
    return ProbePart(
        # repr of a flat tuple of texts, numbers and booleans tells any two of them apart.
        digest=digest(repr(key).encode()),
        field=proto_wire.field(canonical.CanonicalEvent.PROBE_FIELD_NUMBER, probe),
        exit_field=b"" if exit_ is None else proto_wire.field(canonical.CanonicalEvent.EXIT_FIELD_NUMBER, exit_),
        probe_type=probe.probe_type,
        last_argument_returns=probe.probe_type == canonical.PROBE_TYPE_URETPROBE,
    )


def _exit(signal: str, status: int) -> canonical.CanonicalExit:
    # proto3 cannot tell status 0 from none; a process that no signal ended has exited with the status given.
    return canonical.CanonicalExit(signal=signal) if signal else canonical.CanonicalExit(status=status)


def _action(number: int) -> str:
    """`KPROBE_ACTION_POST` is `POST`; a number that a newer Tetragon sends stays a number."""
    if not number:
        return ""
    known = KprobeAction.DESCRIPTOR.values_by_number.get(number)
    return str(number) if known is None else known.name.removeprefix("KPROBE_ACTION_")


def _kprobe(hook: HookKind | None, function: str, returns: bool) -> canonical.CanonicalProbe:
    if hook is HookKind.FEXIT or (hook is HookKind.FENTRY and returns):
        probe_type = canonical.PROBE_TYPE_FEXIT
    elif hook is HookKind.FENTRY:
        probe_type = canonical.PROBE_TYPE_FENTRY
    else:
        probe_type = canonical.PROBE_TYPE_KRETPROBE if returns else canonical.PROBE_TYPE_KPROBE
    target = canonical.CanonicalTarget(
        module=KERNEL_MODULE,
        symbol=canonical_kernel_symbol(function, 0).name,
        offset_basis=canonical.OFFSET_BASIS_SYMBOL,
    )
    return canonical.CanonicalProbe(probe_type=probe_type, syscall=syscall_name(function), target=target)


def _tracepoint(_hook: HookKind | None, subsystem: str, event: str) -> canonical.CanonicalProbe:
    name = f"{subsystem}/{event}" if subsystem else event
    return canonical.CanonicalProbe(probe_type=canonical.PROBE_TYPE_TRACEPOINT, syscall=name)


def _lsm(_hook: HookKind | None, hook_name: str, _ima_hash: str) -> canonical.CanonicalProbe:
    return canonical.CanonicalProbe(probe_type=canonical.PROBE_TYPE_LSM, syscall=hook_name)


def _uprobe(
    hook: HookKind | None, path: str, symbol: str, offset: int, _ref_ctr_offset: int
) -> canonical.CanonicalProbe:
    returning = hook is HookKind.URETPROBE
    target = canonical.CanonicalTarget(module=normalize_module(path).path, symbol=canonical_symbol(symbol))
    if symbol:
        target.offset_basis = canonical.OFFSET_BASIS_SYMBOL
    elif offset <= MAX_OFFSET:
        target.offset_basis = canonical.OFFSET_BASIS_MODULE
        target.offset = offset
    return canonical.CanonicalProbe(
        probe_type=canonical.PROBE_TYPE_URETPROBE if returning else canonical.PROBE_TYPE_UPROBE,
        syscall=symbol,
        target=target,
    )


def _usdt(_hook: HookKind | None, path: str, provider: str, name: str, _flags: str) -> canonical.CanonicalProbe:
    return canonical.CanonicalProbe(
        probe_type=canonical.PROBE_TYPE_USDT,
        syscall=f"{provider}:{name}",
        target=canonical.CanonicalTarget(module=normalize_module(path).path),
    )


_PROBES: Final[dict[str, Callable[..., canonical.CanonicalProbe]]] = {
    "process_kprobe": _kprobe,
    "process_tracepoint": _tracepoint,
    "process_lsm": _lsm,
    "process_uprobe": _uprobe,
    "process_usdt": _usdt,
}
