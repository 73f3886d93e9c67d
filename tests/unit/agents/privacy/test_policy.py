"""agents/privacy/policy.py and policy_file.py: default-deny, ids, and errors that name line and rule."""

import pytest

from agents.canonicalize.arguments import KINDS
from agents.privacy.policy import ARGUMENT_TYPES, FIELDS, Policy
from agents.privacy.policy_file import (
    BUILT_IN,
    MAX_TEXT_BYTES,
    PolicyError,
    built_in_policy,
    built_in_text,
    parse_policy,
)
from agents.privacy.redaction.choices import Treatment

_HEAD = 'schema = 1\nname = "ours"\n[fields]\nallow = ["process.pid", "process.arguments"]\n'


def _problems(text: str) -> list[str]:
    with pytest.raises(PolicyError) as refused:
        parse_policy(text)
    return [str(problem) for problem in refused.value.problems]


def test_default_policy_withholds_buffers_and_masks_people() -> None:
    """What is right for most: everything but user buffers and names of people."""
    policy = built_in_policy("default")
    denied = FIELDS - dict(policy.allowed)["Kprobe"]
    assert {field.rpartition(".")[2] for field in denied} == {"bytes", "truncated_bytes"}
    assert (policy.choices.users, policy.choices.homes) == (Treatment.MASK, Treatment.MASK)


def test_strict_policy_lets_no_text_of_a_process_out() -> None:
    """No command lines, no folders, no addresses, no free text."""
    policy = built_in_policy("strict")
    for field in (
        "process.arguments",
        "process.cwd",
        "message",
        "call_arguments.string",
        "call_arguments.sock",
        "tags",
    ):
        assert not policy.allows("Kprobe", field)


def test_open_policy_lets_every_field_out() -> None:
    """A start for those who want all that the rules let through."""
    assert dict(built_in_policy("open").allowed)["Kprobe"] == FIELDS


def test_built_in_policies_differ() -> None:
    """Three ids, each 32 hex digits."""
    ids = {built_in_policy(name).policy_id for name in BUILT_IN}
    assert len(ids) == len(BUILT_IN)
    assert all(len(one) == 32 and int(one, 16) >= 0 for one in ids)


def test_policy_denies_what_is_not_listed() -> None:
    """Fields that do not exist, and kinds that are not known."""
    policy = parse_policy(_HEAD)
    assert policy.allows("Kprobe", "process.pid")
    assert not policy.allows("Kprobe", "process.uid")
    assert not policy.allows("Newer", "process.pid")
    assert policy.profile("Newer") == frozenset()


def test_policy_tells_kinds_of_event_apart() -> None:
    """A kind may add to what all have, and deny of it."""
    policy = parse_policy(_HEAD + '[fields.Lsm]\nallow = ["process.uid"]\ndeny = ["process.arguments"]\n')
    assert dict(policy.allowed)["Lsm"] == {"process.pid", "process.uid"}
    assert policy.profile("Kprobe") != policy.profile("Lsm")
    assert policy.profile("Kprobe") == policy.profile("ProcessExec")


@pytest.mark.parametrize(
    "change",
    [
        '[people]\nusers = "keep"\n',
        '[people]\nhomes = "pseudonym"\n',
        '[pseudonyms]\nepoch = "2"\n',
        "[secrets]\nemails = true\n",
        '[secrets]\nnames = ["badge"]\n',
        "[[secrets.patterns]]\nrule = \"badge\"\npattern = '(B-[0-9]+)'\n",
        "[paths]\ncredentials = ['/srv/(x)']\n",
        "[limits]\nmax_text_bytes = 2048\n",
        '[fields.Lsm]\ndeny = ["process.pid"]\n',
    ],
)
def test_id_changes_with_everything_that_decides_an_answer(change: str) -> None:
    """Equal ids mean equal treatment."""
    assert parse_policy(_HEAD + change).policy_id != parse_policy(_HEAD).policy_id


def test_id_does_not_change_with_name_order_or_spelling() -> None:
    """What decides nothing is not in the canonical form."""
    other = 'name = "theirs"\nschema = 1\n[fields]\nallow = ["process.arguments", "process.pid", "process.pid"] # x\n'
    assert parse_policy(other).policy_id == parse_policy(_HEAD).policy_id


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (_HEAD.replace("schema = 1", "schema = 2"), "line 1: schema: is 2"),
        (_HEAD.replace('name = "ours"', ""), "name: is missing"),
        (_HEAD.replace("process.pid", "process.pidd"), "line 4: fields.allow: 'process.pidd' is not a field"),
        (_HEAD + "[fields.Newer]\nallow = []\n", "line 5: fields.Newer: is not known"),
        (_HEAD + '[fields.Lsm]\ndeny = ["foo"]\n', "line 6: fields.Lsm.deny: 'foo' is not a field"),
        (
            _HEAD + '[people]\nusers = "hash"\n',
            "line 6: people.users: is 'hash', which is not one of mask, pseudonym, keep",
        ),
        (_HEAD + '[secrets]\nemails = "no"\n', "line 6: secrets.emails: is 'no', which is not of type bool"),
        (_HEAD + '[secrets]\nnames = ["a("]\n', "line 6: secrets.names: 'a('"),
        (
            _HEAD + "[[secrets.patterns]]\nrule = \"x\"\npattern = 'a'\n",
            "line 7: secrets.patterns[0].pattern: has no group",
        ),
        (
            _HEAD
            + "[[secrets.patterns]]\nrule = \"ok\"\npattern = '(a)'\n"
            + "[[secrets.patterns]]\nrule = \"y\"\npattern = '(['\n",
            "line 10: secrets.patterns[1].pattern: does not compile",
        ),
        (
            _HEAD + "[[secrets.patterns]]\nrule = \"x\"\npattern = '(a*)'\n",
            "line 7: secrets.patterns[0].pattern: matches the empty text",
        ),
        (
            _HEAD + "[[secrets.patterns]]\nrule = \"Big Name\"\npattern = '(a)'\n",
            "line 6: secrets.patterns[0].rule: is 'Big Name'",
        ),
        (_HEAD + "[paths]\ncredentials = ['x']\n", "line 6: paths.credentials: has no group"),
        (_HEAD + '[pseudonyms]\nepoch = "2024-1"\n', "line 6: pseudonyms.epoch"),
        (_HEAD + f"[limits]\nmax_text_bytes = {MAX_TEXT_BYTES + 1}\n", "line 6: limits.max_text_bytes"),
        (_HEAD + "[peeple]\nusers = 1\n", "line 5: peeple: is not known"),
        (_HEAD + "[fields\n", "line 5: TOML"),
        ('schema = 1\nname = "x"\nfields = 3\n', "line 3: fields: is not a table"),
    ],
)
def test_policy_that_does_not_compile_is_refused_by_line_and_rule(text: str, expected: str) -> None:
    """An operator sees where and what."""
    assert any(problem.startswith(expected) for problem in _problems(text)), _problems(text)


def test_everything_wrong_is_reported_at_once() -> None:
    """Nobody mends a policy one error at a time."""
    assert len(_problems('schema = 3\nname = 1\n[fields]\nallow = ["x", "y"]\n[people]\nusers = "z"\n')) >= 5


def test_kinds_and_fields_are_those_of_the_stages() -> None:
    """The lists that a policy speaks of follow the code that asks."""
    assert set(ARGUMENT_TYPES) == {name for name, _ in KINDS.values()}


def test_every_built_in_policy_explains_itself() -> None:
    """A policy to start from says how to change it."""
    for name in BUILT_IN:
        assert "callstream privacy policy --check" in built_in_text(name)
        assert isinstance(built_in_policy(name), Policy)
