"""How commands say which records of a topic they could not use."""

import json
from typing import Any

from app.kafka.refused import RefusedRecords
from app.operators.printing import echo


def say_unreadable(command: str, refused: RefusedRecords, *, as_json: bool = False) -> None:
    """Write a line for each topic and reason to standard error, or all of it as one line of JSON.

    Standard output is left alone: there each line is a document of the answer.
    """
    if as_json:
        for document in filter(None, [unreadable(refused)]):
            echo(json.dumps(document), err=True)
        return
    for line in refused.lines():
        echo(f"callstream {command}: {line}", err=True)


def unreadable(refused: RefusedRecords) -> dict[str, Any]:
    """What a document of JSON says of the records that could not be used: nothing if there are none."""
    documents = refused.documents()
    return {"unreadable": documents} if documents else {}
