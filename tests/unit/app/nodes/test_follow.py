"""A cluster's nodes by its own API: over TLS, in pages, through watches that end, break and are too late."""

import threading
from pathlib import Path

import pytest

from app.nodes.cluster_nodes import ClusterNodes
from app.nodes.follow import BEHIND_NS, Follower
from app.nodes.kubernetes import KubernetesAwayError, KubernetesRefusedError, NodesApi
from schemas.coverage import CoverageGap
from tests.support.kubernetes_api import FakeApi, kubernetes_api, node_object

S = 1_000_000_000
MADE = "2026-01-31T12:00:00Z"
MADE_S = 1_769_860_800


class _Clock:
    """One second later each time; starts a day behind the creation of the nodes."""

    def __init__(self) -> None:
        self.now_s = MADE_S + 86_400

    def __call__(self) -> int:
        self.now_s += 1
        return self.now_s * S


def _followed(tmp_path: Path, api: FakeApi, known: dict[str, int] | None = None) -> list[tuple[str, str, int, int]]:
    """Words until the API has no more watches: node, cause, seconds after the creation, and when it was said."""
    said: list[CoverageGap] = []
    nodes = ClusterNodes("east", "s", str, known or {})
    with kubernetes_api(tmp_path, api) as (url, ca_file, token_file):
        follower = Follower(NodesApi(url, ca_file, token_file), nodes, said.extend, api.quiet, _Clock())
        thread = threading.Thread(target=follower.run)
        thread.start()
        thread.join(60)
        assert not thread.is_alive()
    assert {word.said_by for word in said} <= {"kubernetes"}
    return [(w.node, w.cause.value, w.from_ns // S - MADE_S, w.to_ns // S - MADE_S) for w in said]


def test_nodes_are_created_booted_and_deleted_by_the_apis_word(tmp_path: Path) -> None:
    """A list in two pages, then changes; a boot counts from when the old one was last seen."""
    api = FakeApi(
        [node_object(name, MADE) for name in ("a", "b", "c")],
        [
            [
                {"type": "MODIFIED", "object": node_object("a", MADE, "b-1", "1001")},
                {"type": "MODIFIED", "object": node_object("a", MADE, "b-2", "1002")},
                {"type": "DELETED", "object": node_object("b", MADE, version="1003")},
                {"type": "BOOKMARK", "object": {"kind": "Node", "metadata": {"resourceVersion": "1004"}}},
            ]
        ],
    )
    said = _followed(tmp_path, api)
    day = 86_400
    assert said[:3] == [(name, "Created", 0, 0) for name in ("a", "b", "c")]
    assert said[3:5] == [("a", "Booted", day + 2, day + 3), ("b", "Retired", day + 4, day + 4)]
    assert said[5:] == [("", "Followed", day + 1, day + 5 - BEHIND_NS // S)][: len(said) - 5]
    assert [one.get("continue") for one in api.asked[:2]] == [None, "2"]
    assert [one["resourceVersion"] for one in api.asked[2:4]] == ["1000", "1004"]


def test_a_new_list_counts_for_what_nobody_saw(tmp_path: Path) -> None:
    """410 asks for a new list. A node that is missing in it was there until then; a new one since its creation."""
    api = FakeApi([node_object("a", MADE)], [410])
    said = _followed(tmp_path, api, {"a": MADE_S * S, "gone": MADE_S * S})
    assert said[0] == ("gone", "Retired", 86_401, 86_401)
    assert ("a", "Created", 0, 0) not in said
    assert [one for one in api.asked if "watch" not in one] == [{"limit": "500"}] * 2


def test_a_name_that_was_given_again_while_nobody_looked_is_two_lives(tmp_path: Path) -> None:
    """The old one owed until the creation of the new one at the latest."""
    said = _followed(tmp_path, FakeApi([node_object("a", MADE)]), {"a": (MADE_S - 5_000) * S})
    assert said[:2] == [("a", "Retired", 0, 86_401), ("a", "Created", 0, 0)]


def test_a_watch_that_breaks_is_continued_and_vouches_for_nothing(tmp_path: Path) -> None:
    """Half a change is none; the next watch brings it again, and only one that ends in good order says "followed"."""
    late = {"type": "ADDED", "object": node_object("late", MADE, version="1001")}
    api = FakeApi([node_object("a", MADE)], [[late, '{"type": "DEL'], [late], [], []])
    said = _followed(tmp_path, api)
    assert [word[:2] for word in said].count(("late", "Created")) == 1
    assert [one["resourceVersion"] for one in api.asked if "watch" in one][:3] == ["1000", "1000", "1001"]
    first = said.index(("late", "Created", 0, 0))
    assert all(word[1] != "Followed" for word in said[:first])


@pytest.mark.parametrize(
    "change",
    [
        "nothing\n",
        '{"type": "ADDED", "object": {"metadata": {"name": 7, "creationTimestamp": "2026-01-31T12:00:00Z"}}}\n',
        '{"type": "ADDED", "object": {"metadata": {"name": "a", "creationTimestamp": "soon"}}}\n',
        '{"type": "RENAMED", "object": {}}\n',
        "[]\n",
    ],
)
def test_an_api_that_says_something_else_is_refused(tmp_path: Path, change: str) -> None:
    """With words about what it says, and not as a change that is passed over."""
    api = FakeApi([], [[change]])
    with kubernetes_api(tmp_path, api) as (url, ca_file, token_file):
        asked = NodesApi(url, ca_file, token_file)
        assert asked.list() == ([], "1000")
        with pytest.raises(KubernetesRefusedError, match="the API sends"):
            list(asked.changes("1000"))


def test_a_token_that_the_api_does_not_know_is_refused_and_a_stranger_is_not_asked(tmp_path: Path) -> None:
    """The token goes to nobody whose certificate is of another authority."""
    other = tmp_path / "other"
    other.mkdir()
    with kubernetes_api(other, FakeApi()) as (url, ca_file, token_file):
        token_file.write_text("stolen", encoding="ascii")
        with pytest.raises(KubernetesRefusedError, match="answers 403"):
            NodesApi(url, ca_file, token_file).list()
        with kubernetes_api(tmp_path, FakeApi()) as (_, strange_ca, _), pytest.raises(KubernetesAwayError):
            NodesApi(url, strange_ca, token_file).list()
        with pytest.raises(KubernetesRefusedError, match="token cannot be read"):
            NodesApi(url, ca_file, tmp_path / "nothing").list()
