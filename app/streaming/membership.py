"""Which worker of its group a process is: an index that no other process has.

The index is part of the name under which a process is in its group (Kafka's `group.instance.id`). A process that comes
back under its name within the session keeps its partitions. Two processes under one name push each other out of the
group without end, and each sends the same records again and again. So an index is claimed before the group is joined:

- On one host, a lock file for each group and index decides, in a folder that is the same for all data folders. A lock
  in the index's own folder is for containers, which may share a data folder and nothing else.
- Hosts may have the same name, as containers do. So an index is also taken if the group has a member of that name,
  unless the member is from the same data folder: then it is this worker, before a restart.

Two processes may still meet, if they start at the same moment. `Rivalry` notices that while the stage runs.
"""

import fcntl
import hashlib
import logging
import os
import re
import secrets
import socket
import stat
import tempfile
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from app.files.folders import make_private
from app.files.replacing import replace_file
from app.kafka.group_members import group_members
from app.operators.errors import OperatorError
from app.processes.process_end import ExitCode
from app.settings import Settings

log = logging.getLogger(__name__)

MAX_INDEX: Final = 4096

EXPIRY_SECONDS: Final = 15.0
"""A member that died leaves its group when its session of ten seconds is over."""

RIVALS: Final = 2
"""Foreign members under our name before a process ends: one may be our own whose answer from the broker was lost."""

JOINS: Final = 10
JOINS_SECONDS: Final = 30.0
"""So many new member ids of our own in so short a time, and somebody takes them. Each look at the group may happen to
find us. Without a rival a process gets another id where its session is over, or a rebalance went by without it."""

_PAUSE_SECONDS: Final = 1.0
_MARK: Final = "member"
"""File in the folder of an index with a random word, part of the client id: it tells data folders apart."""
_WORD: Final = re.compile(rb"[0-9a-f]{8}")

Members = Callable[[], Mapping[str, str]]
"""Client ids of a group's members by their names in the group."""


class IndexTakenError(OperatorError):
    """Another process has the index that an operator wants, or all are taken; the message says what to do."""

    exit_code = ExitCode.INDEX_TAKEN


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a worker is in its group: `member` stays the same from run to run, `client_id` tells data folders apart."""

    member: str
    client_id: str
    folder: Path
    """For the state of this index, which no other process may open."""


@dataclass(frozen=True, slots=True)
class Claim:
    """An index that is ours while the locks are open."""

    index: int
    locks: tuple[IO[str], ...]

    def release(self) -> None:
        """Let others have the index."""
        for lock in self.locks:
            lock.close()


def data_dir(settings: Settings, group: str, index: int) -> Path:
    """Folder with the state of one worker of a group (unprefixed), which no other process may open."""
    return settings.data_dir / settings.name(group) / f"worker-{index}"


def member_name(settings: Settings, group: str, index: int) -> str:
    """Name of a worker of this host in its group (unprefixed)."""
    return f"{settings.name(group)}-{socket.gethostname()}-{index}"


def identity_of(settings: Settings, group: str, index: int) -> Identity:
    """The identity that belongs to an index of this host and data folder; makes its folder. Raises OSError."""
    folder, member = data_dir(settings, group, index), member_name(settings, group, index)
    if (trouble := make_private(folder)) is not None:
        log.warning("%s", trouble)
    mark = _mark(folder)
    if mark is None:
        mark = secrets.token_hex(4)
        replace_file(folder / _MARK, mark.encode())
    return Identity(member, f"{member}-{mark}", folder)


def disown(folder: Path) -> None:
    """Make the next start with this folder take its index only if no member of the group has it."""
    (folder / _MARK).unlink(missing_ok=True)


def claim(settings: Settings, group: str, wish: int | None, cluster: str, members: Members) -> Claim:
    """Claim the index `wish`, or any that is free; indexes that this data folder has state of come first.

    `group` is unprefixed, `cluster` is the id of the Kafka cluster. Raises IndexTakenError; OSError if the lock's
    folder cannot be used; and what `members` raises.
    """
    return (
        _claim_free(settings, group, cluster, members)
        if wish is None
        else _claim_wish(settings, group, wish, cluster, members)
    )


def _claim_free(settings: Settings, group: str, cluster: str, members: Members) -> Claim:
    present = members()
    for index in _candidates(settings, group):
        found = _locked(settings, group, cluster, index)
        if isinstance(found, Claim):
            if _is_free(settings, group, index, present):
                return found
            found.release()
    raise IndexTakenError(f"all {MAX_INDEX + 1} indexes of {settings.name(group)} are taken on this host")


def _claim_wish(settings: Settings, group: str, wish: int, cluster: str, members: Members) -> Claim:
    """A member that died without its data folder is waited for until its session is over."""
    name = settings.name(group)
    found = _locked(settings, group, cluster, wish)
    if isinstance(found, str):
        raise IndexTakenError(f"index {wish} of {name} is taken by process {found} of this host; {_ADVICE}")
    deadline = time.monotonic() + EXPIRY_SECONDS
    while not _is_free(settings, group, wish, members()):
        if time.monotonic() > deadline:
            found.release()
            raise IndexTakenError(
                f"index {wish} of {name} is taken by a worker with another data folder, on a host that is also named "
                f"{socket.gethostname()}; {_ADVICE}"
            )
        time.sleep(_PAUSE_SECONDS)
    return found


_ADVICE: Final = "leave out --index and CALLSTREAM_WORKER_INDEX to take a free one"


def _candidates(settings: Settings, group: str) -> Iterator[int]:
    names = (path.name.removeprefix("worker-") for path in data_dir(settings, group, 0).parent.glob("worker-*"))
    known = sorted(index for name in names if name.isdecimal() and (index := int(name)) <= MAX_INDEX)
    yield from known
    yield from (index for index in range(MAX_INDEX + 1) if index not in known)


def _is_free(settings: Settings, group: str, index: int, present: Mapping[str, str]) -> bool:
    member = member_name(settings, group, index)
    mark = _mark(data_dir(settings, group, index))
    return member not in present or present[member] == f"{member}-{mark}"


def _mark(folder: Path) -> str | None:
    """The word that is kept in the folder; None if there is none, or if it is damaged."""
    try:
        mark = (folder / _MARK).read_bytes()
    except FileNotFoundError:
        return None
    return mark.decode() if _WORD.fullmatch(mark) else None


def _locked(settings: Settings, group: str, cluster: str, index: int) -> Claim | str:
    """The index with its locks, or the process that has one of them."""
    on_host = hashlib.sha256(f"{cluster}\0{member_name(settings, group, index)}".encode()).hexdigest()[:32]
    first = _lock(_lock_folder() / f"{on_host}.lock")
    if isinstance(first, str):
        return first
    folder = data_dir(settings, group, index)
    make_private(folder)
    second = _lock(folder / "lock")
    if isinstance(second, str):
        first.close()
        return second
    return Claim(index, (first, second))


def _lock(path: Path) -> IO[str] | str:
    """The file, locked; or the process that has it, if another one has."""
    lock = open(path, "a+", opener=lambda file, flags: os.open(file, flags | os.O_NOFOLLOW, 0o600))  # noqa: SIM115 - held
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        with lock:
            lock.seek(0)
            return lock.readline().strip() or "unknown"
    with suppress(OSError):  # a full disk costs a name in a message
        os.ftruncate(lock.fileno(), 0)
        os.write(lock.fileno(), f"{os.getpid()}\n".encode())
    return lock


def _lock_folder() -> Path:
    """A folder of this host and user only. Raises OSError if somebody else has made it."""
    folder = Path(tempfile.gettempdir()) / f"callstream-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(f"{folder} is not a folder of this user: remove it, or set TMPDIR")
    folder.chmod(0o700)
    return folder


def client_ids(settings: Settings, group: str) -> dict[str, str]:
    """Client ids of a group's members by their names in the group. `group` is the full name.

    Raises what `group_members` raises.
    """
    return {one.name: one.client_id for one in group_members(settings, group) if one.name}


@dataclass(slots=True)
class Rivalry:
    """Tells from samples whether other processes join the group under our name. Feed it in the order of time."""

    _joins: deque[float] = field(default_factory=lambda: deque(maxlen=JOINS))
    """When we got our last member ids, in seconds."""
    _suspects: dict[str, int] = field(default_factory=dict)
    """Member ids that are not ours, with how many ids of our own we had when each was seen first."""

    def joined(self, at_seconds: float) -> None:
        """This process has another member id from then on."""
        self._joins.append(at_seconds)

    def feed(self, own: Collection[str], holder: str | None) -> str | None:
        """Take all member ids that this process has ever had, and the one that is in the group now under our name.

        A member id that is not ours may be one that we are about to have. It is a rival's if we have got another one
        since. Returns why the process should end, or None.
        """
        if holder is not None and holder not in own:
            self._suspects.setdefault(holder, len(own))
        rivals = [one for one, known in self._suspects.items() if one not in own and len(own) > known]
        is_pushed = len(self._joins) == JOINS and self._joins[-1] - self._joins[0] <= JOINS_SECONDS
        if len(rivals) < RIVALS and not is_pushed:
            return None
        return (
            "another process is in the consumer group under the same name and pushes this one out again and again: "
            f"its host has the same name and its worker the same index; {_ADVICE}"
        )
