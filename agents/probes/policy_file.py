"""Reads a tracing policy: which hooks it sets, and why a hook may not report every call.

An agent says of a loaded policy neither its text nor what its hooks are on, so the operator supplies the files. What is
not understood is never taken for a hook that reports every call.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final

MAX_HOOKS: Final = 10_000
"""Of one policy: hooks, and symbols, offsets and addresses of a hook."""

_DIGEST_IN_NAME: Final = re.compile(r"callstream-(?:[a-z0-9-]*-)?([0-9a-f]{16})\Z")
"""The name of a policy that we generate. Its digest is of the spec, so no other policy has the name by mistake."""
_RATE: Final = re.compile(r"(\d{1,9})([smh]?)\Z")
_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600}

MAX_BRIEF_S: Final = 60
"""An event that was posted and then lost hides further calls of its process for so long; a watch lasts days."""

_BUILD_ID: Final = re.compile(r"build-id:([0-9a-fA-F]{2,128})\Z")
_KINDS: Final = {"TracingPolicy": False, "TracingPolicyNamespaced": True}
_WORKLOADS: Final = ("podSelector", "containerSelector", "hostSelector")


class HookSection(StrEnum):
    """Lists of hooks in a policy, as it calls them."""

    KPROBES = "kprobes"
    FENTRIES = "fentries"
    TRACEPOINTS = "tracepoints"
    LSM_HOOKS = "lsmhooks"
    UPROBES = "uprobes"
    USDTS = "usdts"


class CallLimit(StrEnum):
    """Why a hook may not report every call of what it is on."""

    WORKLOADS = "workloads"
    """The policy is one of some pods, containers or a namespace."""
    FILTER = "filter"
    """A selector matches some calls only, or does not post those that it matches."""
    RATE = "rate"
    """A selector posts at most so many."""
    BRIEF_RATE = "brief_rate"
    """A selector posts one and then none for at most `MAX_BRIEF_S`: the first call of a function is always posted."""
    RETURN = "return"
    """It reports a call when the call returns, so one that never does is not reported."""
    OPTIONAL = "optional"
    """The policy loads without it where it cannot be set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """One entry of a section; `index` is its place there.

    `build_ids` are those of the policy's digests of the file, in lower case. A file that has no such digest may be any
    file: what lies at the path is known to the agent alone.
    """

    section: HookSection
    index: int
    path: str = ""
    call: str = ""
    symbols: tuple[str, ...] = ()
    offsets: tuple[int, ...] = ()
    addresses: tuple[int, ...] = ()
    build_ids: frozenset[str] = frozenset()
    has_other_digests: bool = False
    limits: frozenset[CallLimit] = frozenset()

    @property
    def reports_every_call(self) -> bool:
        """Whether each call of what it is on makes an event while it is loaded, or one shortly before it did."""
        return not self.limits - {CallLimit.OPTIONAL, CallLimit.BRIEF_RATE}


@dataclass(frozen=True, slots=True, kw_only=True)
class TracingPolicy:
    """A policy of a file. `digest` is of its spec, in hex digits."""

    name: str
    namespace: str
    digest: str
    hooks: tuple[Hook, ...]

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name: what an agent calls it."""
        return self.namespace, self.name


@dataclass(frozen=True, slots=True)
class NoPolicy:
    """A document that is none, and why."""

    reason: str


def spec_digest(spec: Mapping[str, Any]) -> str:
    """Digest of a spec in hex digits; the order of keys and the form of the text do not matter."""
    text = json.dumps(spec, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return sha256(text.encode()).hexdigest()


def generated_name(word: str, spec: Mapping[str, Any]) -> str:
    """Name of a policy that we generate; `word` is of small letters, digits and hyphens."""
    return f"callstream-{word}-{spec_digest(spec)[:16]}"


def digest_in_name(name: str) -> str | None:
    """What the digest of a policy's spec begins with, by its name; None for a name that does not say."""
    found = _DIGEST_IN_NAME.match(name)
    return None if found is None else found[1]


def read_policy(document: object) -> TracingPolicy | NoPolicy:
    """The policy that a document of YAML or JSON is."""
    try:
        return _policy(_mapping(document, "the document"))
    except _NoPolicyError as error:
        return NoPolicy(str(error))


class _NoPolicyError(Exception):
    """Ends the reading of a document; the message is the reason."""


def _policy(document: Mapping[str, Any]) -> TracingPolicy:
    kind = document.get("kind")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise _NoPolicyError(f"kind is not one of {', '.join(_KINDS)}")
    metadata = _mapping(document.get("metadata"), "metadata")
    name = _text(metadata.get("name"), "metadata.name")
    if not name:
        raise _NoPolicyError("metadata.name is missing")
    is_namespaced = _KINDS[kind]
    namespace = _text(metadata.get("namespace"), "metadata.namespace") or "default" if is_namespaced else ""
    spec = _mapping(document.get("spec"), "spec")
    digest = spec_digest(spec)
    named = digest_in_name(name)
    if named is not None and not digest.startswith(named):
        raise _NoPolicyError(f"the name says that the digest of the spec begins with {named}, and it is {digest}")
    narrows = is_namespaced or any(key in spec for key in _WORKLOADS)  # an empty one may still leave out the host
    of_policy = frozenset({CallLimit.WORKLOADS}) if narrows else frozenset()
    hooks = tuple(
        hook for section in HookSection for hook in _hooks(spec, section, of_policy, is_ours=named is not None)
    )
    if sum(1 + len(hook.symbols) + len(hook.offsets) + len(hook.addresses) for hook in hooks) > MAX_HOOKS:
        raise _NoPolicyError(f"has more than {MAX_HOOKS:,} hooks")
    return TracingPolicy(name=name, namespace=namespace, digest=digest, hooks=hooks)


def _hooks(
    spec: Mapping[str, Any], section: HookSection, of_policy: frozenset[CallLimit], *, is_ours: bool
) -> Iterator[Hook]:
    """Hooks of a section. In a policy that we generated all digests of a hook are of one file."""
    has_macros = bool(spec.get("selectorsMacros"))
    for index, item in enumerate(_sequence(spec.get(section), f"spec.{section}")):
        where = f"spec.{section}[{index}]"
        entry = _mapping(item, where)
        digests = _texts(entry.get("binaryDigests"), f"{where}.binaryDigests")
        build_ids = [found for found in map(_BUILD_ID.match, digests) if found is not None]
        limits = {*of_policy, *_limits(entry, where, has_macros=has_macros)}
        yield Hook(
            section=section,
            index=index,
            path=_text(entry.get("path"), f"{where}.path"),
            call=_text(entry.get("call") or entry.get("hook"), f"{where}.call"),
            symbols=_texts(entry.get("symbols"), f"{where}.symbols"),
            offsets=_numbers(entry.get("offsets"), f"{where}.offsets"),
            addresses=_numbers(entry.get("addrs"), f"{where}.addrs"),
            build_ids=frozenset(found[1].lower() for found in build_ids),
            has_other_digests=len(build_ids) < len(digests) and not is_ours,
            limits=frozenset(limits),
        )


def _limits(entry: Mapping[str, Any], where: str, *, has_macros: bool) -> Iterator[CallLimit]:
    """Of a hook. A call that the first selector does not match may be matched by none."""
    if entry.get("return"):
        yield CallLimit.RETURN
    ignored = _mapping(entry.get("ignore") or {}, f"{where}.ignore")
    if any(ignored.values()):
        yield CallLimit.OPTIONAL
    selectors = _sequence(entry.get("selectors"), f"{where}.selectors")
    if not selectors:
        return
    first = _mapping(selectors[0], f"{where}.selectors[0]")
    matches = {key for key, value in first.items() if value and key not in {"label", "matchActions"}}
    if matches or (has_macros and "macros" in first):
        yield CallLimit.FILTER
    for action in _sequence(first.get("matchActions"), f"{where}.selectors[0].matchActions"):
        taken = _mapping(action, f"{where}.selectors[0].matchActions")
        if taken.get("action") != "Post":
            yield CallLimit.FILTER
        if taken.get("rateLimit"):
            yield CallLimit.BRIEF_RATE if is_brief_rate(taken["rateLimit"]) else CallLimit.RATE


def is_brief_rate(limit: object) -> bool:
    """Of a rate limit as a selector has it: a number with its unit, s where there is none."""
    found = _RATE.match(limit) if isinstance(limit, str) else None
    return found is not None and int(found[1]) * _SECONDS[found[2]] <= MAX_BRIEF_S


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _NoPolicyError(f"{where} is not a mapping")
    return value


def _sequence(value: object, where: str) -> Sequence[Any]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise _NoPolicyError(f"{where} is not a list")
    if len(value) > MAX_HOOKS:
        raise _NoPolicyError(f"{where} has more than {MAX_HOOKS:,} entries")
    return value


def _text(value: object, where: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _NoPolicyError(f"{where} is not text")
    return value


def _texts(value: object, where: str) -> tuple[str, ...]:
    return tuple(_text(one, where) for one in _sequence(value, where))


def _numbers(value: object, where: str) -> tuple[int, ...]:
    found = _sequence(value, where)
    if any(isinstance(one, bool) or not isinstance(one, int) or one < 0 for one in found):
        raise _NoPolicyError(f"{where} has what is not a number of bytes")
    return tuple(found)
