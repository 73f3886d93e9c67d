"""Checks what the agent tells of its tracing policies, and whether the operator's files say what their hooks are on."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import grpc

from agents.probes.policies_answer import errors_in, policies_in
from agents.probes.policy_seen import PolicySeen
from app.doctor.findings import CheckFinding, ok, warn
from app.settings import Settings
from app.tracing_policies.folder import NO_SUPPLIED_POLICIES, PolicyFolder, SuppliedPolicies
from schemas.probes import PolicyState, SeenHookState

_LIST: Final = "/tetragon.FineGuidanceSensors/ListTracingPolicies"
_ANSWER_SECONDS: Final = 3.0
_MAX_NAMED: Final = 5
_MAX_ERROR_CHARS: Final = 200
"""A path and the kernel's word on it; the agent puts all causes behind each other."""
_BY_WORD: Final = "watches need `every_call_probed`, the word of their author"


def check_policies(settings: Settings, channel: Any) -> Iterator[CheckFinding]:
    """The folder of policies, and the agent's answer on this channel."""
    folder = settings.tracing_policies_dir
    supplied = NO_SUPPLIED_POLICIES if folder is None else PolicyFolder(folder).look()
    for refused in supplied.refused[:_MAX_NAMED]:
        yield warn(f"a tracing policy is not used: {refused}", "correct the file; its hooks count for no watch")
    try:
        answer = channel.unary_unary(_LIST)(b"", timeout=_ANSWER_SECONDS)
    except grpc.RpcError as error:
        yield _no_answer(error.code())
        return
    found = policies_in(answer, supplied.digests)
    if isinstance(found, str):
        yield warn(f"the agent's list of policies cannot be used: {found}", _BY_WORD)
        return
    yield ok(f"the agent has {len(found):,} tracing policies, and {len(supplied.policies):,} are in files here")
    yield from _of_policies(found, supplied, errors_in(answer))


def _no_answer(code: grpc.StatusCode) -> CheckFinding:
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return warn("the agent is too old to tell of its tracing policies", f"{_BY_WORD}; Tetragon 1.8 tells hooks")
    return warn(f"the agent does not tell of its tracing policies: {code.name}", _BY_WORD)


def _of_policies(
    found: Sequence[PolicySeen], supplied: SuppliedPolicies, errors: Mapping[tuple[str, str], str]
) -> Iterator[CheckFinding]:
    unknown = sorted(policy.name for policy in found if policy.spec_digest is None)
    if unknown:
        yield warn(
            f"no file says what these policies hook: {_listed(unknown)}",
            "put them into CALLSTREAM_TRACING_POLICIES_DIR of ingest and hot-symbols",
        )
    failed = sorted(
        _with_error(p.name, errors.get((p.namespace, p.name), ""))
        for p in found
        if p.state in {PolicyState.LOAD_ERROR, PolicyState.ERROR}
    )
    if failed:
        yield warn(f"these policies failed to load: {_listed(failed)}", "`tetra tracingpolicy list` says all of why")
    hooked = [p for p in found if p.spec_digest is not None and p.state is PolicyState.ENABLED]
    if hooked and not any(policy.hooks for policy in hooked):
        yield warn("the agent tells no state of any hook, as those before 1.8 do", _BY_WORD)
    missing = sorted(p.name for p in hooked if any(one.state is not SeenHookState.LOADED for one in p.hooks))
    if missing:
        yield warn(
            f"hooks of these policies are not loaded: {_listed(missing)}",
            "DigestRejected: another build of the file lies at the path; `callstream tap runtime.probes` shows states",
        )
    lists = {policy.name for policy in supplied.policies.values()} - {policy.name for policy in found}
    if lists:
        yield warn(f"the agent does not have these policies of the folder: {_listed(sorted(lists))}", "load them")


def _with_error(name: str, error: str) -> str:
    """A policy and the agent's words about it, on one line."""
    words = " ".join(error.split())
    return name if not words else f"{name} ({words[:_MAX_ERROR_CHARS]}{'…' * (len(words) > _MAX_ERROR_CHARS)})"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_NAMED:,} more" if len(names) > _MAX_NAMED else ""
    return ", ".join(names[:_MAX_NAMED]) + more
