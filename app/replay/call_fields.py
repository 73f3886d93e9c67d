"""Two calls side by side, field by field.

Rules: paths are written as in `stack_frames[3].symbol`; a value is shown as JSON. This module refuses to know where the
calls come from.
"""

import io
import json
import re
from collections.abc import Iterator
from typing import Any, Final

import fastavro

from app.evidence.documents import Difference, differences
from schemas import avro_wire, records

_CALL: Final = records.parsed_schema(records.CALL)
_CALLS: Final = fastavro.parse_schema({"type": "array", "items": _CALL})

_INDEX: Final = re.compile(r"\[\d+\]")


def decode(body: bytes) -> dict[str, Any]:
    """A call from its Avro body, without frame. Raises ValueError where it is none."""
    try:
        found = fastavro.schemaless_reader(io.BytesIO(body), _CALL, _CALL)
    except (EOFError, ValueError, IndexError, KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"no call of our schema ({type(error).__name__})") from None
    assert isinstance(found, dict)
    return found


def decode_block(count: int, payload: bytes) -> list[dict[str, Any]]:
    """The calls of a container file's block. Raises ValueError."""
    content = b"".join((avro_wire.long(count), payload, avro_wire.END_OF_BLOCKS))
    try:
        found: Any = fastavro.schemaless_reader(io.BytesIO(content), _CALLS, _CALLS)
    except (EOFError, ValueError, IndexError, KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"no calls of our schema ({type(error).__name__})") from None
    return list(found)


def field_differences(left: dict[str, Any], right: dict[str, Any]) -> list[Difference]:
    """Every field that differs, in the order of the schema's fields."""
    order = {field["name"]: number for number, field in enumerate(_CALL["fields"])}
    return sorted(differences(left, right), key=lambda one: order.get(re.split(r"[.\[]", one.path)[0], len(order)))


def kind_of(path: str) -> str:
    """A path without its indices, to count by: `stack_frames[].symbol`."""
    return _INDEX.sub("[]", path)


def shown(call: dict[str, Any]) -> str:
    """A call as one line of JSON."""
    return json.dumps(call, ensure_ascii=False, sort_keys=True)


def position_of(call: dict[str, Any]) -> tuple[int, int]:
    """Partition and offset of the raw record."""
    return call["source"]["partition"], call["source"]["offset"]


def lines_of(found: list[Difference], left: str, right: str) -> Iterator[str]:
    """Differences for a person to read, `left` and `right` naming the sides."""
    width = max((len(one.path) for one in found), default=0)
    for one in found:
        yield f"  {one.path:<{width}}  {left} {one.left}"
        yield f"  {'':<{width}}  {right} {one.right}"
