"""docs/troubleshooting.md has every message that ends a command or a stage, or that doctor says, with what to do."""

from collections import Counter

import pytest

from app.operators.errors import ServerError
from app.processes.process_end import ExitCode
from tests.support.message_page import PATH, page
from tests.support.message_words import GROUPS
from tests.support.operator_messages import (
    BESIDE,
    DOCTOR,
    OPTIONS,
    TLS,
    OperatorMessage,
    error_classes,
    messages,
    messages_in,
)


def test_the_page_has_every_message_of_the_source() -> None:
    """Whoever looks for what was printed finds it; `make reference` puts a new one there."""
    assert PATH.read_text(encoding="utf-8") == page()


def test_every_kind_of_message_is_in_one_group_with_cause_and_cure() -> None:
    """A new class of error or exit code cannot be without words, and no word is of one that is gone."""
    said = Counter(kind for group in GROUPS for kind in group.kinds)
    never_ours = {ServerError.__name__, "DeliveryFailedError"}  # a base, and what a stage ends for
    kinds = {
        *error_classes(),
        *(code.name for code in ExitCode),
        DOCTOR,
        OPTIONS,
        TLS,
        *(one.kind for one in messages()),
    }
    assert said == Counter(kinds - never_ours)
    assert all(group.cause and group.cure for group in GROUPS)


def test_messages_that_everybody_meets_are_among_them() -> None:
    """What reads the source finds each way in which a message is made."""
    found = {(one.kind, one.text) for one in messages()}
    assert {
        ("KafkaUnreachableError", "no Kafka broker answers at …: …"),
        ("SettingsError", "is …; write a number from … to …"),
        ("TetragonUnusableError", "…: nothing listens there (connection refused)"),
        (OPTIONS, "--follow has no end: leave out --to"),
        ("WRONG_STATE", "… was deleted and created again while the stage ran"),
        ("PrivacyConfigError", "is missing: a policy has a name"),
        ("RegistryError", "no schema registry answers at …: …"),
        (DOCTOR, "topic … has … …, wanted is …"),
        ("NO_PROGRESS", "a rebalance has not ended for … s"),
        (BESIDE, "callstream watch: … is not watched"),
        (TLS, "… does not speak TLS there: …"),
    } <= found
    assert any(one.text == "the symbol store … is empty" and "symbols add" in one.remedy for one in messages())


def test_a_new_message_is_found_and_one_that_is_made_elsewhere_must_say_where() -> None:
    """So that none is left out of the page."""
    new = 'def f(x):\n    raise ReplayError(f"the run {x} is new" if x else "no run is new")\n'
    assert set(messages_in("app/new.py", new)) == {
        OperatorMessage("ReplayError", "the run … is new"),
        OperatorMessage("ReplayError", "no run is new"),
    }
    with pytest.raises(LookupError, match=r"app/new\.py:1: where is the message made"):
        list(messages_in("app/new.py", "raise ReplayError(words)"))
    assert not list(messages_in("app/new.py", "raise ReplayError(str(error))"))
