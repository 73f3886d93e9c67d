"""`callstream books` where a process is away."""

import json
import socket
from pathlib import Path

import pytest

from tests.support.breakable_broker import BreakableBroker
from tests.support.pipeline_run import pipeline_run

pytestmark = pytest.mark.integration


def test_a_process_that_does_not_answer_is_named_and_the_books_of_all_others_are_made_up(
    embedded: BreakableBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """At three in the morning one process is down, and the operator asks what that costs."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        away = f"127.0.0.1:{free.getsockname()[1]}"
    with pipeline_run(embedded, topic_prefix, tmp_path) as run:
        run.start("canonicalize-0")
        run.await_ready()

        told = run.books("--metrics", away)
        document = json.loads(run.books("--metrics", away, "--json").stdout)

        assert run.books().exit_code == 0
    assert told.exit_code == 2
    assert "canonicalize at 127.0.0.1:" in told.stdout
    assert "pipeline: raw 0 = calls 0" in told.stdout
    assert told.stderr == f"callstream books: no process can be read at {away}: Connection refused\n"
    assert document["unread"] == [{"address": away, "reason": "Connection refused"}]
    assert document["balanced"] is None
    assert [one["process"] for one in document["processes"]] == ["canonicalize"]
