"""Checks of the cluster and the registry: brokers, topics, schemas.

The checks decide as `callstream topics apply` does, and change nothing. A server that does not answer is one failure
that names its address.
"""

import ipaddress
import time
from collections.abc import Iterator
from typing import Final, assert_never
from urllib.parse import urlsplit

from app.doctor.findings import CheckFinding, fail, ok, warn
from app.doctor.writers_check import check_writers
from app.kafka.client import (
    AdminConnection,
    KafkaUnreachableError,
    KafkaUnusableError,
    client_config,
    partition_count,
)
from app.kafka.group_members import member_names
from app.kafka.login import token_source
from app.kafka.registry import RegistryError, SchemaRegistry
from app.provision import subjects, topic_plan
from app.provision.lost_schemas import lost_subjects
from app.provision.sizing import single_copies, sized_topics
from app.provision.subjects import LEVEL, MissingSubject, Registered, SubjectRefusal
from app.provision.topic_admin import TopicAdmin
from app.provision.topic_plan import Adjust, Create, Keep, TopicRefusal
from app.settings import Settings
from app.stages.hot_symbols.advertising import conflict
from app.stages.hot_symbols.ownership import published_owners
from app.topology import shape_of
from schemas.topics import OWNERS, TOPICS, Stage

_SECONDS: Final = 8.0
_APPLY: Final = "run: callstream topics apply"
_LOCAL_NAMES: Final = frozenset({"localhost", ""})


def check_kafka(settings: Settings) -> Iterator[CheckFinding]:
    """Whether brokers answer, and whether the connection to them is protected."""
    where = settings.kafka_bootstrap_servers
    is_local = all(map(_is_local, where.split(",")))
    try:
        metadata = AdminConnection(client_config(settings)).metadata(_SECONDS)
    except (KafkaUnreachableError, KafkaUnusableError) as error:
        yield fail(str(error), _start_or_reach("Kafka", "CALLSTREAM_KAFKA_*", is_local=is_local))
        return
    yield ok(f"{len(metadata.brokers)} brokers answer at {where}, cluster {metadata.cluster_id}")
    if (source := token_source(settings)) is not None:
        yield ok(f"a login by token, good for {source.token().expires_at - time.time():.0f} s, and then a new one")
    if settings.kafka_security_protocol in {"PLAINTEXT", "SASL_PLAINTEXT"} and not is_local:
        yield warn(
            f"records travel to {where} unencrypted, and two of the topics hold private data",
            "set CALLSTREAM_KAFKA_SECURITY_PROTOCOL to SSL or SASL_SSL",
        )
    yield from check_writers(settings, is_local=is_local)
    yield from _check_workers(settings)


def _check_workers(settings: Settings) -> Iterator[CheckFinding]:
    """Whether the hot-symbols workers that run now would query themselves instead of each other."""
    if settings.hot_symbols_port is None:
        return
    group = settings.name(shape_of(Stage.HOT_SYMBOLS).group)
    try:
        live = member_names(settings, group)
        count = partition_count(settings, settings.name(OWNERS), _SECONDS)
    except (KafkaUnreachableError, KafkaUnusableError):
        return  # the findings on topics say it
    owners = [one for one in published_owners(settings, count).values() if one.worker in live]
    for owner in {one.worker: one for one in owners}.values():
        problem = conflict(owner, owners, live)
        if problem is not None:
            yield fail(f"{owner.worker}: {problem}", "set it, and start that worker again")
            return
    if live:
        yield ok(f"{len(live)} hot-symbols workers can query each other, by what they advertise")


def check_topics(settings: Settings) -> Iterator[CheckFinding]:
    """Whether every topic exists and is as it must be."""
    try:
        admin = TopicAdmin(client_config(settings))
        sizing, wanted = sized_topics(settings, admin)
        existing = admin.existing([one.name for one in wanted])
    except (KafkaUnreachableError, KafkaUnusableError) as error:
        yield fail(str(error), "see the findings on kafka")
        return
    kept = 0
    missing: list[str] = []
    for decision in topic_plan.decide(wanted, existing):
        match decision:
            case Keep():
                kept += 1
            case Create(one):
                missing.append(one.name)
            case Adjust(one, changes, found):
                options = ", ".join(f"{name} {found[name]}, wanted {value}" for name, value in changes.items())
                yield fail(f"topic {one.name} has {options}", _APPLY)
            case TopicRefusal():
                yield fail(str(decision), _way_out(decision))
            case _:
                assert_never(decision)
    if missing:
        yield fail(f"{len(missing)} of {len(wanted)} topics are missing: {', '.join(missing)}", _APPLY)
    if kept:
        yield ok(f"{kept} of {len(wanted)} topics are as they should be")
    if alone := single_copies(sizing, existing):
        yield warn(
            f"{len(alone)} topics have one replica on {sizing.brokers} brokers: {', '.join(alone)}",
            "give them more with kafka-reassign-partitions",
        )


def check_registry(settings: Settings) -> Iterator[CheckFinding]:
    """Whether every schema is registered or would be taken, and whether later versions are checked."""
    try:
        with SchemaRegistry.from_settings(settings) as registry:
            for lost in _lost_subjects(settings, registry):
                yield fail(str(lost), "do not register them again")
            yield from _check_subjects(registry, settings.topic_prefix)
    except (RegistryError, OSError) as error:
        is_local = _is_local(urlsplit(settings.schema_registry_url).netloc.rpartition("@")[2])
        yield fail(str(error), _start_or_reach("the registry", "CALLSTREAM_SCHEMA_REGISTRY_*", is_local=is_local))


def _lost_subjects(settings: Settings, registry: SchemaRegistry) -> Iterator[SubjectRefusal]:
    """Subjects that the registry had once; none while no broker answers, which the findings on kafka say."""
    try:
        existing = TopicAdmin(client_config(settings)).names()
        yield from lost_subjects(settings, registry, existing)
    except (KafkaUnreachableError, KafkaUnusableError):
        return


def _check_subjects(registry: SchemaRegistry, prefix: str) -> Iterator[CheckFinding]:
    registered, missing = list[str](), list[str]()
    for state in subjects.inspect(registry, TOPICS, prefix):
        match state:
            case Registered(name):
                registered.append(name)
            case MissingSubject(name):
                missing.append(name)
            case SubjectRefusal():
                yield fail(str(state), "another version of callstream wrote there; set another CALLSTREAM_TOPIC_PREFIX")
            case _:
                assert_never(state)
    if missing:
        yield fail(f"{len(missing)} subjects do not have our schema: {', '.join(missing)}", _APPLY)
    for name in registered:
        if (level := registry.compatibility(name)) != LEVEL:
            yield warn(f"subject {name} is held to {level or 'the registry default'}, not {LEVEL}", _APPLY)
    if registered:
        schemas = sum(topic.value_schema is not None for topic in TOPICS)
        yield ok(f"{len(registered)} of {schemas} schemas are registered, and compatible with their versions")


def _start_or_reach(server: str, variables: str, *, is_local: bool) -> str:
    """`callstream broker` is for a try-out: only there does anybody expect the server on this host."""
    if is_local:
        return f"start {server} on this host, or set {variables}; for a try-out run: callstream broker"
    return f"see {variables}: is {server} up, does this host reach it, and does it take this login?"


def _way_out(refusal: TopicRefusal) -> str:
    if refusal.option == "partition count":
        return f"set CALLSTREAM_PARTITIONS={refusal.found} if that is meant; a count cannot be changed in place"
    if refusal.option == "message.timestamp.type":
        return "set it back with kafka-configs: derived records must keep the time of receipt"
    return "move the topic away, or set another CALLSTREAM_TOPIC_PREFIX"


def _is_local(server: str) -> bool:
    try:
        host = urlsplit(f"//{server.strip()}").hostname or ""
    except ValueError:
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in _LOCAL_NAMES
