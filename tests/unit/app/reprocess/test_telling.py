"""What a run of `callstream reprocess` says, to people and to programs."""

import json

import pytest

from app.reprocess.catching_up import CatchUp, PartitionSample
from app.reprocess.chain import chain
from app.reprocess.telling import Event, Teller
from app.settings import Settings
from app.streaming.account import Account
from schemas.topics import Stage

SETTINGS = Settings(topic_prefix="p.")
SHAPES = chain(Stage.CANONICALIZE, 3)
STAGES = (
    {
        0: PartitionSample(first=0, end=70, committed=60, account=Account(10, outputs=45, not_calls=3, dead_letters=2)),
        1: PartitionSample(first=30, end=40, committed=20, account=Account(10, outputs=10)),
    },
    {0: PartitionSample(first=0, end=45, committed=45, account=Account(0, outputs=45))},
)
STATE = CatchUp(behind_seconds=1.25, is_caught_up=True)


def test_a_program_gets_one_document_a_line_with_everything_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    """Names have the operator's prefix; records of a stage are outputs, no calls, dead letters and expired ones."""
    teller = Teller(SETTINGS, SHAPES, as_json=True)
    teller.decided(Event.BEGINS, {0: 10, 1: 10})
    teller.turned(Event.CAUGHT_UP, STAGES, STATE)
    begins, caught_up = map(json.loads, capsys.readouterr().out.splitlines())
    head = {"version": 3, "source": "p.tetragon.raw", "output": "p.runtime.calls.v3"}
    assert begins == {"event": "begins", **head, "from": {"0": 10, "1": 10}}
    assert caught_up == {
        "event": "caught_up",
        **head,
        "caught_up": True,
        "behind_seconds": 1.25,
        "stages": [
            {
                "stage": "canonicalize",
                "source": "p.tetragon.raw",
                "output": "p.runtime.canonical.v3",
                "records": 70,
                "outputs": 55,
                "not_calls": 3,
                "dead_letters": 2,
                "expired": 10,
                "lag": 20,
            },
            {
                "stage": "privacy",
                "source": "p.runtime.canonical.v3",
                "output": "p.runtime.calls.v3",
                "records": 45,
                "outputs": 45,
                "not_calls": 0,
                "dead_letters": 0,
                "expired": 0,
                "lag": 0,
            },
        ],
    }
    first = caught_up["stages"][0]
    assert first["records"] == first["outputs"] + first["not_calls"] + first["dead_letters"] + first["expired"]


def test_a_person_reads_what_was_decided_and_the_books_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Books that have not changed are not said again at the end."""
    teller = Teller(SETTINGS, SHAPES, as_json=False)
    teller.decided(Event.GOES_ON, {0: 60, 1: 20})
    teller.turned(Event.CAUGHT_UP, STAGES, STATE)
    teller.turned(Event.STOPPED, STAGES, STATE)
    assert capsys.readouterr().out.splitlines() == [
        "version 3 goes on: p.tetragon.raw -> p.runtime.canonical.v3 -> p.runtime.calls.v3, from 0:60, 1:20",
        "version 3 caught up, 1.2 s behind",
        "  canonicalize: records 70, outputs 55, not calls 3, dead letters 2, expired 10, lag 20",
        "  privacy: records 45, outputs 45, not calls 0, dead letters 0, expired 0, lag 0",
        "version 3 stopped, 1.2 s behind",
    ]


def test_progress_is_told_seldom_where_no_person_looks(capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error, so that the output has decisions only."""
    teller = Teller(SETTINGS, SHAPES, as_json=False)
    teller.progress(STAGES, STATE)
    teller.progress(STAGES, STATE)
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == ["canonicalize 70 of 90 (77 %); privacy 45 of 45 (100 %)"]
