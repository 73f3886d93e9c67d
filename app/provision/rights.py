"""Who may do what on Kafka, as a file says it: the access rules for the pipeline's topics and groups.

The file names users, topics and groups as people do; `Rule` is Kafka's form, prefix included. A topic that the pipeline
does not have is an error, because a typing mistake would otherwise grant nothing and nobody would notice.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from agents.toml_text import MAX_TOML_BYTES, parse_toml
from app.operators.errors import OperatorError
from app.operators.regular_files import read_regular_text
from schemas.topics import RETRY_GROUP, TOPICS, Stage, live_name

_TOPICS: Final = {
    "read": "READ",
    "write": "WRITE",
    "describe": "DESCRIBE",
    "options": "DESCRIBE_CONFIGS",
    "create": "CREATE",
    "set_options": "ALTER_CONFIGS",
}
_GROUPS: Final = {"groups": "READ", "describe_groups": "DESCRIBE"}
_CLUSTER: Final = "cluster"
_CLUSTER_OPERATIONS: Final = {"rights": "DESCRIBE", "set_rights": "ALTER", "options": "DESCRIBE_CONFIGS"}
_CLUSTER_NAME: Final = "kafka-cluster"
_KEYS: Final = (*_TOPICS, *_GROUPS, _CLUSTER)


class AccessFileError(OperatorError):
    """The file cannot be used. The message names the file, the user and what is wrong."""


class Rule(NamedTuple):
    """One permission. `prefixed`: for all names that begin with `name`.

    `operation` is Kafka's word: READ, WRITE, CREATE, DESCRIBE, which shows where a topic ends, what a group committed
    and which rights there are, ALTER, which changes rights, DESCRIBE_CONFIGS and ALTER_CONFIGS for options.
    """

    user: str
    kind: str
    """TOPIC, GROUP, or BROKER for the cluster, as Kafka's clients call it."""
    name: str
    operation: str
    prefixed: bool = False

    def __str__(self) -> str:
        names = f"every {self.kind.lower()} that begins with {self.name}" if self.prefixed else self.name
        return f"{self.user} may {self.operation} {names}"


def rules_of(path: Path, prefix: str) -> frozenset[Rule]:
    """The rules in a file, with `prefix` in front of the pipeline's own names. Raises AccessFileError."""
    try:
        content = parse_toml(read_regular_text(path, MAX_TOML_BYTES))
    except OSError as error:
        raise AccessFileError(f"{path}: {error.strerror or error}") from None
    except ValueError as error:
        raise AccessFileError(f"{path}: {error}") from None
    return frozenset(rule for user, table in content.items() for rule in _rules_of_user(path, user, table, prefix))


def _rules_of_user(path: Path, user: str, table: Any, prefix: str) -> Iterator[Rule]:
    if not isinstance(table, Mapping):
        raise AccessFileError(f"{path}: {user} must be a table with {', '.join(_KEYS)}")
    for key, names in table.items():
        if key not in _KEYS or not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise AccessFileError(f"{path}: [{user}] may have {', '.join(_KEYS)}, each a list of names; not {key}")
        for name in names:
            if key == _CLUSTER:
                yield _cluster_rule(path, user, name)
            elif key in _GROUPS:
                yield _group_rule(user, key, name, prefix)
            else:
                yield _topic_rule(path, user, key, name, prefix)


def _cluster_rule(path: Path, user: str, name: str) -> Rule:
    if name not in _CLUSTER_OPERATIONS:
        raise AccessFileError(f"{path}: [{user}] {_CLUSTER}: write {', '.join(_CLUSTER_OPERATIONS)}; not {name}")
    return Rule(user, "BROKER", _CLUSTER_NAME, _CLUSTER_OPERATIONS[name])


def _topic_rule(path: Path, user: str, key: str, name: str, prefix: str) -> Rule:
    if live_name(name) not in {topic.name for topic in TOPICS}:
        raise AccessFileError(f"{path}: [{user}] {key}: the pipeline has no topic {name}")
    return Rule(user, "TOPIC", prefix + name, _TOPICS[key])


def _group_rule(user: str, key: str, name: str, prefix: str) -> Rule:
    own = {RETRY_GROUP, *(stage.group for stage in Stage)}
    full = (prefix if live_name(name) in own else "") + name.removesuffix("*")
    return Rule(user, "GROUP", full, _GROUPS[key], name.endswith("*"))


def reader_rules(user: str, topics: Iterable[str]) -> list[Rule]:
    """What lets a user read topics, named in full, in groups whose names begin with the user's name and a dot.

    A user who may use any group could commit offsets for the pipeline's own, and make it skip records.
    """
    return [*(Rule(user, "TOPIC", name, "READ") for name in topics), Rule(user, "GROUP", f"{user}.", "READ", True)]


def guarded_topics(prefix: str, there: Iterable[str] = ()) -> tuple[str, ...]:
    """Full names of topics that hold private data or are for the pipeline alone: nobody else may use them.

    `there` are full names of the cluster's topics; versions of guarded topics among them are guarded too.
    """
    guarded = {prefix + topic.name for topic in TOPICS if topic.restricted or topic.value_schema is None}
    ours = {name for name in there if name.startswith(prefix)}
    versions = {name for name in ours if prefix + live_name(name.removeprefix(prefix)) in guarded}
    return tuple(sorted(guarded | versions))


def beyond(wanted: frozenset[Rule], found: Iterable[Rule]) -> list[Rule]:
    """Rules found on guarded topics that the file does not have."""
    return sorted(set(found) - wanted)
