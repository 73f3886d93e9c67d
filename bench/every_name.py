"""No name of a file gets a wrong answer: `python -m bench.every_name FILE...`.

Prints how many names of each file got which answer, by what ran, and every exception, and records the table;
tests/support/every_name.py says what is proved. CALLSTREAM_TEST_SEED chooses what runs. Exits 1 if there is an
exception.
"""

import sys
import tempfile
import time
from pathlib import Path

from bench.figures import Row, Table, record, text_of
from tests.support.every_name import prove
from tests.support.run_size import run_seed


def main() -> None:
    """Prove each file and print its table."""
    exceptions = 0
    tables: list[Table] = []
    for name in sys.argv[1:]:
        file = Path(name).resolve()
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            proof = prove(file, Path(folder), run_seed())
        rows = [
            Row(f"{way.value}: {answer}", {"names": count})
            for way, counts in proof.answers.items()
            for answer, count in sorted(counts.items())
        ]
        settings = {
            "names": proof.names,
            "copies that another reader confirms": proof.confirmed_copies,
            "seed": run_seed(),
        }
        settings["exceptions"] = len(proof.exceptions)
        tables.append(Table(f"{file.name} in {time.monotonic() - began:.0f} s", settings, rows))
        print(text_of(tables[-1]))
        print(*proof.exceptions, sep="\n")
        exceptions += len(proof.exceptions)
    record("every_name", tables)
    print(f"{exceptions} exceptions")
    sys.exit(1 if exceptions else 0)


if __name__ == "__main__":
    main()
