"""`callstream dead-letters retry` that is killed, or stopped for a while, while it writes.

Run as a program: `python -m tests.support.dying_retry TOPIC NUMBER SIGNAL`, with settings in the environment. The
process sends itself the signal before it writes this record of the topic (`copies` or `notes`). All else is the
command, with small steps and a short session. If it lives on, the brokers answer its next question late: after all that
waited in its producer would have been sent.
"""

import os
import signal
import sys
import time
from typing import Any, Final

from agents.contract import OutRecord
from app.__main__ import cli
from app.dead_letters import resend, turn
from app.dead_letters.resend import Resender
from app.kafka.group_members import member_names
from app.settings import Settings

AT_ONCE: Final = 50
SESSION_SECONDS: Final = 6
"""The shortest that brokers allow."""

ANSWER_IS_GOOD_SECONDS: Final = 1.0
_WRITING_SECONDS: Final = 4

COPIES: Final = "copies"
NOTES: Final = "notes"


def main(what: str, number: str, name: str) -> None:
    """Run until the record is due."""
    resend.AT_ONCE = AT_ONCE  # type: ignore[misc]  # several steps for few events
    turn.SESSION_SECONDS = SESSION_SECONDS  # type: ignore[misc]
    turn.ANSWER_IS_GOOD_SECONDS = ANSWER_IS_GOOD_SECONDS  # type: ignore[misc]
    resend.WRITING_SECONDS = _WRITING_SECONDS  # type: ignore[attr-defined]
    produce, ask, left = Resender._produce, member_names, [int(number)]

    def ask_slowly(settings: Settings, group: str) -> frozenset[str]:
        turn.member_names = ask  # type: ignore[attr-defined]
        time.sleep(_WRITING_SECONDS + 1)
        return ask(settings, group)

    def produce_or_die(self: Resender, topic: str, partition: int, record: OutRecord, on_delivery: Any) -> bool:
        if (COPIES if topic == self._raw else NOTES) == what:
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.Signals[name])
                turn.member_names = ask_slowly  # type: ignore[attr-defined]
        return produce(self, topic, partition, record, on_delivery)

    Resender._produce = produce_or_die  # type: ignore[method-assign]
    cli(["dead-letters", "retry", "--json"])


if __name__ == "__main__":
    main(*sys.argv[1:])
