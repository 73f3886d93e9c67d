"""What the simulated agent says of itself: a JSON file, read again for each question, so a test changes it on cue.

    {"info": {"version": "v1.8.0"}, "policies": [{"id": 1, "name": "tls", "state": "TP_STATE_ENABLED"}]}

`info` is a GetInfoResponse and `policies` has TracingPolicyStatus, both as protobuf's JSON. `"status"` instead names
the gRPC status with which both questions are refused.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from google.protobuf.json_format import ParseDict, ParseError

from app.operators.regular_files import read_regular_text
from app.simulator.grpc_connection import Status
from app.simulator.selection import CallRefusal
from schemas.tetragon.policies_pb2 import GetInfoResponse, ListTracingPoliciesResponse

LIST_POLICIES: Final = "/tetragon.FineGuidanceSensors/ListTracingPolicies"
GET_INFO: Final = "/tetragon.FineGuidanceSensors/GetInfo"

_MAX_BYTES: Final = 4 << 20
"""As much as a message of an agent has at most."""
_KEYS: Final = frozenset({"info", "policies", "status"})


@dataclass(frozen=True, slots=True)
class AgentFile:
    """The file; it may come, change and go while the simulator runs."""

    path: Path

    def answer(self, method: str) -> bytes | CallRefusal | None:
        """The encoded answer to a question; None for a method that is none of the two.

        A file that cannot be read refuses the call with INTERNAL, and says why.
        """
        if method not in {LIST_POLICIES, GET_INFO}:
            return None
        try:
            said = _said(self.path)
            if "status" in said:
                return CallRefusal(Status[said["status"]], "the file of the agent says so")
            if method == GET_INFO:
                return ParseDict(said.get("info", {}), GetInfoResponse()).SerializeToString()
            listed = {"policies": said.get("policies", [])}
            return ParseDict(listed, ListTracingPoliciesResponse()).SerializeToString()
        except (OSError, ValueError, KeyError, TypeError, RecursionError, ParseError) as error:
            return CallRefusal(Status.INTERNAL, f"{self.path.name}: {error}")


def _said(path: Path) -> Mapping[str, Any]:
    said = json.loads(read_regular_text(path, _MAX_BYTES))
    if not isinstance(said, dict) or not said.keys() <= _KEYS:
        raise ValueError(f"is not an object with {', '.join(sorted(_KEYS))} alone")
    return said
