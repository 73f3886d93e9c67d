"""Reads calls with the Python client in an environment that has nothing of the pipeline, and prints what it read.

`python client_reader.py GROUP FILE` prints a line of JSON for each batch, when its position is committed. When FILE is
there, it reads what is left, and ends. It is a program of its own, so it imports nothing but the client.
"""

import json
import sys
from pathlib import Path

from callstream_client import CallStream, Connection


def main(group: str, no_more: Path) -> None:
    """Read until a file says that no more will come."""
    connection = Connection.from_env(more={"session.timeout.ms": 6_000})  # a killed member is not waited for long
    with CallStream(connection, group=group, max_records=200) as calls:
        is_last = False
        while not is_last:
            is_last = no_more.exists()
            for batch in calls.batches(idle_s=1):
                places = [one.record.source for one in batch.records]
                calls.commit(batch)
                told = {"repeated": batch.repeated, "refused": len(batch.refused), "lost": len(batch.lost)}
                line = {"events": [[place.partition, place.offset] for place in places], **told}
                sys.stdout.write(json.dumps(line) + "\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
