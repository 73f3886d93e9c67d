"""`callstream workload`: makes a file of events for demos, tests and benchmarks."""

from collections.abc import Iterator
from typing import Any, BinaryIO

import click

from app.operators.printing import print_answer
from app.progress import Progress
from app.simulator.event_files import delimited
from app.simulator.workload.binaries import mapped_binaries
from app.simulator.workload.generator import SHARES, NoSuchKindError, Workload, WorkloadOptions


def _share(_context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> dict[str, float]:
    """The shares of the option's KIND=SHARE texts; the usual shares if there are none."""
    shares: dict[str, float] = {}
    for text in texts:
        kind, _, share = text.partition("=")
        try:
            shares[kind] = float(share)
        except ValueError:
            raise click.BadParameter(f"{text!r} is not KIND=SHARE") from None
        if shares[kind] < 0:
            raise click.BadParameter(f"{text!r} has a share below 0")
    return shares or dict(SHARES)


@click.command(name="workload")
@click.option("--events", type=click.IntRange(1), default=100_000, show_default=True, help="How many events.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same events.")
@click.option(
    "--out", type=click.File("wb"), required=True, metavar="FILE", help="File to write; - is standard output."
)
@click.option(
    "--canaries",
    "canary_share",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    metavar="SHARE",
    help="Share of the events that carry a secret in every text and byte field.",
)
@click.option(
    "--share",
    "shares",
    multiple=True,
    callback=_share,
    metavar="KIND=SHARE",
    help="Make only this kind of event, with this weight; may be repeated.",
)
@click.option(
    "--processes", type=click.IntRange(1, 10_000), default=64, show_default=True, help="Long-lived processes."
)
@click.option("--json", "as_json", is_flag=True, help="Print what was written as one line of JSON.")
def command(
    *,
    events: int,
    seed: int,
    out: BinaryIO,
    canary_share: float,
    shares: dict[str, float],
    processes: int,
    as_json: bool,
) -> None:
    """Make events as a fleet of nodes makes them, for load tests.

    The output is length-delimited protobuf for `callstream tetragon-sim`. User frames are real offsets of real
    functions in this machine's libc, libpython, libssl and others, and loader events carry their true build ids. So a
    symbol store of these files resolves them. Processes, pods and stacks repeat as they do on real hosts. With
    --canaries, a unique secret stands in every text and byte field of some events of every kind; nothing public may
    ever contain one. The same options give the same bytes on the same machine.

    \b
    Exit codes:
      0  written
      1  this machine has no files to take functions from
      2  wrong options
    Example:
      callstream workload --events 100000 --seed 7 --canaries 0.05 --out events.bin
      callstream workload --events 50000 --share kprobe=9 --share exec=1 --out kprobes.bin
    """
    options = WorkloadOptions(events=events, seed=seed, canary_share=canary_share, shares=shares, processes=processes)
    try:
        workload = Workload(options)
    except NoSuchKindError as error:
        raise click.BadParameter(str(error), param_hint="--share") from None
    written = 0
    with Progress() as progress:
        for event in progress.each(workload.events(), "events made", events):
            written += out.write(delimited(event))
    summary = _summary(workload, events, written)
    print_answer(summary, _lines(summary), as_json=as_json, err=out.name == "<stdout>")


def _summary(workload: Workload, events: int, written: int) -> dict[str, Any]:
    return {
        "events": events,
        "bytes": written,
        "bytes_per_event": round(written / events),
        "frames_per_event": round(workload.frames / events, 1),
        "kinds": dict(workload.kinds.most_common()),
        "canaries": len(workload.planted()),
        "binaries": {role: str(binary.file) for role, binary in sorted(mapped_binaries().items())},
    }


def _lines(summary: dict[str, Any]) -> Iterator[str]:
    kinds = ", ".join(f"{count} {kind}" for kind, count in summary["kinds"].items())
    size = f"{summary['bytes_per_event']} bytes and {summary['frames_per_event']} frames"
    yield f"{summary['events']} events of {size} on average: {kinds}"
    yield f"{summary['canaries']} canaries may be among them; functions are from"
    yield from (f"  {file}" for file in summary["binaries"].values())
