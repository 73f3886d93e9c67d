"""Commands that come and go in a generated load: each run is a process of its own, with an exec and an exit.

They make a reader's caches miss: their identity is new each time while everything else about them repeats.
"""

from collections import deque
from random import Random
from typing import Final, NamedTuple

from app.simulator.workload.fleet import BOOT_SECONDS, MAX_PID, MIN_PID, Command, cluster_fields
from app.simulator.workload.templates import (
    MortalTemplate,
    ProcessIdentity,
    event_time,
    full_time,
    identity,
    mortal,
    set_exit_sentinel,
    set_sentinels,
)
from schemas.tetragon.events_pb2 import GetEventsResponse, ProcessExec, ProcessExit
from schemas.units import NS_PER_SECOND

_MAX_RUNNING: Final = 256
"""Commands that run at a time; beyond it the oldest exits unseen, as when the agent loses an exit."""

_EXEC_NS: Final = 250_000
"""From the start of a process to the event that reports it."""


class _RunningCommand(NamedTuple):
    exit_template: MortalTemplate
    who: ProcessIdentity


class Commands:
    """The commands of a fleet, and those that run."""

    def __init__(self, commands: tuple[Command, ...], rng: Random, start_seconds: int) -> None:
        self._rng = rng
        self._boot_ns = (start_seconds - BOOT_SECONDS) * NS_PER_SECOND
        self._commands = [(command.node, _exec(command), _exit(command)) for command in commands]
        self._running: deque[_RunningCommand] = deque(maxlen=_MAX_RUNNING)

    @property
    def running(self) -> bool:
        """Whether there is one that can end."""
        return bool(self._running)

    def start(self, time_ns: int) -> bytes:
        """A command starts; the event of its exec."""
        rng = self._rng
        node, exec_template, exit_template = self._commands[rng.randrange(len(self._commands))]
        started_ns = time_ns - _EXEC_NS
        who = identity(node, rng.randint(MIN_PID, MAX_PID), started_ns, started_ns - self._boot_ns)
        self._running.append(_RunningCommand(exit_template, who))
        return exec_template.of(who, event_time(time_ns), b"")

    def end(self, time_ns: int) -> bytes:
        """The command that has run longest ends; the event of its exit."""
        exit_template, who = self._running.popleft()
        return exit_template.of(who, event_time(time_ns), full_time(time_ns))


def _exec(command: Command) -> MortalTemplate:
    event = GetEventsResponse(node_name=command.node)
    _set_who(event.process_exec, command)
    return mortal(event, cluster_fields())


def _exit(command: Command) -> MortalTemplate:
    event = GetEventsResponse(node_name=command.node)
    _set_who(event.process_exit, command)
    set_exit_sentinel(event)
    return mortal(event, cluster_fields())


def _set_who(body: ProcessExec | ProcessExit, command: Command) -> None:
    body.process.CopyFrom(command.process)
    body.parent.CopyFrom(command.parent)
    set_sentinels(body.process)
