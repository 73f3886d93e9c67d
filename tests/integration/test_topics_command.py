"""`callstream topics` against a real broker and a real registry."""

import json
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner, Result
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from app.__main__ import cli
from app.embedded.broker import EmbeddedBroker
from app.kafka.registry import Fault, RegistryError, SchemaRegistry
from app.provision.topic_admin import TopicAdmin
from app.provision.topic_plan import Decision
from schemas import topics
from schemas.records import NAMES, schema_text
from schemas.topics import TOPICS, subject
from tests.support.registry_subjects import subjects_of

pytestmark = pytest.mark.integration


@dataclass(frozen=True, slots=True)
class _Topics:
    """The command with its environment, and both servers read directly."""

    broker: EmbeddedBroker
    prefix: str
    admin: AdminClient
    registry: SchemaRegistry

    def run(self, *arguments: str, **environment: str) -> Result:
        settings = {
            "CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS": self.broker.bootstrap_servers,
            "CALLSTREAM_SCHEMA_REGISTRY_URL": self.broker.registry_url,
            "CALLSTREAM_TOPIC_PREFIX": self.prefix,
        }
        return CliRunner().invoke(cli, ["topics", *arguments], env=settings | environment)

    def create(self, name: str, partitions: int = 4, **config: str) -> None:
        full = self.prefix + name
        options = {option.replace("_", "."): value for option, value in config.items()}
        self.admin.create_topics([NewTopic(full, partitions, 1, config=options)])[full].result(30)
        while full not in self.admin.list_topics(timeout=10).topics:  # the answer may come before all can see it
            time.sleep(0.01)

    def partitions(self) -> dict[str, int]:
        """Partition counts of the topics with our prefix."""
        found = self.admin.list_topics(timeout=10).topics
        return {
            name.removeprefix(self.prefix): len(topic.partitions)
            for name, topic in found.items()
            if name.startswith(self.prefix)
        }

    def option(self, topic: str, option: str) -> str:
        resource = ConfigResource(ResourceType.TOPIC, self.prefix + topic)
        return str(self.admin.describe_configs([resource])[resource].result(10)[option].value)

    def states(self, output: str) -> dict[str, str]:
        """State of every topic and subject in the command's JSON, without prefix."""
        document = json.loads(output)
        rows = [(row["topic"], row["state"]) for row in document["topics"]]
        rows += [(row["subject"], row["state"]) for row in document["schemas"]]
        return {name.removeprefix(self.prefix): state for name, state in rows}


@pytest.fixture
def on_cluster(embedded: EmbeddedBroker, topic_prefix: str) -> _Topics:
    """The command on the shared broker, with names of its own."""
    admin = AdminClient({"bootstrap.servers": embedded.bootstrap_servers})
    return _Topics(embedded, topic_prefix, admin, SchemaRegistry(embedded.registry_url))


_SUBJECTS = {subject(topic.name) for topic in TOPICS if topic.value_schema}


def test_apply_makes_every_topic_and_registers_every_schema_once(on_cluster: _Topics) -> None:
    """The second run finds everything there; check agrees before and after."""
    before = on_cluster.run("check", "--json")
    assert before.exit_code == 1
    assert set(on_cluster.states(before.stdout).values()) == {"missing"}

    first = on_cluster.run("apply", "--partitions", "3", "--json")
    assert first.exit_code == 0, first.output
    states = on_cluster.states(first.stdout)
    assert states.keys() == {topic.name for topic in TOPICS} | _SUBJECTS
    assert {states[topic.name] for topic in TOPICS} == {"created"}
    assert {states[name] for name in _SUBJECTS} == {"registered"}
    assert on_cluster.partitions() == {topic.name: 3 for topic in TOPICS}

    second = on_cluster.run("apply", "--partitions", "3", "--json")
    assert second.exit_code == 0
    assert set(on_cluster.states(second.stdout).values()) == {"unchanged"}
    after = on_cluster.run("check", "--partitions", "3")
    assert (after.exit_code, after.stderr) == (0, "")


def test_made_topics_have_the_options_that_the_pipeline_needs(on_cluster: _Topics) -> None:
    """Tables are compacted, raw events of 16 MiB fit, timestamps stay what the producer says."""
    assert on_cluster.run("apply").exit_code == 0
    assert on_cluster.option(topics.HOT_SYMBOLS, "cleanup.policy") == "compact"
    assert on_cluster.option(topics.RAW, "cleanup.policy") == "delete"
    assert on_cluster.option(topics.RAW, "retention.ms") == str(7 * topics.DAY_MS)
    assert int(on_cluster.option(topics.RAW, "max.message.bytes")) > topics.MAX_EVENT_BYTES
    assert on_cluster.option(topics.CANONICAL, "message.timestamp.type") == "CreateTime"
    changelog = topics.changelog(topics.Stage.HOT_SYMBOLS, topics.HOT_SYMBOLS_TABLE)
    assert on_cluster.option(changelog, "cleanup.policy") == "compact"


def test_a_wrong_partition_count_is_refused_and_nothing_is_changed(on_cluster: _Topics) -> None:
    """The message has the topic, both counts and the ways out; no other topic and no schema appears."""
    on_cluster.create(topics.CALLS, partitions=2, cleanup_policy="delete")
    refused = on_cluster.run("apply", "--partitions", "4")
    assert refused.exit_code == 1
    assert f"topic {on_cluster.prefix}runtime.calls has partition count 2, wanted is 4" in refused.stderr
    assert "CALLSTREAM_TOPIC_PREFIX" in refused.stderr
    assert on_cluster.partitions() == {topics.CALLS: 2}
    assert not any(name.startswith(on_cluster.prefix) for name in subjects_of(on_cluster.broker.registry_url))
    assert on_cluster.run("apply", "--partitions", "2").exit_code == 0


def test_the_count_of_existing_topics_is_respected(on_cluster: _Topics) -> None:
    """Without an option, missing topics get it; the output says what was chosen, why, and what cannot be undone."""
    on_cluster.create(topics.RAW, partitions=2)
    applied = on_cluster.run("apply")
    assert applied.exit_code == 0, applied.output
    assert set(on_cluster.partitions().values()) == {2}
    assert "2 partitions (as the topics that exist) and 1 replica. A count of partitions cannot be" in applied.stdout
    assert on_cluster.run("check").exit_code == 0
    refused = on_cluster.run("apply", "--partitions", "8")
    told = [line for line in refused.stderr.splitlines() if "has partition count" in line or "have partition" in line]
    assert told == [line for line in told if f"{len(TOPICS)} topics have partition count 2, wanted is 8: " in line]
    assert len(told) == 1
    assert "docs/kafka.md" in refused.stderr


def test_a_single_broker_gets_what_its_rule_says(on_cluster: _Topics) -> None:
    """JSON has the choice, also where nothing was done."""
    chosen = json.loads(on_cluster.run("check", "--json").stdout)["chosen"]
    assert chosen == {
        "brokers": 1,
        "partitions": 4,
        "partitions_from": "rule",
        "replication_factor": 1,
        "min_insync_replicas": 1,
    }


def test_a_wrong_cleanup_policy_is_refused(on_cluster: _Topics) -> None:
    """A table's topic that forgets old keys would lose counts."""
    on_cluster.create(topics.HOT_SYMBOLS, cleanup_policy="delete")
    refused = on_cluster.run("apply", "--json")
    assert refused.exit_code == 1
    assert "runtime.hot-symbols has cleanup.policy delete, wanted is compact" in refused.stderr
    assert on_cluster.states(refused.stdout)[topics.HOT_SYMBOLS] == "refused"


def test_a_limit_that_would_lose_large_events_is_raised(on_cluster: _Topics) -> None:
    """An existing raw topic is made to take 16 MiB; its retention stays the operator's."""
    on_cluster.create(topics.RAW, max_message_bytes="1000000", retention_ms="12345")
    assert on_cluster.states(on_cluster.run("check", "--json").stdout)[topics.RAW] == "differs"
    applied = on_cluster.run("apply")
    assert applied.exit_code == 0, applied.output
    assert f"{topics.RAW}: adjusted, change max.message.bytes 1000000 -> " in applied.stdout
    assert int(on_cluster.option(topics.RAW, "max.message.bytes")) > topics.MAX_EVENT_BYTES
    assert on_cluster.option(topics.RAW, "retention.ms") == "12345"


def test_a_schema_that_the_registry_refuses_is_named_with_its_reason(on_cluster: _Topics) -> None:
    """An incompatible earlier version stops everything: no topic is made, no other schema is registered."""
    name = on_cluster.prefix + subject(topics.HOT_SYMBOLS)
    earlier = json.loads(schema_text("hot_symbol"))
    earlier["fields"].append({"name": "was_required", "type": "string"})
    on_cluster.registry.register(name, json.dumps(earlier))
    refused = on_cluster.run("apply")
    assert refused.exit_code == 1
    assert f"subject {name}: the registry refuses the schema: " in refused.stderr
    assert "was_required" in refused.stderr
    assert on_cluster.partitions() == {}
    assert [one for one in subjects_of(on_cluster.broker.registry_url) if one.startswith(on_cluster.prefix)] == [name]
    checked = on_cluster.run("check", "--json")
    assert on_cluster.states(checked.stdout)[subject(topics.HOT_SYMBOLS)] == "refused"


@pytest.mark.parametrize("name", NAMES)
def test_registered_schemas_are_held_to_full_compatibility(on_cluster: _Topics, name: str) -> None:
    """A later field with a default is taken, one without is refused: readers and writers may be a year apart."""
    topic = next(one for one in TOPICS if one.value_schema == name)
    assert on_cluster.run("apply").exit_code == 0
    registry, full_name = on_cluster.registry, on_cluster.prefix + subject(topic.name)
    later = json.loads(schema_text(name))
    later["fields"].append({"name": "later", "type": ["null", "string"], "default": None})
    assert registry.incompatibilities(full_name, json.dumps(later)) is None
    later["fields"][-1] = {"name": "later", "type": "string"}
    assert registry.incompatibilities(full_name, json.dumps(later)) is not None
    with pytest.raises(RegistryError, match=full_name) as caught:
        registry.register(full_name, json.dumps(later))
    assert caught.value.fault is Fault.SCHEMA_REFUSED


def test_the_registry_gives_back_the_schemas_by_id(on_cluster: _Topics) -> None:
    """A consumer that finds an id in a record gets the schema that we registered."""
    document = json.loads(on_cluster.run("apply", "--json").stdout)
    by_subject = {row["subject"].removeprefix(on_cluster.prefix): row["id"] for row in document["schemas"]}
    for topic in TOPICS:
        if topic.value_schema:
            schema = on_cluster.registry.schema(by_subject[subject(topic.name)])
            assert json.loads(schema) == json.loads(schema_text(topic.value_schema))


def test_list_shows_what_is_there_and_what_is_not(on_cluster: _Topics) -> None:
    """Every topic of the pipeline is listed, with its access and schema."""
    on_cluster.create(topics.RAW, partitions=2)
    rows = {row["topic"]: row for row in json.loads(on_cluster.run("list", "--json").stdout)["topics"]}
    assert rows.keys() == {on_cluster.prefix + topic.name for topic in TOPICS}
    raw, calls = rows[on_cluster.prefix + topics.RAW], rows[on_cluster.prefix + topics.CALLS]
    assert (raw["exists"], raw["partitions"], raw["restricted"]) == (True, 2, True)
    assert (calls["exists"], calls["restricted"], calls["schema"]) == (False, False, "runtime_call_event")
    text = on_cluster.run("list").stdout
    assert len(text.splitlines()) == len(TOPICS)


def test_unreachable_servers_are_named(on_cluster: _Topics) -> None:
    """Exit code 2 and the address, for the registry as for the brokers; nothing is made."""
    no_registry = on_cluster.run("apply", CALLSTREAM_SCHEMA_REGISTRY_URL="http://127.0.0.1:1/registry")
    assert no_registry.exit_code == 2
    assert "no schema registry answers at http://127.0.0.1:1/registry" in no_registry.stderr
    assert on_cluster.partitions() == {}
    no_broker = on_cluster.run("apply", CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert no_broker.exit_code == 2
    assert "no Kafka broker answers at 127.0.0.1:1" in no_broker.stderr


def test_a_registrys_address_without_its_path_is_told_with_it(on_cluster: _Topics) -> None:
    """The path that answers is named. With it, and behind an address where nobody listens, the command works."""
    parts = urlsplit(on_cluster.broker.registry_url)
    for path in ("", "/apis", "/subjects"):
        wrong = f"{parts.scheme}://{parts.netloc}{path}"
        refused = on_cluster.run("check", CALLSTREAM_SCHEMA_REGISTRY_URL=wrong)
        assert refused.exit_code == 2, refused.output
        assert f"set CALLSTREAM_SCHEMA_REGISTRY_URL={on_cluster.broker.registry_url}" in refused.stderr, refused.stderr
    several = f"http://127.0.0.1:1,{on_cluster.broker.registry_url}"
    assert on_cluster.run("apply", CALLSTREAM_SCHEMA_REGISTRY_URL=several).exit_code == 0


def test_a_topic_that_somebody_makes_in_the_meantime_is_checked_too(
    on_cluster: _Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A topic that appeared after the first look, with another partition count, is not reported as ours."""
    carry_out = TopicAdmin.carry_out

    def late(admin: TopicAdmin, decisions: tuple[Decision, ...]) -> None:
        on_cluster.create(topics.CALLS, partitions=2)
        carry_out(admin, decisions)

    monkeypatch.setattr(TopicAdmin, "carry_out", late)
    refused = on_cluster.run("apply")
    assert refused.exit_code == 1
    assert "runtime.calls has partition count 2, wanted is 4" in refused.stderr


def test_a_reader_needs_a_broker_with_access_control_and_a_plain_name(on_cluster: _Topics) -> None:
    """Where Kafka checks nobody, a grant would be a false promise; a pattern is not a name."""
    open_broker = on_cluster.run("apply", "--reader", "scoring")
    assert open_broker.exit_code == 2
    assert "user scoring cannot be allowed to read" in open_broker.stderr
    pattern = on_cluster.run("apply", "--reader", "*")
    assert pattern.exit_code == 2
    assert "'*' is not a user name" in pattern.stderr


@pytest.mark.parametrize("options", [(), ("--check",)])
def test_rights_on_brokers_that_enforce_none_are_refused(on_cluster: _Topics, options: tuple[str, ...]) -> None:
    """All rules would be missing, and in truth everybody may read everything."""
    refused = on_cluster.run("allow", "deploy/kafka/acls.toml", *options)

    assert refused.exit_code == 2, refused.output
    assert "set authorizer.class.name" in refused.output
    assert len(refused.output.splitlines()) == 1
