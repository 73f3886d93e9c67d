"""Field numbers of a canonical event (`CanonicalEvent` in proto/callstream/canonical.proto; a test compares).

An event is its head (schemas/canonical_head.py) and its parts in ascending field order, so one event has one encoding.
Each part is encoded once, with its tag and length, and an event is their concatenation.
"""

from typing import Final

PROCESS: Final = 6
WORKLOAD: Final = 7
TID: Final = 8
PARENT: Final = 9
ANCESTORS: Final = 10
PROBE: Final = 11
STACK: Final = 12
ARGUMENTS: Final = 13
DATA: Final = 14
RETURN_VALUE: Final = 15
EXIT: Final = 16
NODE: Final = 17
