"""Asks the agent for its policies at intervals, and writes windows of what it says to runtime.probes.

Windows end with the stream on which the agent answered, and where the node gets another name. An ingest that goes on
behind another one makes that one's windows longer, because their streams overlapped.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final, Protocol

from agents.probes.policy_tracker import PolicyTracker, PolicyWindow
from agents.probes.window_records import window_record
from app.ingest.kernel_books import KernelBooks
from app.ingest.open_windows import OpenWindows, agent_window, open_windows
from app.ingest.policy_gauges import policy_gauges
from app.ingest.policy_questions import Asked, PolicyAnswer, PolicyQuestions
from app.settings import Settings
from app.telemetry.meter import Meter
from app.tracing_policies.folder import NO_SUPPLIED_POLICIES, PolicyFolder
from schemas.node import NodeId
from schemas.probes import AgentAnswer, ProbeWindow, WindowEnd
from schemas.units import NS_PER_SECOND

_SILENT_POLLS: Final = 3
"""Answers that may be missing before nobody can say what was in between: an agent may be slow under load."""
_LOOK_SECONDS: Final = 1.0
"""Between two looks whether there is another stream, or an answer at last: until then no hook is known."""
_FLUSH_SECONDS: Final = 1.0
_MAX_UNWRITTEN: Final = 10
"""Questions whose answers say nothing new and are not written: at 10,000 nodes with forty policies each, windows that
grow with every answer would be 13,000 records a second. Answers to watches end so much earlier."""
_MAX_UNWRITTEN_SECONDS: Final = 300.0
"""Half of what a node may be behind the others before it counts as silent."""


class WindowWriter(Protocol):
    """Where windows go, as a `RecordWriter` is one."""

    def write(self, several: Iterable[ProbeWindow]) -> object:
        """Send windows."""

    def flush(self, timeout_seconds: float) -> object:
        """Wait until they are there."""


class PolicyWatch:
    """Watches the policies of one agent. `run` is a thread's work; `stop` may be called from any thread."""

    def __init__(
        self,
        questions: PolicyQuestions,
        writer: WindowWriter,
        poll_seconds: float,
        *,
        about: Callable[[], tuple[NodeId, str] | None],
        public_name: Callable[[str], str],
        tell: Callable[[PolicyAnswer], None] = lambda _: None,
        books: KernelBooks | None = None,
    ) -> None:
        """`about` is the node and the session of its records, None while the node has no name.

        `tell` is called with each answer; `books` compare what the kernel posted with what has come.
        """
        self._questions = questions
        self._writer = writer
        self._poll_seconds = poll_seconds
        self._about = about
        self._public_name = public_name
        self._tell, self._books = tell, books
        self._max_silence_ns = int(_SILENT_POLLS * poll_seconds * NS_PER_SECOND)
        self._tracker = PolicyTracker(self._max_silence_ns)
        self._of: tuple[int, NodeId, str] | None = None
        self._version = ""
        self._agent: ProbeWindow | None = None
        self._max_pause = min(_MAX_UNWRITTEN, max(1, int(_MAX_UNWRITTEN_SECONDS // poll_seconds)))
        self._pause, self._unwritten = 1, 0
        self._stopped = threading.Event()

    def run(self) -> None:
        """Ask until `stop`: at intervals, and at once where there is another stream."""
        asked_at, has_answer, wait_seconds = 0.0, False, 0.0
        while not self._stopped.wait(wait_seconds):
            wait_seconds = min(_LOOK_SECONDS, self._poll_seconds)
            is_same = self._of is not None and self._of[0] == self._questions.stream
            if has_answer and is_same and time.monotonic() - asked_at < self._poll_seconds:
                continue
            asked_at, has_answer = time.monotonic(), self.step()

    def stop(self) -> None:
        """End `run` soon."""
        self._stopped.set()

    def finish(self, *, handed_over: bool) -> None:
        """When `run` has ended: the windows end, too, unless another ingest makes them longer."""
        if not handed_over:
            self._writer.write(self._over())
        self._writer.flush(_FLUSH_SECONDS)

    def open_windows(self) -> OpenWindows | None:
        """What another ingest may go on from; None before the first question."""
        return None if self._agent is None else open_windows(self._agent, self._version, self._tracker.open_windows)

    def go_on_from(self, left: OpenWindows) -> None:
        """Before `run`: make another ingest's windows longer. Its stream overlapped with the one that is open."""
        self._tracker = PolicyTracker(self._max_silence_ns, left.policies)
        self._agent, self._version = agent_window(left), left.agent_version
        self._of = self._questions.stream or 0, left.node_id, left.session

    def step(self) -> bool:
        """Ask once, and write what changed; returns whether there was an answer."""
        if self._books is not None:
            self._books.asking()
        found, about = self._questions.ask(), self._about()
        if found is not None:
            self._tell(found)
            if self._books is not None and found.answer is AgentAnswer.ANSWERED:
                self._books.answered(found)
        if found is None or about is None:
            return False
        of = (found.stream, *about)
        if self._of is not None and self._of[:2] == of[:2]:
            of = self._of  # also under the session of an ingest before
        windows = [] if of == self._of else self._over()
        self._of, self._version = of, found.agent_version or self._version
        windows += self._agent_windows(found)
        if found.answer is AgentAnswer.ANSWERED:
            changed = self._tracker.answered(found.asked_ns, found.answered_ns, found.policies)
        else:
            changed = self._tracker.ended(WindowEnd.UNASKED)
        windows += self._records(changed)
        if self._is_due(windows):
            self._writer.write(windows)
        return True

    def _is_due(self, windows: Iterable[ProbeWindow]) -> bool:
        """Whether to write: what is new at once; that it still is so after 1, 2, 4, 8 and then each 10 questions."""
        if any(one.end is not WindowEnd.OPEN or one.from_ns == one.to_ns for one in windows):
            self._pause, self._unwritten = 1, 0
            return True
        self._unwritten += 1
        if self._unwritten < self._pause:
            return False
        self._pause, self._unwritten = min(2 * self._pause, self._max_pause), 0
        return True

    def _over(self) -> list[ProbeWindow]:
        """The end of all windows of the stream and node up to now."""
        over = self._records(self._tracker.ended())
        if self._agent is not None:
            over.append(replace(self._agent, end=WindowEnd.STREAM_ENDED))
        self._agent, self._version = None, ""
        return over

    def _records(self, windows: Iterable[PolicyWindow]) -> list[ProbeWindow]:
        if self._of is None:
            return []
        _, node, session = self._of
        return [window_record(one, node, session, self._version, self._public_name) for one in windows]

    def _agent_windows(self, found: PolicyAnswer) -> list[ProbeWindow]:
        """That of the agent itself, longer or new; the end of the one before where it now answers otherwise."""
        assert self._of is not None
        _, node, session = self._of
        before = self._agent
        silence_ns = 0 if before is None else found.asked_ns - before.to_ns
        if before is not None and before.answer is found.answer and 0 <= silence_ns <= self._max_silence_ns:
            self._agent = replace(before, to_ns=found.asked_ns, agent_version=self._version)
            return [self._agent]
        self._agent = ProbeWindow(
            node=node.name,
            cluster=node.cluster,
            session=session,
            from_ns=found.answered_ns,
            to_ns=found.answered_ns,
            answer=found.answer,
            agent_version=self._version,
        )
        over = [] if before is None else [replace(before, end=WindowEnd.CHANGED)]
        return [*over, self._agent]


def policy_watch_of(
    settings: Settings,
    stream: Asked,
    writer: WindowWriter,
    *,
    about: Callable[[], tuple[NodeId, str] | None],
    public_name: Callable[[str], str],
    meter: Meter,
    books: KernelBooks | None = None,
) -> PolicyWatch:
    """The watch that the settings describe."""
    folder = PolicyFolder(settings.tracing_policies_dir) if settings.tracing_policies_dir else None

    def digests() -> Mapping[tuple[str, str], str]:
        return (folder.look() if folder else NO_SUPPLIED_POLICIES).digests

    questions = PolicyQuestions(stream, digests)
    return PolicyWatch(
        questions,
        writer,
        settings.policy_poll_seconds,
        about=about,
        public_name=public_name,
        tell=policy_gauges(meter),
        books=books,
    )
