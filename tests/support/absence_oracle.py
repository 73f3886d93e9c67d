"""What can be known about a function in a history, by plain sets of what happened: the oracle of the model of absence.

It knows what ran and what was lost, and nothing of how callstream decides.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from agents.hot_symbols.watch.watch import Watch
from tests.support.absence_files import LIB, NAMES, REPLACED_S, SECOND, START_NS, TOOL, ModelFile
from tests.support.absence_history import END_S, Fault, FaultKind, History, ModelCall, Seen
from tests.support.absence_run import Frame

MARGIN_S: Final = 500
"""Around a fault in which events may be missing for it: one is late, or was looked for in turns of five minutes."""

WHOLE: Final = (-1e9, 1e9)

UNSURE_S: Final = 1_000
"""How near to the moment when a file was replaced nobody can be sure which one is meant."""

_ASKED: Final = (*NAMES, "raed")
_ROW_REASONS: Final = {"Unconfirmed", "MayBeIt", "UnnamedCode", "UnnamedEntry", "UnknownFile", "OlderSnapshot"}
_ANY_TIME: Final = {
    FaultKind.CLOCK_STEP,  # a wrong clock may say any time
    FaultKind.DELETED,
    FaultKind.MOVED,  # from the last record that was read to the next
    FaultKind.COVERAGE_UNREADABLE,  # it may have told of an hour
}


@dataclass(frozen=True, slots=True)
class ModelWatch:
    """A watch, and the files that it means."""

    watch: Watch
    files: tuple[ModelFile, ...]
    since_s: int

    @property
    def name(self) -> str:
        """The function."""
        return self.watch.symbol


def made_watches(history: History) -> list[ModelWatch]:
    """Some watches on some names of some files, some of which do not exist."""
    rng = Random(history.seed ^ 0x5EED)
    known, found = history.known, {}
    for _ in range(6):
        path, files = rng.choice(
            (
                (None, (known.old,)),
                (None, (known.new,)),
                (None, (known.tool,)),
                (LIB, (known.old, known.new, known.unmapped)),
                (TOOL, (known.tool,)),
            )
        )
        since_s = rng.choice((0, 0, rng.randint(1, END_S - 400)))
        watch = Watch(
            symbol=rng.choice(_ASKED if rng.random() < 0.1 else rng.choice(files[0].codes).names),
            module=path,
            build_id=None if path else files[0].build_id,
            since_ns=START_NS + since_s * SECOND,
            added_ns=START_NS + since_s * SECOND,
            every_call_probed=history.is_probed and rng.random() < 0.9,
        )
        found[watch.watch_id] = ModelWatch(watch, files, since_s)
    return list(found.values())


def wrong_frames(frames: Iterable[Frame]) -> list[str]:
    """Frames that are sure of something that is not so."""
    wrong = []
    for frame in frames:
        code = frame.call.file.codes[frame.call.code]
        names = {*code.names, *([frame.call.file.then[frame.call.code]] if frame.is_older else [])}
        if frame.is_exact and (frame.symbol not in names or frame.build_id != frame.call.file.build_id):
            wrong.append(
                f"Exact {frame.symbol} of {frame.build_id[:4]} for {code.names} of {frame.call.file.build_id[:4]}"
                f" at {frame.call.time_s:.0f} ({frame.call.seen.name})"
            )
    return wrong


def objections(history: History, asked: ModelWatch, answer: dict[str, Any]) -> list[str]:
    """What is wrong with an answer; empty where it is right."""
    kind, name = answer["answer"], asked.name
    until_s = (answer["complete_until_ns"] - START_NS) / SECOND
    ran = [call for call in history.calls if call.file in asked.files and _is_entry(call, name)]
    within = [call for call in ran if asked.since_s <= call.time_s < until_s]
    if kind in {"NeverHit", "NeverEntered"}:
        copied = [
            call
            for call in history.calls
            if call.file in asked.files
            and call.code in call.file.hosts(name)
            and asked.since_s <= call.time_s < until_s
        ]
        if within:
            return [f"{kind}, and it ran at {within[0].time_s:.0f}"]
        if copied and kind == "NeverHit":
            return [f"{kind}, and a copy of it ran at {copied[0].time_s:.0f}"]
        if any(file.chooses(name) for file in _present(history, asked)):
            return [f"{kind}, and what runs under the name is chosen at run time"]
        return []
    if kind == "Hit":
        by_name = [call for call in history.calls if call.file in asked.files and _is_said_by_name(call, name)]
        called = [call for call in history.calls if call.file in asked.files and _was_called_so(history, call, name)]
        return [] if any(call.arrives for call in (*ran, *by_name, *called)) else ["Hit, and no event of it came"]
    return _of_not_seen(history, asked, answer)


def _present(history: History, asked: ModelWatch) -> list[ModelFile]:
    """The files that a watch means, without one that no process has."""
    unmapped = history.known.unmapped
    return [file for file in asked.files if file is not unmapped or any(c.file is unmapped for c in history.calls)]


def _is_said_by_name(call: ModelCall, name: str) -> bool:
    """Whether the agent says that a probe on the name fired, in a file that nothing else is known of.

    It may be on code that only chooses what runs under the name.
    """
    return call.seen is Seen.PROBE_BY_NAME and call.file.codes[call.code].names[-1] == name and not call.file.is_indexed


def _was_called_so(history: History, call: ModelCall, name: str) -> bool:
    """Whether an index that is gone gave a call a name of the function."""
    names = {one for at in call.file.meaning(name) for one in call.file.codes[at].names}
    is_gone = history.known.is_older_gone and history.is_named_by_older(call)
    return is_gone and call.file.then[call.code] in names


def _is_entry(call: ModelCall, name: str) -> bool:
    return call.code in call.file.meaning(name)


def _of_not_seen(history: History, asked: ModelWatch, answer: dict[str, Any]) -> list[str]:
    reasons = {one["reason"] for one in answer["reasons"]}
    allowed = {"UnknownCopies"} | _allowed(history, asked)
    found = [f"NotSeen for {reason}, which is not so" for reason in sorted(reasons - allowed)]
    if not reasons:
        found.append("NotSeen without a reason")
    return found


def _allowed(history: History, asked: ModelWatch) -> set[str]:
    """The reasons that there are."""
    name, allowed = asked.name, set[str]()
    if not asked.watch.every_call_probed:
        allowed.add("NotHooked")
    if any(_touches(history, fault, asked) for fault in history.faults):
        allowed |= {"Gap", "Missing", "NotVouched"}
    for file in asked.files:
        if file is not history.known.unmapped:
            allowed |= _of_file(file, name)
    if any(not call.file.is_indexed or not _is_placed(call) for call in _near(history, asked)):
        allowed |= {*_ROW_REASONS, "NoIndex"}
    if any(fault.kind is FaultKind.CLOCK_STEP for fault in history.faults):
        allowed |= _ROW_REASONS  # whether a process is older than a file cannot be known
    if any(history.is_named_by_older(call) for call in _near(history, asked)):
        allowed |= _ROW_REASONS
    if any(_is_ambiguous(call, name) for call in history.calls if call.file in asked.files):
        allowed |= _ROW_REASONS
    if not asked.watch.every_call_probed or any(file.chooses(name) for file in asked.files):
        allowed |= _ROW_REASONS
    return allowed


def _near(history: History, asked: ModelWatch) -> list[ModelCall]:
    """Calls in files at the watched place, or whose file nobody may know."""
    paths = {file.path for file in asked.files}
    return [
        call
        for call in history.calls
        if call.file.path in paths or (asked.watch.build_id is not None and not _is_placed(call))
    ]


def _is_placed(call: ModelCall) -> bool:
    """Whether it can be known which file the event is about."""
    process = call.process
    if process.is_container:
        return False
    is_sure_of_old = call.time_s < REPLACED_S - UNSURE_S
    return (
        call.file.path == TOOL
        or process.has_loader_events
        or is_sure_of_old
        or process.started_s > REPLACED_S + UNSURE_S
    )


def _is_ambiguous(call: ModelCall, name: str) -> bool:
    """Whether a call is named so that it may be of the function or of another one."""
    codes = call.file.codes
    meant = call.file.meaning(name)
    called = {one for at in meant for one in codes[at].names}
    said = {codes[call.code].names[0], codes[call.code].names[-1]}
    return bool(said & called) and any(
        {at for at, code in enumerate(codes) if one in code.names} - meant for one in said & called
    )


def _of_file(file: ModelFile, name: str) -> set[str]:
    if not file.is_indexed:
        return {"NoIndex"}
    found = set()
    if file.chooses(name):
        found.add("ChosenAtRunTime")
    if file.hosts(name) and file.knows_copies:
        found.add("InlinedInto")
    if not file.meaning(name) and not (file.hosts(name) and file.knows_copies) and not file.chooses(name):
        found.add("NoSuchName")
    return found


def _touches(history: History, fault: Fault, asked: ModelWatch) -> bool:
    """Whether a fault may cost events of the time that is asked about."""
    begin, end = WHOLE if fault.kind in _ANY_TIME else (fault.from_s - MARGIN_S, fault.to_s + MARGIN_S)
    if fault.node is not None and fault.node not in history.nodes:
        return False
    return begin < END_S and end > asked.since_s
