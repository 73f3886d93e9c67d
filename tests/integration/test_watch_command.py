"""`callstream watch` on a real topic: what is added is watched until it is removed, whoever added it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from confluent_kafka import Producer

from agents.hot_symbols.counting.tally import Tally
from agents.hot_symbols.table.published import published_record
from app.__main__ import cli
from app.embedded.broker import EmbeddedBroker
from app.settings import from_env
from app.stages.worker import registered_id
from schemas import records, topics
from tests.support.made_stores import store_with

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


def test_who_adds_a_watch_learns_what_can_be_answered_and_may_add_more_to_it(
    embedded: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """By any name of the function; a second vulnerability and the word that it is probed keep the beginning."""
    library = "/usr/lib/libz.so.1"
    store_with(
        tmp_path, {"0123456789abcdef": [["inflate", "inflate_old"]]}, {"image:any": {library: "0123456789abcdef"}}
    )
    environ = {
        "CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS": embedded.bootstrap_servers,
        "CALLSTREAM_SCHEMA_REGISTRY_URL": embedded.registry_url,
        "CALLSTREAM_TOPIC_PREFIX": topic_prefix,
        "CALLSTREAM_SYMBOL_STORE_DIR": str(tmp_path),
    }
    assert CliRunner().invoke(cli, ["topics", "apply"], env=environ).exit_code == 0

    def ask(*arguments: str) -> Result:
        return CliRunner().invoke(cli, ["watch", *arguments], env=environ)

    first = json.loads(ask("add", "inflate_old", "--module", library, "--vulnerability", "CVE-1", "--json").stdout)
    assert (first["best_answer"], [one["reason"] for one in first["reasons"]]) == ("NotSeen", ["NotHooked"])
    more = ("--vulnerability", "CVE-2", "--vulnerability", "CVE-3", "--every-call-probed")
    second = json.loads(ask("add", "inflate_old", "--module", library, *more, "--json").stdout)
    assert (second["state"], second["since_ns"]) == ("changed", first["since_ns"])
    assert second["vulnerabilities"] == ["CVE-1", "CVE-2", "CVE-3"]
    assert second["best_answer"] == "NeverHit"

    said = ask("list").stdout
    assert "CVE-1, CVE-2, CVE-3" in said
    assert "the best answer is: never hit" in said
    assert "its code is also that of inflate" in said
    typo = ask("add", "inflade", "--module", library).stdout
    assert "the nearest are inflate" in typo

    settings, tally = from_env(environ), Tally(library)
    tally.hits, tally.first_ns, tally.last_ns = 71_207, 5, 9
    row = published_record(f"{library}!inflate", tally) | {
        "confirmed_hits": tally.hits
    }  # of a file whose build id nobody saw
    producer = Producer({"bootstrap.servers": embedded.bootstrap_servers})
    value = records.encode(records.HOT_SYMBOL, registered_id(settings, topics.HOT_SYMBOLS), row)
    producer.produce(settings.name(topics.HOT_SYMBOLS), value, row["symbol_id"].encode())
    assert producer.flush(30) == 0
    build = ("--build-id", "0123456789abcdef")
    assert "71,207 hits so far may have been of it: while such hits come" in ask("add", "inflate", *build).stdout
    assert json.loads(ask("add", "inflate", *build, "--json").stdout)["ambiguous_hits"] == 71_207
    assert json.loads(ask("add", "deflate", *build, "--json").stdout)["ambiguous_hits"] == 0


@pytest.mark.parametrize(
    "arguments", [["foo::bar(int)"], ["f", "--build-id", "xyz"], ["f", "--module", ""], [""], ["two words"]]
)
def test_what_could_never_be_hit_is_refused(arguments: list[str]) -> None:
    """A watch for a demangled name would always say "never executed"."""
    assert CliRunner().invoke(cli, ["watch", "add", *arguments]).exit_code == 2
