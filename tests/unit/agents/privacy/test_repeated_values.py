"""agents/privacy/repeated_values.py: what one text of an event gave away goes from its other free texts only."""

from google.protobuf import json_format

from agents.canonicalize.events import Canonicalizer
from agents.canonicalize.outcomes import Canonical
from agents.privacy.calls import FilteredCall, PrivacyFilter
from agents.privacy.policy_file import built_in_policy
from agents.privacy.redaction.engine import RedactionEngine
from schemas import avro_wire, records
from schemas.tetragon.events_pb2 import GetEventsResponse

_SECRET = "Zq7wordX9"


def _process(arguments: str, exec_id: str, **more: object) -> dict[str, object]:
    return {
        "exec_id": exec_id,
        "pid": 10,
        "uid": 0,
        "cwd": "/srv",
        "binary": "/usr/bin/mysql",
        "arguments": arguments,
        "flags": "execve",
        "start_time": "2026-01-01T00:00:00Z",
        **more,
    }


def _call(privacy: PrivacyFilter, offset: int, arguments: str, parent: str, **kprobe: object) -> dict[str, object]:
    """The call of a kprobe of a process with these arguments, whose parent has those."""
    pod = {"namespace": "shop", "name": f"web-{_SECRET}"}
    event = {
        "process_kprobe": {
            "process": _process(arguments, "bm9kZTE6MTox", pod=pod),
            "parent": _process(parent, "bm9kZTE6MDow"),
            "function_name": "security_file_open",
            "action": "KPROBE_ACTION_POST",
            "policy_name": "p",
            **kprobe,
        },
        "node_name": "node1",
        "time": "2026-01-01T00:00:01Z",
    }
    raw = json_format.ParseDict(event, GetEventsResponse()).SerializeToString()
    canonical = Canonicalizer({}).canonicalize(raw, 0, offset, 0)
    assert isinstance(canonical, Canonical)
    outcome = privacy.filter(canonical.value)
    assert isinstance(outcome, FilteredCall), outcome
    call: dict[str, object] = records.decode(records.CALL, avro_wire.schema_header(0) + outcome.body)
    return call


def _privacy() -> PrivacyFilter:
    policy = built_in_policy("default")
    return PrivacyFilter(policy, RedactionEngine(policy.choices))


def test_secret_of_a_process_goes_from_its_parent_and_the_message() -> None:
    """A comment, an argument and a message repeat it; the name of the pod stays, for it is not free text."""
    call = _call(
        _privacy(),
        1,
        f"-uroot -p{_SECRET} db",
        f"-e x # {_SECRET}",
        message=f"saw {_SECRET}",
        args=[{"string_arg": f"got {_SECRET} twice {_SECRET}"}],
    )
    pod = str(call.pop("pod_name", ""))
    assert _SECRET not in str(call)
    assert _SECRET in pod
    assert "repeated" in str(call["redaction"])


def test_nothing_is_remembered_from_one_event_to_the_next() -> None:
    """The same word beside no secret stays."""
    privacy = _privacy()
    assert _SECRET not in str(_call(privacy, 1, f"-p{_SECRET} db", f"# {_SECRET}")["parent"])
    assert _SECRET in str(_call(privacy, 2, "-uroot db", f"# {_SECRET}")["parent"])


def test_a_place_that_an_option_names_erases_no_evidence() -> None:
    """`--token=` may be given a file, and the call may be about that file."""
    library = "/usr/lib/libssl.so.3"
    call = _call(
        _privacy(), 1, f"--token={library} x", "x", args=[{"file_arg": {"path": library}}, {"string_arg": library}]
    )
    assert str(call["call_arguments"]).count(library) == 2
