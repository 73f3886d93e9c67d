"""app/simulator/event_files.py."""

import gzip
import json
import logging
import os
from pathlib import Path

import pytest

from app.simulator import event_files
from app.simulator.event_files import EventFileError, delimited, read_events
from schemas.tetragon.events_pb2 import GetEventsResponse

EXEC_LINE = (
    '{"process_exec":{"process":{"exec_id":"bjox","pid":7,"uid":0}},"node_name":"n1","time":"2026-01-02T03:04:05Z"}'
)
THROTTLE_LINE = '{"process_throttle":{"type":"THROTTLE_START","cgroup":"c"}}'


def _file(folder: Path, content: str | bytes, name: str = "events") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def _events(path: Path) -> list[GetEventsResponse]:
    return [GetEventsResponse.FromString(event) for event in read_events([path])]


def _error(path: Path) -> str:
    with pytest.raises(EventFileError) as caught:
        list(read_events([path]))
    return str(caught.value)


def test_export_lines_become_events(tmp_path: Path) -> None:
    """A JSON export line gives the message that Tetragon would have sent."""
    [event] = _events(_file(tmp_path, EXEC_LINE + "\n"))

    assert event.process_exec.process.exec_id == "bjox"
    assert event.process_exec.process.HasField("uid"), "a printed zero in a wrapper is a value"
    assert (event.node_name, event.time.seconds) == ("n1", 1767323045)


def test_nulls_and_empty_lists_mean_absent(tmp_path: Path) -> None:
    """Exports by serialisers that print unset fields give the same event."""
    line = json.loads(EXEC_LINE)
    line["process_exec"] |= {"parent": None, "ancestors": []}
    line["process_exec"]["process"] |= {"auid": None, "pod": None, "environment_variables": [], "start_time": None}
    line["aggregation_info"] = None

    assert _events(_file(tmp_path, json.dumps(line))) == _events(_file(tmp_path, EXEC_LINE, "plain"))


def test_blank_lines_and_missing_last_newline_are_fine(tmp_path: Path) -> None:
    """Blank lines between events do not count as events, wherever they stand."""
    path = _file(tmp_path, f"\n{EXEC_LINE}\n\n  \n{THROTTLE_LINE}")

    assert [event.WhichOneof("event") for event in _events(path)] == ["process_exec", "process_throttle"]


def test_delimited_events_come_back_byte_for_byte(tmp_path: Path) -> None:
    """Length-delimited events are handed on unread, even when they are empty or no message at all."""
    events = [b"", b"\xff not a message", bytes(300), b"x"]

    assert list(read_events([_file(tmp_path, b"".join(map(delimited, events)))])) == events


@pytest.mark.parametrize("content", [(EXEC_LINE + "\n").encode(), delimited(b"abc")], ids=["json", "delimited"])
def test_gzipped_files_are_read_like_plain_ones(tmp_path: Path, content: bytes) -> None:
    """Either format may be gzipped, under any name."""
    zipped = _file(tmp_path, gzip.compress(content))

    assert list(read_events([zipped])) == list(read_events([_file(tmp_path, content, "plain")]))


def test_several_files_are_read_in_the_order_given(tmp_path: Path) -> None:
    """Files of different formats may stand side by side."""
    first, second = _file(tmp_path, delimited(b"abc"), "a"), _file(tmp_path, THROTTLE_LINE, "b")

    throttle, abc = list(read_events([second, first]))
    assert abc == b"abc"
    assert list(read_events([first, second, second])) == [abc, throttle, throttle]


def test_empty_file_has_no_events(tmp_path: Path) -> None:
    """An empty file is not an error here; whether it makes sense is the caller's question."""
    assert list(read_events([_file(tmp_path, b"")])) == []


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (f"{EXEC_LINE}\n{EXEC_LINE[:-5]}\n", "line 2: is not JSON: "),
        (f"{EXEC_LINE}\n[1]\n", "line 2: is a JSON value but not an object"),
        (f"{EXEC_LINE}\n{{}}\n", "line 2: has no event of a known kind"),
        (f'{EXEC_LINE}\n{{"process_dns":{{}}}}\n', "line 2: GetEventsResponse has no field process_dns"),
        (
            f'{EXEC_LINE}\n{{"process_exec":{{"process":{{"pid":"hunter2"}}}}}}',
            "line 2: the value of process.pid does not fit the field",
        ),
        (
            f'{EXEC_LINE}\n{{"process_throttle":{{}},"process_exec":{{}}}}',
            "line 2: is not a Tetragon event",
        ),
        (EXEC_LINE.encode() + b'\n{"node_name":"\xff"}', "line 2: is not UTF-8"),
        (f"{EXEC_LINE}\n{'[' * 200_000}", "line 2: is nested too deeply"),
        (delimited(b"abc") + b"\x05abc", "entry 2 at byte 4: the file ends after 3 of its 5 bytes"),
        (delimited(b"abc") + b"\x80", "entry 2 at byte 4: the file ends inside the length"),
        (delimited(b"abc") + b"\xff" * 9, "entry 2 at byte 4: does not begin with a length"),
        (b"\xff\xff\xff\xff\x7f", "entry 1 at byte 0: declares 34359738367 bytes, more than the "),
        (gzip.compress(delimited(b"abc") * 99, mtime=0)[:-12], "ends in the middle of its gzip stream"),
        (gzip.compress(b"abc", mtime=0)[:10] + b"\xff" * 20, "its gzip stream is damaged"),
    ],
)
def test_broken_files_are_refused_by_name_and_place(tmp_path: Path, content: str | bytes, problem: str) -> None:
    """An error names file, line or entry, and what is wrong there."""
    path = _file(tmp_path, content)

    assert _error(path).startswith(f"{path}: {problem}")


INDENTED = json.dumps(json.loads(EXEC_LINE), indent=2)
CRI = "2026-11-30T02:00:05.123456789Z stdout F "


def _served(path: Path) -> tuple[list[str], list[str]]:
    """Kinds of the events that are read, and what is said of the rest."""
    unread: list[EventFileError] = []
    kinds = [
        GetEventsResponse.FromString(event).WhichOneof("event") or "" for event in read_events([path], unread.append)
    ]
    return kinds, [str(one).removeprefix(f"{path}: ") for one in unread]


@pytest.mark.parametrize(
    "content",
    [
        f"{INDENTED}\n{INDENTED}\n",
        f"{INDENTED}\n{EXEC_LINE}\n",
        f"[{EXEC_LINE},{EXEC_LINE}]",
        f"[\n{EXEC_LINE},\n{EXEC_LINE}\n]\n",
        f"[{EXEC_LINE},\n{EXEC_LINE}]\n",
        json.dumps([json.loads(EXEC_LINE)] * 2, indent=4),
        f"{CRI}{EXEC_LINE}\n{CRI}{EXEC_LINE}\n",
        f"{CRI[:-2]}P {EXEC_LINE[:20]}\n{CRI}{EXEC_LINE[20:]}\n{CRI}{EXEC_LINE}\n",
        "\n".join(json.dumps({"log": EXEC_LINE + "\n", "stream": "stdout", "time": "t"}) for _ in range(2)),
        f"\ufeff{EXEC_LINE}\n{EXEC_LINE}\n",
        f"{EXEC_LINE}\r\n{EXEC_LINE}\r\n",
    ],
    ids=[
        "indented",
        "indented, then a line",
        "array on a line",
        "array of lines",
        "array with brackets at the ends",
        "indented array",
        "CRI",
        "CRI in parts",
        "Docker",
        "BOM",
        "CRLF",
    ],
)
def test_export_is_read_in_every_form_in_which_it_is_found(tmp_path: Path, content: str) -> None:
    """Editors, scripts and container runtimes wrap the lines; the events are the same, gzipped or not."""
    for number, encoded in enumerate((content.encode(), gzip.compress(content.encode()))):
        path = _file(tmp_path, encoded, f"events-{number}")
        assert _served(path) == (["process_exec"] * 2, [])
        assert set(read_events([path])) == set(read_events([_file(tmp_path, EXEC_LINE, "plain")]))


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (EXEC_LINE[:-20], "line 2: is not JSON"),
        (EXEC_LINE[: EXEC_LINE.index("{", 5) + 1], "line 2: is not JSON"),
        (INDENTED[:40], "line 2: the value that begins here is cut off"),
        ("time=2026-11-30T02:00:00Z level=info msg=started", "line 2: is not JSON"),
        ('{"process_connect":{}}', "line 2: GetEventsResponse has no field process_connect"),
        ('{"process_exec":{},"time":"2026-11-30t02:00:00z"}', "line 2: the value of time does not fit"),
        ('{"process_exec":{"process":{"binary":"\\ud800"}}}', "line 2: "),
        ("null", "line 2: is a JSON value but not an object"),
        ("9" * 5_000, "line 2: "),
        (f"{CRI}{EXEC_LINE[:-9]}", "line 2: is not JSON"),
    ],
)
def test_line_that_is_no_event_is_named_and_costs_no_other(tmp_path: Path, bad: str, problem: str) -> None:
    """Rotation cuts a line, an agent of another edition has kinds of its own: the good lines around it are served."""
    kinds, unread = _served(_file(tmp_path, f"{EXEC_LINE}\n{bad}\n{THROTTLE_LINE}\n"))

    assert kinds == ["process_exec", "process_throttle"]
    assert len(unread) == 1
    assert unread[0].startswith(problem)


def test_log_may_begin_with_other_lines(tmp_path: Path) -> None:
    """The first lines of an agent's output are not events, and do not make a file of text one of protobuf."""
    log = 'time="2026-11-30T02:00:00Z" level=info msg="Starting tetragon"'
    kinds, unread = _served(_file(tmp_path, f"{log}\n{log}\n{EXEC_LINE}\n"))

    assert kinds == ["process_exec"]
    assert [one.split(":")[0] for one in unread] == ["line 1", "line 2"]


def test_value_that_never_ends_is_named_by_its_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An indented file that was cut, and one that is larger than any event."""
    assert _served(_file(tmp_path, f"{EXEC_LINE}\n{INDENTED[:40]}")) == (
        ["process_exec"],
        ["line 2: the file ends before the value that begins here"],
    )
    monkeypatch.setattr(event_files, "MAX_ENTRY_BYTES", 1_000)
    endless = "{\n" + '"a": [1,\n' * 300
    assert "has over 1000 bytes" in _served(_file(tmp_path, endless))[1][0]


def test_errors_do_not_quote_values(tmp_path: Path) -> None:
    """A value that does not fit is named by its field only, because recordings hold private data."""
    line = '{"process_exec":{"process":{"arguments":["hunter2"],"pid":"hunter2"}}}'

    assert "hunter2" not in _error(_file(tmp_path, line))


def test_events_before_the_broken_place_are_delivered(tmp_path: Path) -> None:
    """Reading is lazy: what stands before an error has been yielded when it is raised."""
    events = read_events([_file(tmp_path, f"{EXEC_LINE}\nnonsense")])

    assert GetEventsResponse.FromString(next(events)).WhichOneof("event") == "process_exec"
    with pytest.raises(EventFileError, match="line 2"):
        next(events)


def test_fields_of_newer_agents_are_left_out_and_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An export with fields that the contract lacks is served without them, and a warning says how many lines."""
    newer = '{"process_exec":{"process":{"exec_id":"bjox"},"novelty":1}}'
    with caplog.at_level(logging.WARNING):
        events = _events(_file(tmp_path, f"{EXEC_LINE}\n{newer}\n{newer}\n"))

    assert [event.process_exec.process.exec_id for event in events] == ["bjox"] * 3
    assert "2 lines have fields" in caplog.text
    assert "first in line 2" in caplog.text


def test_entries_over_the_limit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line or event that exceeds the limit is refused before it fills the memory."""
    monkeypatch.setattr(event_files, "MAX_ENTRY_BYTES", 50)

    assert "line 1: is longer than the 50 bytes" in _error(_file(tmp_path, EXEC_LINE))
    assert "declares 51 bytes, more than the 50" in _error(_file(tmp_path, delimited(bytes(51))))


def test_missing_file_and_folder_are_refused(tmp_path: Path) -> None:
    """What cannot be opened is named with the system's reason."""
    assert "No such file" in _error(tmp_path / "absent")
    assert "Is a directory" in _error(tmp_path)


def test_recorded_samples_are_read_whole() -> None:
    """Every line of the real recordings becomes an event of a known kind."""
    folder = os.environ.get("CALLSTREAM_SAMPLES_DIR")
    if not folder:
        pytest.skip("CALLSTREAM_SAMPLES_DIR is not set: the recordings are not part of the project")
    path = Path(folder) / "cilium_tetragon.jsonl"

    events = _events(path)

    assert len(events) == len(path.read_text().splitlines())
    assert {event.WhichOneof("event") for event in events} > {"process_exec", "process_exit", "process_kprobe"}
