"""Reads a folder of tracing policies each time it is called for, and of its files only those that changed.

A file that cannot be read is named with its reason and costs no other policy. Where two documents have one name, nobody
knows which of them an agent has, so neither counts.
"""

import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agents.probes.policy_file import NoPolicy, TracingPolicy, read_policy
from agents.yaml_text import MAX_YAML_BYTES, YamlTextError, parse_yaml
from app.operators.regular_files import read_regular_text

log = logging.getLogger(__name__)

MAX_FILES: Final = 1_000
"""Of a folder; as many as policies of an agent."""

_SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})

PolicyKey = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True, slots=True)
class RefusedPolicy:
    """A file, or a document of one, that is not a policy, and why."""

    place: str
    reason: str

    def __str__(self) -> str:
        """For a person."""
        return f"{self.place}: {self.reason}"


@dataclass(frozen=True, slots=True)
class SuppliedPolicies:
    """What a folder has."""

    policies: Mapping[PolicyKey, TracingPolicy]
    refused: tuple[RefusedPolicy, ...]

    @property
    def digests(self) -> Mapping[PolicyKey, str]:
        """Of the specs."""
        return {key: policy.digest for key, policy in self.policies.items()}

    @property
    def by_digest(self) -> Mapping[str, TracingPolicy]:
        """A policy of each spec, of those without a namespace; such of equal specs have the same hooks."""
        return {policy.digest: policy for policy in self.policies.values() if not policy.namespace}


NO_SUPPLIED_POLICIES: Final = SuppliedPolicies({}, ())

_Stamp = tuple[int, int, int, int]
_Documents = tuple[TracingPolicy | RefusedPolicy, ...]


class PolicyFolder:
    """A folder of policies. Not locked."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, tuple[_Stamp, _Documents]] = {}
        self._logged: frozenset[RefusedPolicy] = frozenset()

    def look(self) -> SuppliedPolicies:
        """What the folder has now. What is refused is logged once."""
        try:
            names = sorted(
                entry.name
                for entry in os.scandir(self._folder)
                if not entry.name.startswith(".") and Path(entry.name).suffix in _SUFFIXES
            )
        except OSError as error:
            return self._told({}, [RefusedPolicy(str(self._folder), error.strerror or "cannot be read")])
        refused = []
        if len(names) > MAX_FILES:
            refused.append(RefusedPolicy(str(self._folder), f"has more than {MAX_FILES:,} files; the first ones count"))
        documents = [one for name in names[:MAX_FILES] for one in self._documents(name)]
        self._read = {name: self._read[name] for name in names if name in self._read}
        found = [one for one in documents if isinstance(one, TracingPolicy)]
        refused += [one for one in documents if isinstance(one, RefusedPolicy)]
        times = Counter(policy.key for policy in found)
        refused += [
            RefusedPolicy(str(self._folder), f"has {count} policies named {'/'.join(filter(None, key))}; none counts")
            for key, count in sorted(times.items())
            if count > 1
        ]
        return self._told({policy.key: policy for policy in found if times[policy.key] == 1}, refused)

    def _told(self, policies: Mapping[PolicyKey, TracingPolicy], refused: list[RefusedPolicy]) -> SuppliedPolicies:
        for one in refused:
            if one not in self._logged:
                log.warning("a tracing policy is not used: %s", one)
        self._logged = frozenset(refused)
        return SuppliedPolicies(policies, tuple(refused))

    def _documents(self, name: str) -> _Documents:
        path = self._folder / name
        try:
            status = path.stat()
            stamp = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
            before = self._read.get(name)
            if before is None or before[0] != stamp:
                text = read_regular_text(path, MAX_YAML_BYTES)
                self._read[name] = stamp, tuple(_policies(name, text))
        except (OSError, UnicodeDecodeError) as error:
            self._read.pop(name, None)
            reason = "is not UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror or "cannot be read"
            return (RefusedPolicy(name, reason),)
        return self._read[name][1]


def _policies(name: str, text: str) -> Iterator[TracingPolicy | RefusedPolicy]:
    try:
        documents = parse_yaml(text)
    except YamlTextError as error:
        yield RefusedPolicy(name, str(error))
        return
    for number, document in enumerate(documents, 1):
        if document is None:  # what `---` at the end leaves
            continue
        policy = read_policy(document)
        if isinstance(policy, NoPolicy):
            yield RefusedPolicy(f"{name}, document {number}" if len(documents) > 1 else name, policy.reason)
        else:
            yield policy
