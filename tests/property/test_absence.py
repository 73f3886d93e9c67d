"""No answer is "never" of what ran, no frame is sure of a wrong name, and "not seen" has a reason that is so.

A model by seed: random histories of calls, losses and restarts, and an oracle that knows what ran.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.support.absence_files import made_store
from tests.support.absence_history import END_S, made_history
from tests.support.absence_oracle import made_watches, objections, wrong_frames
from tests.support.absence_run import Stages

STORES = 10
HISTORIES = 10_000
"""In `make test`; ten times as many in `make prove`."""


@pytest.mark.proof
@pytest.mark.slow(reason="ten thousand histories")
def test_no_history_gets_a_wrong_answer(
    tmp_path: Path, seed: int, size: int, record_property: Callable[[str, object], None]
) -> None:
    """0 wrong NeverHit and NeverEntered, 0 wrong Exact, and no NotSeen without need."""
    rng = Random(seed)
    answers: Counter[str] = Counter()
    for number in range(STORES):
        stages = Stages(made_store(tmp_path / str(number), rng))
        for _ in range(HISTORIES * size // STORES):
            history = made_history(rng.randrange(1 << 60), stages.known)
            frames, rows = stages.frames_and_rows(history)
            asked = made_watches(history)
            found = stages.answers(history, [one.watch for one in asked], rows, END_S)
            wrong = wrong_frames(frames)
            for one, answer in zip(asked, found, strict=True):
                answers[answer["answer"]] += 1
                wrong += [f"{one.watch}: {why}" for why in objections(history, one, answer)]
            assert not wrong, f"{history}\n" + "\n".join(wrong)
    assert min(answers[kind] for kind in ("Hit", "NeverHit", "NeverEntered", "NotSeen")) > HISTORIES / 100
    for kind, times in sorted(answers.items()):
        record_property(kind, times)
