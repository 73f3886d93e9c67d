"""What one event says about symbols."""

from typing import Any

import pytest

from agents.hot_symbols.reading.evidence import (
    RESOLUTIONS,
    CountedFrame,
    Touch,
    binary_touch,
    frame_fields,
    frame_of,
    joined,
    place_of,
    stack_touches,
    target_touch,
)
from tests.support.calls import frame

EXACT, HINT, KERNEL = (RESOLUTIONS.index(name) for name in ("Exact", "HintOnly", "Kernel"))


def known(decoded: dict[str, Any]) -> CountedFrame:
    """The frame of a decoded one."""
    return frame_of(frame_fields(decoded))


def decoded(module: str, symbol: str = "", **others: Any) -> dict[str, Any]:
    """A frame as fastavro returns it."""
    return {"build_id": None, "symbol_hint": None} | frame(module, symbol, **others)


def test_a_frame_counts_for_its_symbol_its_hint_or_its_module() -> None:
    """What is sure comes first; code without any name counts for its file."""
    frames = [
        decoded("/usr/lib/libc.so.6", "read", symbol_hint="other"),
        decoded("/usr/lib/libc.so.6", symbol_hint="__read", resolution="HintOnly"),
        decoded("/usr/lib/libc.so.6", build_id="0123456789"),
        decoded("kernel", "vfs_read"),
    ]

    found = [known(one).symbol_id for one in frames]

    assert found == ["/usr/lib/libc.so.6!read", "/usr/lib/libc.so.6!__read", "0123456789!", "kernel!vfs_read"]


def test_a_snapshot_counts_for_what_its_indexes_name() -> None:
    """Frames and a probe's target with a build id; kernel frames, hints and files have no name of an index."""
    stack = [decoded("kernel", "f", resolution="Kernel"), decoded("/a", "main"), decoded("/a", resolution="NoSymbol")]
    touches = stack_touches([known(one) for one in stack], "d1")
    target = target_touch({"module": "/a", "symbol": "f", "build_id": "0123456789"}, "d1")

    assert [touch.snapshot for touch in touches] == [None, "d1", None]
    assert target.snapshot == "d1"
    assert target_touch({"module": "/a", "symbol": "f", "build_id": None}, "d1").snapshot is None


def test_stack_touches_count_frames_grades_and_callers() -> None:
    """The caller of a frame is the next one outwards, across the border to user space; the outermost has none."""
    stack = [decoded("kernel", "f"), decoded("/a", "main"), decoded("/a", "main"), decoded("/a", symbol_hint="main")]
    stack[3]["resolution"] = "HintOnly"

    touches = stack_touches([known(one) for one in stack])

    assert touches == [
        Touch("kernel!f", "kernel", 1, 0, ((KERNEL, 1),), (("/a!main", 1),)),
        Touch("/a!main", "/a", 3, 0, ((EXACT, 2), (HINT, 1)), (("/a!main", 2),)),
    ]


def test_a_build_id_under_two_paths_is_one_symbol() -> None:
    """The path that comes first by name stands for the file."""
    stack = [decoded("/z/libx.so", "f", build_id="0123456789"), decoded("/a/libx.so", "f", build_id="0123456789")]

    (touch,) = stack_touches([known(one) for one in stack])

    assert (touch.symbol_id, touch.module, touch.hits) == ("0123456789!f", "/a/libx.so", 2)


def test_joined_adds_a_fired_probe_to_the_symbol_it_sits_on() -> None:
    """A probe's target may be on the stack too: then one row gets both, and the probe stays visible."""
    stack = stack_touches([known(decoded("/a", "f")), known(decoded("/a", "main"))])
    target = target_touch({"module": "/a", "symbol": "f", "build_id": None})

    evidence = joined(stack, target)

    assert {(touch.symbol_id, touch.hits, touch.probe_hits) for touch in evidence.touches} == {
        ("/a!f", 2, 1),
        ("/a!main", 1, 0),
    }


def test_joined_adds_a_touch_of_its_own_for_other_evidence() -> None:
    """An execution counts for the file as a binary, apart from its symbols."""
    evidence = joined([], binary_touch("/usr/bin/curl"))

    assert [(touch.symbol_id, touch.hits, touch.probe_hits) for touch in evidence.touches] == [
        ("exec:/usr/bin/curl", 1, 0)
    ]


@pytest.mark.parametrize(
    ("fields", "image", "namespace", "workload"),
    [
        ({}, None, None, None),
        ({"image_id": "sha256:1"}, ("sha256:1", ""), None, None),
        ({"image_name": "shop:1", "namespace": "prod"}, ("", "shop:1"), ("prod",), None),
        (
            {"namespace": "prod", "workload": "web", "workload_kind": "Deployment"},
            None,
            ("prod",),
            ("prod", "Deployment", "web"),
        ),
    ],
)
def test_place_of_says_what_the_event_says(fields: dict[str, str], image: Any, namespace: Any, workload: Any) -> None:
    """What an event does not say is None, not an empty name."""
    names = ("image_id", "image_name", "namespace", "workload_kind", "workload")

    place = place_of(dict.fromkeys(names) | fields)

    assert (place.image, place.namespace, place.workload) == (image, namespace, workload)
