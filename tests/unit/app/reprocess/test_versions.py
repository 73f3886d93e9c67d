"""Which version a run makes or goes on with, and which names it has."""

from dataclasses import replace

import pytest

from app.reprocess.chain import chain, own_topics, versions_in
from app.reprocess.versions import Begin, ExistingVersion, GoOn, MadeBy, VersionRefusal, choose
from app.topology import PIPELINE
from schemas import topics
from schemas.topics import Stage

CANONICALIZE = MadeBy("c" * 64, "1.0+code")
PRIVACY = MadeBy("p" * 64, "1.0+code")
STRICTER = MadeBy("s" * 64, "1.0+code")
BOTH = {Stage.CANONICALIZE: CANONICALIZE, Stage.PRIVACY: PRIVACY}

FULL = ExistingVersion(BOTH, is_empty=False, is_whole=True)
BARE = ExistingVersion({}, is_empty=True, is_whole=False)


def test_the_first_version_is_the_second_because_the_live_topics_are_the_first() -> None:
    """And the next is the one after the highest that is there."""
    assert choose({}, BOTH, None) == Begin(2)
    assert choose({2: FULL, 5: FULL}, BOTH | {Stage.PRIVACY: STRICTER}, None) == Begin(6)


def test_the_same_command_goes_on_with_what_was_made_alike() -> None:
    """The newest of such, though a later version was made otherwise."""
    other = replace(FULL, made=BOTH | {Stage.PRIVACY: STRICTER})
    assert choose({2: FULL, 3: FULL, 4: other}, BOTH, None) == GoOn(3)
    assert choose({2: FULL, 3: FULL}, BOTH, 2) == GoOn(2)


@pytest.mark.parametrize("made", [{}, {Stage.CANONICALIZE: CANONICALIZE}])
def test_a_run_that_was_killed_before_its_version_began_is_finished(made: dict[Stage, MadeBy]) -> None:
    """There are topics then, and not every stage has said how it makes its records."""
    unfinished = ExistingVersion(made, is_empty=True, is_whole=False)
    assert choose({2: unfinished}, BOTH, None) == Begin(2)
    assert choose({2: FULL, 3: unfinished}, BOTH | {Stage.PRIVACY: STRICTER}, None) == Begin(3)
    assert choose({2: unfinished}, BOTH, 2) == Begin(2)


def test_a_version_can_be_asked_for_that_is_not_there_yet() -> None:
    """Be it the next or not."""
    assert choose({2: FULL}, BOTH, 9) == Begin(9)


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (replace(FULL, made={}), "holds records, but none that says how it was made"),
        (replace(FULL, made={Stage.PRIVACY: PRIVACY}), "is one of privacy, not of canonicalize and privacy"),
        (replace(FULL, is_whole=False), "lacks some of its topics"),
        (replace(FULL, made=BOTH | {Stage.PRIVACY: STRICTER}), "privacy stage was made with another policy"),
        (
            replace(FULL, made=BOTH | {Stage.CANONICALIZE: replace(CANONICALIZE, configuration="d" * 64)}),
            "canonicalize stage was made with another hook map or other symbols",
        ),
        (
            replace(FULL, made=BOTH | {Stage.CANONICALIZE: replace(CANONICALIZE, program="0.9+old")}),
            "was made by callstream 0.9+old, this is 1.0+code",
        ),
    ],
)
def test_records_that_were_made_otherwise_are_never_added_to(found: ExistingVersion, why: str) -> None:
    """Asked for by number it is refused with the reason; otherwise the next version is made."""
    refused = choose({2: found}, BOTH, 2)
    assert isinstance(refused, VersionRefusal)
    assert refused.reason.startswith("version 2 is there and")
    assert why in refused.reason
    assert choose({2: found}, BOTH, None) == Begin(3)


def test_a_version_reads_live_topics_and_writes_its_own_only() -> None:
    """Its groups and changelogs are its own too."""
    live = {name for shape in PIPELINE for name in (*shape.sources, *shape.outputs, *shape.changelogs)}
    groups = {shape.group for shape in PIPELINE}
    for first in (Stage.CANONICALIZE, Stage.PRIVACY):
        shapes = chain(first, 2)
        written = {name for shape in shapes for name in (*shape.outputs, *shape.changelogs)}
        assert not written & live
        assert written == own_topics(shapes).keys()
        assert not {shape.group for shape in shapes} & groups
        assert {name for shape in shapes for name in shape.sources} - written <= live
    assert [shape.sources + shape.outputs[:1] for shape in chain(Stage.CANONICALIZE, 3)] == [
        ("tetragon.raw", "runtime.canonical.v3"),
        ("runtime.canonical.v3", "runtime.calls.v3"),
    ]
    assert chain(Stage.PRIVACY, 3)[0].sources == ("runtime.canonical",)


def test_every_version_of_a_topic_is_known_for_what_it_is_a_version_of() -> None:
    """So a version of a restricted topic is restricted, and begins with the name by which access is granted."""
    for name, topic in own_topics(chain(Stage.CANONICALIZE, 12)).items():
        assert topics.live_name(name) == topic.name
        assert topics.version_of(name) == 12
        assert topic.name in topics.live_name(name)
        assert name.startswith(topic.name) or name in chain(Stage.CANONICALIZE, 12)[0].changelogs
    assert topics.live_name("runtime.canonical.v2.old") == "runtime.canonical.v2.old"
    for topic in topics.TOPICS:
        assert topics.live_name(topic.name) == topic.name
        assert topics.version_of(topic.name) is None


def test_versions_are_found_among_all_of_the_clusters_topics() -> None:
    """Only ours count, under our prefix."""
    names = frozenset({
        "p.runtime.calls.v2", "p.callstream-canonicalize.v7-process-modules-changelog", "p.orders.v9",
        "runtime.calls.v4",        "p.runtime.calls", "p.runtime.calls.v02", "p.runtime.calls.v1x",
    })  # fmt: skip
    assert versions_in(names, "p.") == {2, 7}
