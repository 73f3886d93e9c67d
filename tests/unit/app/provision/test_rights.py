"""The file that says who may do what: what it grants, and what it cannot say."""

from pathlib import Path

import pytest

from app.provision.rights import AccessFileError, Rule, beyond, guarded_topics, reader_rules, rules_of
from app.topology import PIPELINE, StageShape
from schemas import topics
from schemas.topics import Stage

_DEPLOYED = Path(__file__).parents[4] / "deploy" / "kafka" / "acls.toml"


def _file(folder: Path, text: str) -> Path:
    path = folder / "acls.toml"
    path.write_text(text)
    return path


def test_names_become_kafkas_with_the_prefix_where_they_are_ours(tmp_path: Path) -> None:
    """Topics and groups of stages have it; a reader's own groups have not."""
    path = _file(tmp_path, '[bob]\nread = ["runtime.calls"]\ngroups = ["callstream-privacy", "bob.*"]\n')
    assert rules_of(path, "p.") == {
        Rule("bob", "TOPIC", "p.runtime.calls", "READ"),
        Rule("bob", "GROUP", "p.callstream-privacy", "READ"),
        Rule("bob", "GROUP", "bob.", "READ", prefixed=True),
    }


def test_where_topics_end_and_what_groups_committed_are_rights_of_their_own(tmp_path: Path) -> None:
    """Neither lets anybody see a record or move a group."""
    path = _file(tmp_path, '[bob]\ndescribe = ["tetragon.raw"]\ndescribe_groups = ["callstream-privacy"]\n')
    assert rules_of(path, "p.") == {
        Rule("bob", "TOPIC", "p.tetragon.raw", "DESCRIBE"),
        Rule("bob", "GROUP", "p.callstream-privacy", "DESCRIBE"),
    }


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[bob]\nread = ["runtime.callz"]', "[bob] read: the pipeline has no topic runtime.callz"),
        ('[bob]\nreads = ["runtime.calls"]', "not reads"),
        ('[bob]\nread = "runtime.calls"', "each a list of names"),
        ('bob = "all"', "bob must be a table"),
        ("[bob", "acls.toml: "),
    ],
)
def test_what_is_no_rule_is_an_error_with_its_place(tmp_path: Path, text: str, complaint: str) -> None:
    """A typing mistake must not grant nothing in silence."""
    with pytest.raises(AccessFileError) as caught:
        rules_of(_file(tmp_path, text), "")
    assert complaint in str(caught.value)


def test_the_deployments_file_keeps_raw_events_to_the_two_who_need_them() -> None:
    """Ingest writes raw events, canonicalize and the auditor read them, privacy reads canonical ones."""
    without_records = {"DESCRIBE", "DESCRIBE_CONFIGS", "ALTER_CONFIGS", "CREATE"}
    rules = {rule for rule in rules_of(_DEPLOYED, "") if rule.operation not in without_records}
    restricted = {topics.RAW, topics.CANONICAL}
    assert {(rule.user, rule.name, rule.operation) for rule in rules if rule.name in restricted} == {
        ("ingest", topics.RAW, "WRITE"),
        (Stage.CANONICALIZE.value, topics.RAW, "READ"),
        (Stage.CANONICALIZE.value, topics.CANONICAL, "WRITE"),
        (Stage.PRIVACY.value, topics.CANONICAL, "READ"),
        ("auditor", topics.RAW, "READ"),
    }


@pytest.mark.parametrize("topic", topics.TOPICS, ids=lambda topic: str(topic.name))
def test_what_is_called_public_is_what_readers_may_read(topic: topics.Topic) -> None:
    """`topics list`, `topics apply --reader` and the file say the same of each topic."""
    readers = {rule.user for rule in rules_of(_DEPLOYED, "") if (rule.name, rule.operation) == (topic.name, "READ")}
    assert ("reader" in readers) is (topic.access is topics.Access.PUBLIC)
    assert ("operator" in readers) is (topic.access is topics.Access.PUBLIC)
    if topic.access is topics.Access.INTERNAL:
        assert len(readers) == 1, "a topic that a stage keeps for itself"


def test_rights_to_the_cluster_are_named_by_what_they_do(tmp_path: Path) -> None:
    """Kafka's words for them say little; what is not known is refused."""
    path = _file(tmp_path, '[bob]\ncluster = ["rights", "set_rights"]\ncreate = ["runtime.calls"]\n')
    assert rules_of(path, "p.") == {
        Rule("bob", "BROKER", "kafka-cluster", "DESCRIBE"),
        Rule("bob", "BROKER", "kafka-cluster", "ALTER"),
        Rule("bob", "TOPIC", "p.runtime.calls", "CREATE"),
    }
    with pytest.raises(AccessFileError, match="write rights, set_rights, options; not everything"):
        rules_of(_file(tmp_path, '[bob]\ncluster = ["everything"]\n'), "")


def test_guarded_is_what_is_private_or_internal() -> None:
    """Every topic that no reader has a schema for."""
    guarded = guarded_topics("p.")
    assert {"p.tetragon.raw", "p.runtime.canonical", "p.runtime.hot-partials"} <= set(guarded)
    assert "p.runtime.calls" not in guarded


def test_a_version_is_as_guarded_as_what_it_is_a_version_of(tmp_path: Path) -> None:
    """And can be named where it is for everyone."""
    there = [
        "p.runtime.canonical.v2",
        "p.runtime.calls.v2",
        "other.runtime.canonical.v2",
        "runtime.canonical.v2",
        "p.orders",
    ]
    assert set(guarded_topics("p.", there)) - set(guarded_topics("p.")) == {"p.runtime.canonical.v2"}
    path = _file(tmp_path, '[bob]\nread = ["runtime.calls.v2"]\ngroups = ["callstream-privacy.v2"]\n')
    assert rules_of(path, "p.") == {
        Rule("bob", "TOPIC", "p.runtime.calls.v2", "READ"),
        Rule("bob", "GROUP", "p.callstream-privacy.v2", "READ"),
    }


def test_a_reader_gets_topics_and_groups_of_its_own_name() -> None:
    """No group of the pipeline: its offsets would be the reader's to move."""
    assert reader_rules("bob", ["p.runtime.calls"]) == [
        Rule("bob", "TOPIC", "p.runtime.calls", "READ"),
        Rule("bob", "GROUP", "bob.", "READ", prefixed=True),
    ]


def test_what_is_beyond_the_file_is_told_in_words() -> None:
    """Also a rule for everything."""
    wanted = frozenset({Rule("a", "TOPIC", "t", "READ")})
    (found,) = beyond(wanted, [Rule("a", "TOPIC", "t", "READ"), Rule("b", "TOPIC", "t", "READ", prefixed=True)])
    assert str(found) == "b may READ every topic that begins with t"


@pytest.mark.parametrize("shape", PIPELINE, ids=lambda shape: str(shape.stage))
def test_the_deployments_file_lets_every_stage_do_its_work(shape: StageShape) -> None:
    """Read its sources, write its outputs, keep its tables, in its own group; nothing of another stage's."""
    user, group = shape.stage.value, shape.stage.group
    mine = {rule for rule in rules_of(_DEPLOYED, "") if rule.user == user}
    reads, writes = (
        (*shape.sources, *shape.follows, *shape.changelogs),
        (*shape.outputs, *shape.told, *shape.changelogs),
    )
    needed = {Rule(user, "TOPIC", name, "READ") for name in reads} | {Rule(user, "GROUP", group, "READ")}
    needed |= {Rule(user, "TOPIC", name, "WRITE") for name in writes}
    needed |= {Rule(user, "TOPIC", name, "DESCRIBE_CONFIGS") for name in (*reads, *writes)}
    assert needed <= mine
    reading = {rule for rule in mine - needed if not rule.operation.startswith("DESCRIBE")}
    assert reading <= {Rule(user, "TOPIC", name, "READ") for name in shape.outputs}
