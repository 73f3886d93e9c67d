"""`callstream topics`: creates and checks the pipeline's topics and schemas. No other command creates any."""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, assert_never

import click

from app.commands.groups import CommandGroup
from app.commands.options import EXISTING_FILE
from app.kafka.client import client_config
from app.kafka.registry import SchemaRegistry
from app.operators.printing import echo, print_answer
from app.provision import subjects, topic_plan
from app.provision.lost_schemas import lost_subjects
from app.provision.rights import beyond, guarded_topics, reader_rules, rules_of
from app.provision.rights_admin import AccessAdmin
from app.provision.sizing import Sizing, sized_topics
from app.provision.subjects import MissingSubject, Registered, SubjectRefusal, SubjectState
from app.provision.topic_admin import TopicAdmin
from app.provision.topic_plan import Adjust, Create, Decision, FoundTopic, Keep, TopicRefusal, WantedTopic
from app.settings import Settings, load
from schemas.topics import TOPICS, Access, is_version

DIFFERS = 1
"""Exit code if something is not as it should be, or was refused."""


_REFUSED = "refused"

_WAYS_OUT = (
    "callstream topics: these cannot be changed without breaking the order or the content of a topic's records. Use "
    "the values that the topic has, move the topic away, or set another CALLSTREAM_TOPIC_PREFIX. docs/kafka.md has the "
    "way to more partitions."
)


@dataclass(frozen=True, slots=True)
class _Session:
    """Both servers and what should be on them."""

    settings: Settings
    admin: TopicAdmin
    registry: SchemaRegistry
    sizing: Sizing
    wanted: tuple[WantedTopic, ...]

    def decide(self) -> tuple[Decision, ...]:
        return topic_plan.decide(self.wanted, self.admin.existing([one.name for one in self.wanted]))

    def public_topics(self) -> list[str]:
        """Full names of the topics whose records other teams may see."""
        return [one.name for one in self.wanted if one.topic.access is Access.PUBLIC]

    def versions(self) -> tuple[WantedTopic, ...]:
        """The topics that reprocessing has made beside the live ones."""
        prefix = self.settings.topic_prefix
        there = sorted(name.removeprefix(prefix) for name in self.admin.names() if name.startswith(prefix))
        versions = [replace(topic, name=name) for name in there for topic in TOPICS if is_version(name, topic.name)]
        some = self.wanted[0]
        return topic_plan.wanted_topics(
            versions, prefix=prefix, partitions=some.partitions, replication_factor=some.replicas
        )

    def inspect(self) -> tuple[SubjectState, ...]:
        return subjects.inspect(self.registry, TOPICS, self.settings.topic_prefix)

    def lost(self, decisions: Iterable[Decision]) -> tuple[SubjectRefusal, ...]:
        """Subjects that the registry had once, by the records of topics that exist."""
        existing = {one.wanted.name for one in decisions if not isinstance(one, Create)}
        return tuple(lost_subjects(self.settings, self.registry, existing))


def _user_names(_context: click.Context, _option: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a name whose groups could be those of the pipeline, or that Kafka would read as a pattern."""
    for name in names:
        if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
            raise click.BadParameter(f"{name!r} is not a user name: use letters, digits, '_' and '-' only")
    return names


def _open(partitions: int | None, replication_factor: int | None) -> _Session:
    settings = load()
    admin = TopicAdmin(client_config(settings))
    sizing, wanted = sized_topics(settings, admin, partitions=partitions, replicas=replication_factor)
    return _Session(settings, admin, SchemaRegistry.from_settings(settings), sizing, wanted)


_partitions = click.option(
    "--partitions",
    type=click.IntRange(1, 1024),
    help="Partitions of every topic. Default: CALLSTREAM_PARTITIONS, or what the topics have, or 12 on three brokers "
    "or more and 4 on fewer.",
)
_replication_factor = click.option(
    "--replication-factor",
    type=click.IntRange(1, 7),
    help="Replicas of every new topic. Default: CALLSTREAM_REPLICATION_FACTOR, or 3 on three brokers or more and 1 on "
    "fewer.",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


@click.group(name="topics", cls=CommandGroup)
def command() -> None:
    """Create and check topics and schemas.

    The servers are those of CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS and CALLSTREAM_SCHEMA_REGISTRY_URL.

    \b
    Exit codes:
      0  everything is as it should be
      1  something is not, or was refused
      2  wrong options or settings, or a server cannot be used
    Example:
      callstream topics apply --partitions 12 --replication-factor 3
    """


@command.command(short_help="Create missing schemas and topics")
@_partitions
@_replication_factor
@click.option(
    "--reader",
    "readers",
    multiple=True,
    metavar="USER",
    callback=_user_names,
    help="Let this Kafka user read the public topics, in groups named USER.*; may be repeated.",
)
@_json
def apply(partitions: int | None, replication_factor: int | None, readers: tuple[str, ...], as_json: bool) -> None:
    """Create missing schemas, and then missing topics. You can run it as often as you like.

    A topic with another partition count or cleanup policy is refused. So is a schema that is not compatible with the
    one in the registry, and so are all schemas if the registry has lost those that records were written with. If
    anything is refused, nothing is created.

    New topics get as many partitions as existing ones have. Where none exists, three brokers or more give 12 partitions
    and 3 replicas, of which 2 must be in sync; fewer brokers give 4 partitions and 1 replica.

    \b
    Exit codes:
      0  everything is as it should be
      1  something was refused
      2  wrong options or settings, or a server cannot be used
    Example:
      callstream topics apply --partitions 12 --replication-factor 3
    """
    session = _open(partitions, replication_factor)
    decisions = session.decide()
    if any(isinstance(one, TopicRefusal) for one in decisions):
        _report(session, decisions, session.inspect(), as_json=as_json, done=False)
        return
    lost = session.lost(decisions)
    if lost:
        _report(session, decisions, lost, as_json=as_json, done=False)
        return
    states = subjects.register(session.registry, TOPICS, session.settings.topic_prefix)
    if any(isinstance(one, SubjectRefusal) for one in states):
        _report(session, decisions, states, as_json=as_json, done=False)
        return
    session.admin.carry_out(decisions)
    if readers:
        rules = [rule for reader in readers for rule in reader_rules(reader, session.public_topics())]
        AccessAdmin(client_config(session.settings)).add(rules)
    # another client may have made a topic after we looked, and with other options than ours
    conflicts = tuple(one for one in session.decide() if isinstance(one, TopicRefusal))
    _report(session, conflicts or decisions, states, as_json=as_json, done=True)


@command.command(short_help="Say what `topics apply` would do")
@_partitions
@_json
def check(partitions: int | None, as_json: bool) -> None:
    """Say what `topics apply` would do, and change nothing.

    \b
    Exit codes:
      0  there is nothing to do
      1  something is missing, differs or would be refused
      2  wrong options or settings, or a server cannot be used
    Example:
      callstream topics check --json
    """
    session = _open(partitions, None)
    decisions = session.decide()
    _report(session, decisions, session.lost(decisions) or session.inspect(), as_json=as_json, done=False)


@command.command(name="list", short_help="List the pipeline's topics and their versions")
@_json
def list_topics(as_json: bool) -> None:
    """List the pipeline's topics, existing or not, and then the versions that `reprocess` made.

    \b
    Exit codes:
      0  listed
      2  wrong options or settings, or a server cannot be used
    Example:
      callstream topics list
    """
    session = _open(None, None)
    listed = (*session.wanted, *session.versions())
    found = session.admin.existing([one.name for one in listed])
    rows = [_listed_row(one, found.get(one.name)) for one in listed]
    print_answer({"topics": rows}, _listed_lines(rows), as_json=as_json)


def _listed_row(one: WantedTopic, found: FoundTopic | None) -> dict[str, Any]:
    config = (found or one).config
    return {
        "topic": one.name,
        "exists": found is not None,
        "partitions": found and found.partitions,
        "replicas": found and found.replicas,
        "cleanup_policy": config["cleanup.policy"],
        "retention_ms": int(config.get("retention.ms", "-1")) if "delete" in config["cleanup.policy"] else None,
        "max_message_bytes": int(config["max.message.bytes"]),
        "restricted": one.topic.restricted,
        "access": one.topic.access,
        "schema": one.topic.value_schema,
    }


def _listed_lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    width = max(len(row["topic"]) for row in rows)
    for row in rows:
        size = f"{row['partitions']:>4} partitions" if row["exists"] else "     missing    "
        line = (
            f"{row['topic']:<{width}}  {size}  {row['cleanup_policy']:<14}  {row['access']:<10}  {row['schema'] or ''}"
        )
        yield line.rstrip()


@command.command(short_help="Give users their rights, and find who has more")
@click.argument("file", type=EXISTING_FILE)
@click.option("--check", is_flag=True, help="Say what would be done, and change nothing.")
@click.option("--revoke", is_flag=True, help="Take away rights to guarded topics that FILE does not name.")
@_json
def allow(*, file: Path, check: bool, revoke: bool, as_json: bool) -> None:
    """Give the users in FILE the Kafka rights that it names, and find everybody else who reaches a guarded topic.

    FILE is TOML; begin with deploy/kafka/acls.toml. Missing rights are made. Guarded topics are those before the
    privacy stage and those that only the stages use. A right to one of them that FILE does not name is printed, and
    with --revoke it is taken away. That includes rights to all topics, or to all topics with a common beginning. Kafka
    must have an authorizer.

    \b
    Exit codes:
      0  Kafka has every right that FILE names, and no more for guarded topics
      1  it has not
      2  wrong options or settings, a wrong FILE, or Kafka refuses or cannot be used
    Example:
      callstream topics allow deploy/kafka/acls.toml
      callstream topics allow deploy/kafka/acls.toml --check
    """
    settings = load()
    wanted = rules_of(file, settings.topic_prefix)
    client = client_config(settings)
    admin, there = AccessAdmin(client), TopicAdmin(client).names()
    missing = wanted - admin.there(wanted)
    strange = beyond(wanted, admin.on_topics(guarded_topics(settings.topic_prefix, there)))
    if missing == wanted and not strange:  # Kafka without an authorizer has no rules, and says so only to a change
        admin.demand_authorizer()
    if not check:
        admin.add(missing)
        if revoke:
            admin.remove(strange)
    left = [*(missing if check else ()), *(strange if check or not revoke else ())]
    lines = [
        *(f"{rule}: {'missing' if check else 'made'}" for rule in sorted(missing)),
        *(f"{rule}: not in {file}{', taken away' if revoke and not check else ''}" for rule in strange),
        f"{len(wanted) - len(missing)} of {len(wanted)} rules were there",
    ]
    document = {"missing": sorted(missing), "not_in_file": strange, "changed": not check}
    print_answer(document, lines, as_json=as_json)
    sys.exit(DIFFERS if left else 0)


def _report(
    session: _Session,
    decisions: tuple[Decision, ...],
    states: Sequence[SubjectState],
    *,
    as_json: bool,
    done: bool,
) -> None:
    """Print what was found or done. Exits with 1 if something is not as it should be."""
    topics = [_topic_line(one, done=done) for one in decisions]
    schemas = [_schema_line(one, done=done) for one in states]
    shown = [line for line in topics + schemas if line["state"] != _REFUSED]  # those are said below, with the reason
    document = {"chosen": _chosen(session.sizing), "topics": topics, "schemas": schemas}
    print_answer(document, [*_choices(session.sizing, decisions, done=done), *map(_sentence, shown)], as_json=as_json)
    refusals = [one for one in decisions if isinstance(one, TopicRefusal)]
    faults = [*_together(refusals), *(str(one) for one in states if isinstance(one, SubjectRefusal))]
    for fault in faults:
        echo(f"callstream topics: {fault}", err=True)
    if refusals:
        echo(_WAYS_OUT, err=True)
    if faults or not (done or all(isinstance(one, Keep | Registered) for one in (*decisions, *states))):
        sys.exit(DIFFERS)


def _chosen(sizing: Sizing) -> dict[str, object]:
    return {
        "brokers": sizing.brokers,
        "partitions": sizing.partitions,
        "partitions_from": sizing.reason,
        "replication_factor": sizing.replicas,
        "min_insync_replicas": sizing.in_sync,
    }


def _choices(sizing: Sizing, decisions: Sequence[Decision], *, done: bool) -> Iterator[str]:
    """What new topics have or would have, because it is hard to change."""
    new = sum(isinstance(one, Create) for one in decisions)
    if new:
        yield (
            f"{new} new topics {'have' if done else 'would have'} {sizing}. A count of partitions cannot be changed "
            "later without a new CALLSTREAM_TOPIC_PREFIX: it is the most workers that a stage can have"
        )


def _together(refusals: Iterable[TopicRefusal]) -> Iterator[str]:
    """One line for topics that are refused for one reason."""
    names: dict[tuple[str, str, str], list[str]] = {}
    for one in refusals:
        names.setdefault((one.option, one.found, one.want), []).append(one.wanted.name)
    for (option, found, want), topics in names.items():
        who = f"topic {topics[0]} has" if len(topics) == 1 else f"{len(topics)} topics have"
        more = "" if len(topics) == 1 else f": {', '.join(topics)}"
        yield f"{who} {option} {found}, wanted is {want}{more}"


def _sentence(line: Mapping[str, object]) -> str:
    (_, name), (_, state), *details = line.items()
    return f"{name}: {state}" + "".join(f", {what} {value}" for what, value in details)


def _topic_line(decision: Decision, *, done: bool) -> dict[str, object]:
    name, partitions = decision.wanted.name, decision.wanted.partitions
    match decision:
        case Create():
            return {"topic": name, "state": "created" if done else "missing", "partitions": partitions}
        case Adjust(_, changes, found):
            options = ", ".join(f"{option} {found[option]} -> {value}" for option, value in changes.items())
            return {"topic": name, "state": "adjusted" if done else "differs", "change": options}
        case Keep():
            return {"topic": name, "state": "unchanged" if done else "ok"}
        case TopicRefusal(_, option, want, found_value):
            return {"topic": name, "state": _REFUSED, "has": f"{option} {found_value}", "wanted": want}
        case _:
            assert_never(decision)


def _schema_line(state: SubjectState, *, done: bool) -> dict[str, object]:
    match state:
        case Registered(name, schema_id, new):
            said = "registered" if new else "unchanged" if done else "ok"
            return {"subject": name, "state": said, "id": schema_id}
        case MissingSubject(name):
            return {"subject": name, "state": "missing"}
        case SubjectRefusal(name, reason):
            return {"subject": name, "state": _REFUSED, "reason": reason}
        case _:
            assert_never(state)
