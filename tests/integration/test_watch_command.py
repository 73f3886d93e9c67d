"""`callstream watch` on a real topic: what is added is watched until it is removed, whoever added it."""

import json

import pytest
from click.testing import CliRunner, Result
from confluent_kafka import Producer

from app.__main__ import cli
from app.embedded.broker import EmbeddedBroker
from app.settings import from_env
from app.stages.worker import registered_id
from schemas import records, topics

pytestmark = pytest.mark.integration


def test_the_list_holds_what_was_added_by_anybody_and_not_removed(embedded: EmbeddedBroker, topic_prefix: str) -> None:
    """A second addition keeps the beginning, strange records are left out, exit code 1 says "not watched"."""
    environ = {
        "CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS": embedded.bootstrap_servers,
        "CALLSTREAM_SCHEMA_REGISTRY_URL": embedded.registry_url,
        "CALLSTREAM_TOPIC_PREFIX": topic_prefix,
    }
    made = CliRunner().invoke(cli, ["topics", "apply"], env=environ)
    assert made.exit_code == 0, made.output

    def ask(*arguments: str) -> Result:
        return CliRunner().invoke(cli, ["watch", *arguments], env=environ)

    def listed() -> dict[str, dict[str, object]]:
        return {one["watch_id"]: one for one in map(json.loads, ask("list", "--json").stdout.splitlines())}

    assert ask("list").exit_code == 1
    added = ask("add", "SSL_read@@OPENSSL_3.0.0", "--module", "/lib/libssl.so.3", "--vulnerability", "CVE-1", "--json")
    assert (added.exit_code, json.loads(added.stdout)["watch_id"]) == (0, "/usr/lib/libssl.so.3!SSL_read")
    again = json.loads(ask("add", "SSL_read", "--module", "/usr/lib/libssl.so.3", "--json").stdout)
    assert (again["state"], again["since_ns"]) == ("watched already", json.loads(added.stdout)["since_ns"])

    settings = from_env(environ)
    producer = Producer({"bootstrap.servers": embedded.bootstrap_servers})
    theirs = {"symbol": "inflate", "build_id": "ABCD0123", "module": None, "since_ns": 0, "vulnerability": None}
    value = records.encode(records.WATCH, registered_id(settings, topics.WATCH), theirs)
    producer.produce(settings.name(topics.WATCH), value, b"their own key", timestamp=1_700_000_000_000)
    producer.produce(settings.name(topics.WATCH), b"no watch at all", b"strange")
    assert producer.flush(30) == 0

    assert listed().keys() == {"/usr/lib/libssl.so.3!SSL_read", "abcd0123!inflate"}
    assert listed()["abcd0123!inflate"]["since_ns"] == 1_700_000_000 * 10**9
    assert listed()["/usr/lib/libssl.so.3!SSL_read"]["vulnerability"] == "CVE-1"
    assert ask("remove", "inflate").exit_code == 1
    assert ask("remove", "inflate", "--build-id", "abcd0123").exit_code == 0
    assert listed().keys() == {"/usr/lib/libssl.so.3!SSL_read"}

    theirs = {"symbol": "not one that the CLI adds\t", "module": None, "vulnerability": None}
    for key, longer in ((b"odd", {}), (b"big", {"symbol": "f" * 4_097}), (b"bigger", {"symbol": "f" * 450_000})):
        value = records.encode(records.WATCH, registered_id(settings, topics.WATCH), theirs | longer)
        producer.produce(settings.name(topics.WATCH), value, key)
    assert producer.flush(30) == 0
    odd = "!not one that the CLI adds%09"
    assert listed().keys() == {"/usr/lib/libssl.so.3!SSL_read", odd}
    said = ask("list").stderr
    assert f"1 of {topic_prefix}runtime.watch could not be used (text_too_long)" in said
    assert f"1 of {topic_prefix}runtime.watch could not be used (too_large)" in said
    assert ask("remove", "--id", odd).exit_code == 0
    assert listed().keys() == {"/usr/lib/libssl.so.3!SSL_read"}
    longest = "f" * 4_096
    assert ask("add", longest).exit_code == 0
    assert ask("remove", longest).exit_code == 0
    assert ask("remove").exit_code == 2
    assert ask("remove", "f", "--id", odd).exit_code == 2


@pytest.mark.parametrize(
    "arguments", [["foo::bar(int)"], ["f", "--build-id", "xyz"], ["f", "--module", ""], [""], ["two words"]]
)
def test_what_could_never_be_hit_is_refused(arguments: list[str]) -> None:
    """A watch for a demangled name would always say "never executed"."""
    assert CliRunner().invoke(cli, ["watch", "add", *arguments]).exit_code == 2
