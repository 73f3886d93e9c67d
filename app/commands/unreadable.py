"""How commands say which records of a topic they could not use."""

from app.kafka.refused import RefusedRecords
from app.operators.json_text import json_text
from app.operators.printing import echo


def say_unreadable(command: str, refused: RefusedRecords, *, as_json: bool = False) -> None:
    """Write a line for each topic and reason to standard error, or all of it as one line of JSON.

    Standard output is left alone: there each line is a document of the answer.
    """
    if as_json:
        if document := refused.document():
            echo(json_text(document), err=True)
        return
    for line in refused.lines():
        echo(f"callstream {command}: {line}", err=True)
