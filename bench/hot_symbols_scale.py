"""A million distinct symbols through the hot-symbol stage: `python -m bench.hot_symbols_scale [--symbols N]`.

Every call has twelve frames with a symbol of their own, so nothing repeats: the most expensive load. Measured
are the stage's peak memory, what a symbol costs from the call to the published row, and how long a worker takes from
its start to its first commit with its tables as they were, and with its folder deleted, so that both are recovered
from their changelogs.
"""

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from agents.contract import OutRecord
from agents.hot_symbols.reading.evidence import RESOLUTIONS
from agents.hot_symbols.reading.meaning import PLACE_FIELDS
from app.embedded.broker import EmbeddedBroker
from app.provision.sizing import FEW_PARTITIONS
from app.stages.worker import registered_id
from bench.figures import Row, Table, cpu_seconds, record, text_of
from bench.hot_symbols import Bench, calls
from schemas import avro_wire, topics
from schemas.call_layout import CallLayout
from schemas.records import CALL, parsed_schema

FRAMES: Final = 12
_STACK_AT: Final = avro_wire.SCHEMA_HEADER_BYTES + 33 + 9 + 1
"""Position of the stack: behind frame, event id, time and probe type."""

_BASIS_SYMBOL: Final = 1
"""Index of `Symbol` in the Avro enum OffsetBasis."""


def distinct_calls(bench: Bench, symbols: int) -> Iterator[tuple[int, OutRecord]]:
    """Calls like one that the stages made, but whose stacks have symbols that no other has."""
    layout = CallLayout(registered_id(bench.settings, topics.CALLS), parsed_schema(CALL), PLACE_FIELDS)
    assert layout.regular is not None
    made = [out.value for _, out in calls(bench.settings, 4_000) if out.value is not None]
    value = next(one for one in made if layout.decode(one)["probe_type"] == "Kprobe")
    before, rest = value[:_STACK_AT], value[layout.regular.stack.skip(value, _STACK_AT) :]
    rest = rest[: -len(_source(**layout.decode(value)["source"]))]
    for number in range(symbols // FRAMES):
        offset, partition = divmod(number, FEW_PARTITIONS)
        frames = [_frame(number * FRAMES + index) for index in range(FRAMES)]
        stack = avro_wire.sized_array(frames)
        yield partition, OutRecord(None, before + stack + rest + _source(partition, offset), 0)


def _source(partition: int, offset: int) -> bytes:
    return avro_wire.long(partition) + avro_wire.long(offset)


def _frame(number: int) -> bytes:
    """A user frame of one of a hundred libraries; the symbol has the length of an ordinary mangled name."""
    return b"".join(
        (
            avro_wire.text(f"/usr/lib/libservice{number % 100}.so.1"),
            avro_wire.text(f"_ZN7service6detail{number:09d}handleERKNS_7RequestE"),
            avro_wire.long(number % 4_096),
            b"\x00" + avro_wire.NULL + avro_wire.NULL,  # user space; no source file and no line
            avro_wire.optional_text(f"{number % 100:040x}"),
            avro_wire.long(_BASIS_SYMBOL),
            avro_wire.long(RESOLUTIONS.index("Exact")),
            avro_wire.NULL,
        )
    )


class Scale(Bench):
    """One worker over all of it."""

    def start(self) -> subprocess.Popen[bytes]:
        """Start the stage as an operator does."""
        command = [sys.executable, "-m", "app", "worker", "--stage", "hot-symbols"]
        return subprocess.Popen(command, env=self.environ | {"CALLSTREAM_HTTP_PORT": "0"}, stderr=subprocess.DEVNULL)

    def await_no_lag(self) -> float:
        """Wait until everything is counted and published; returns when it was."""
        while self.lag():
            time.sleep(0.1)
        return time.monotonic()

    def fill(self, symbols: int) -> Row:
        """All symbols, each seen once."""
        sent = list(distinct_calls(self, symbols))
        self.send(sent)
        worker, began = self.start(), time.monotonic()
        seconds = self.await_no_lag() - began
        figures = {"seconds": seconds, "CPU µs/symbol": 1e6 * cpu_seconds(worker.pid) / symbols, **_memory(worker.pid)}
        _stop(worker)
        return Row("a symbol, from call to row", figures)

    def restart(self, name: str, *, folder_lost: bool) -> Row:
        """From a start to the first commit of one more call."""
        if folder_lost:
            shutil.rmtree(self.settings.data_dir)
        repeated = next(distinct_calls(self, FRAMES))
        worker, began = self.start(), time.monotonic()
        self.send([repeated])
        seconds = self.await_no_lag() - began
        figures = {"seconds": seconds, **_memory(worker.pid)}
        _stop(worker)
        return Row(name, figures)


def _stop(worker: subprocess.Popen[bytes]) -> None:
    worker.send_signal(signal.SIGTERM)
    worker.wait(30)


def _memory(pid: int) -> dict[str, int]:
    """Resident memory now and at its highest, which is what counts."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    found = {line.split(":")[0]: int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("Vm")}
    return {"memory MB": found["VmRSS"], "peak MB": found["VmHWM"]}


def run(symbols: int) -> Table:
    """Fill, restart, recover."""
    with tempfile.TemporaryDirectory(prefix="callstream-bench-") as name, EmbeddedBroker(Path(name)) as broker:
        scale = Scale(broker, Path(name), "scale.")
        rows = [scale.fill(symbols)]
        disk_mbytes = sum(path.stat().st_size for path in scale.settings.data_dir.rglob("*") if path.is_file()) >> 20
        rows.append(scale.restart("start to commit, tables there", folder_lost=False))
        rows.append(scale.restart("start to commit, tables lost", folder_lost=True))
    settings = {"symbols": symbols, "frames": FRAMES, "partitions": FEW_PARTITIONS, "disk MB": disk_mbytes}
    note = "The difference of the last two rows is the recovery of both tables."
    return Table("Hot symbols: as many distinct ones", settings, rows, note)


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", type=int, default=1_000_000)
    table = run(parser.parse_args().symbols)
    record("hot_symbols_scale", [table])
    print(text_of(table))


if __name__ == "__main__":
    main()
