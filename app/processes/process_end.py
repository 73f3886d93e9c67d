"""The ways in which a process ends on purpose when its machinery is broken.

The end is immediate, as after a SIGKILL, which every part of callstream survives; only a log line comes before it.
That line holds nothing of an event, and only the class of an exception.
"""

import logging
import os
from collections.abc import Callable
from enum import IntEnum
from typing import NoReturn

log = logging.getLogger(__name__)


class ExitCode(IntEnum):
    """Exit codes of a stage process beyond 0, after BSD's sysexits.h where one fits."""

    UNAVAILABLE = 69  # EX_UNAVAILABLE: Kafka or the registry cannot be used; a restart helps as soon as they can
    BROKEN_STEP = 70  # EX_SOFTWARE: a step or an agent raised
    STATE_UNUSABLE = 73  # EX_CANTCREAT: the state folder is in use, or the disk refuses
    DELIVERY_FAILED = 74  # EX_IOERR: Kafka refused a record for good
    NO_PROGRESS = 75  # EX_TEMPFAIL: the watchdog saw no commit while the source grew
    DRAIN_OVERDUE = 76  # work in progress did not end in time for a shutdown or a rebalance
    FRAMEWORK_CRASHED = 77  # a Faust service died
    WRONG_STATE = 78  # EX_CONFIG: topics and state contradict each other; a restart does not help
    STATE_DAMAGED = 79  # local state was found damaged, and is rebuilt at the next start
    TOO_MANY_REFUSED = 80  # more records were refused than an operator allows; a restart does not help
    INDEX_TAKEN = 81  # another process has this worker's index; one that is free helps
    SENDS_AGAIN = 82  # the same records were sent again and again, and none of it was committed
    FOREIGN_RECORD = 83  # a topic that only the stage may write has a record of others; a restart does not help
    FILE_DAMAGED = 84  # a file that a step reads is damaged or gone; a restart helps as soon as it is repaired


Fail = Callable[[ExitCode, str], NoReturn]
"""Ends the process; tests pass one that raises."""


def end_process(code: ExitCode, reason: str) -> NoReturn:
    """Log `reason` (which holds nothing of an event) and end the process at once, from any thread."""
    log.critical("ending: %s", reason, extra={"facts": {"exitCode": int(code), "exitName": code.name}})
    for handler in logging.getLogger().handlers:
        handler.flush()
    os._exit(code)
