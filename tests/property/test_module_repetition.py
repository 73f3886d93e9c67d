"""What an event sees of its modules follows from the events before it: not from crashes, batches or what came later."""

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.canonicalize.modules import ModuleIndex
from agents.canonicalize.process_modules import decode_row, rows_before
from agents.symbols.lookup import Unresolved
from tests.support.symbol_maps import host_scope

NOWHERE = host_scope("n")
PATHS = ("/usr/lib/a.so", "/usr/lib/b.so", "/usr/lib/c.so", "/usr/lib/d.so")
MAX_PROCESSES, MAX_ENDED, MAX_MODULES = 2, 2, 3


@dataclass(frozen=True)
class Happened:
    """A record: a loader event where it has a build, an exit, or a call."""

    process: str
    path: str = ""
    build: int = 0
    is_exit: bool = False


records = st.builds(Happened, st.sampled_from("vwxyz"), st.sampled_from(PATHS), st.integers(0, 3), st.just(False))
exits = st.builds(Happened, st.sampled_from("vwxyz"), is_exit=st.just(True))
histories = st.lists(st.one_of(records, records, exits), max_size=40)

Rows = dict[bytes, bytes]
View = tuple[str | Unresolved | None, ...]


def new_index() -> ModuleIndex:
    """An index that forgets early."""
    return ModuleIndex(max_processes=MAX_PROCESSES, max_ended=MAX_ENDED, max_modules=MAX_MODULES)


def take(index: ModuleIndex, offset: int, happened: Happened) -> View:
    """Have the index take one record; what it sees of its process's files."""
    resolver = index.resolver(index.context(0, offset, happened.process, NOWHERE, 0))
    seen = tuple(resolver.build_id(path) for path in PATHS)
    if happened.is_exit:
        index.end(0, offset, (NOWHERE.node, happened.process))
    elif happened.build:
        index.observe(0, offset, (NOWHERE.node, happened.process), happened.path, bytes([happened.build]) * 20)
    return seen


def keep(index: ModuleIndex, rows: Rows) -> None:
    """Write what changed, as the table does."""
    for key, row in index.take_changes(0).items():
        if row is None:
            rows.pop(key, None)
        else:
            rows[key] = row


class Model:
    """The rules, as plainly as they can be written."""

    def __init__(self) -> None:
        self.loaded: dict[str, dict[str, int]] = {}
        self.latest: dict[str, int] = {}
        self.ended: dict[str, int] = {}

    def take(self, offset: int, happened: Happened) -> View:
        """What a record sees, and then what it changes."""
        process = happened.process
        own = self.loaded.get(process, {})
        seen = tuple(bytes([own[path]] * 20).hex() if path in own else None for path in PATHS)
        if happened.is_exit:
            if own:
                self.ended.setdefault(process, offset)
        elif happened.build not in {0, own.get(happened.path)} and (happened.path in own or len(own) < MAX_MODULES):
            self.loaded.setdefault(process, {})[happened.path] = happened.build
            self.latest[process] = offset
        running = [one for one in self.loaded if one not in self.ended]
        ended = [one for one in self.loaded if one in self.ended]
        if len(running) > MAX_PROCESSES:
            del self.loaded[min(running, key=self.latest.__getitem__)]
        if len(ended) > MAX_ENDED:
            del self.loaded[min(ended, key=self.ended.__getitem__)]
        return seen


@given(histories)
def test_what_is_seen_follows_the_rules(history: list[Happened]) -> None:
    """Running processes beyond the limit, ended ones beyond theirs, and files of one process beyond the third."""
    index, model = new_index(), Model()

    for offset, happened in enumerate(history):
        assert take(index, offset, happened) == model.take(offset, happened)


@settings(max_examples=300)
@given(history=histories, data=st.data())
def test_repeated_records_see_what_they_saw(history: list[Happened], data: st.DataObject) -> None:
    """Crashes in any place, repetition from any committed position, releases in between: the same views, every time."""
    plain = new_index()
    expected = [take(plain, offset, happened) for offset, happened in enumerate(history)]
    rows: Rows = {}
    index, at, committed = new_index(), 0, 0

    for _ in range(data.draw(st.integers(0, 6))):
        until = data.draw(st.integers(at, len(history)))
        for offset in range(at, until):
            assert take(index, offset, history[offset]) == expected[offset]
            if data.draw(st.booleans()):
                index.release(0, committed)
                keep(index, rows)
        committed = data.draw(st.integers(committed, max(committed, until)))
        if data.draw(st.booleans()):
            keep(index, rows)
        else:
            committed = min(committed, at)  # nothing is committed before its rows are kept
        index, at = new_index(), committed
        index.restore(0, sorted(rows.items()))  # as a table gives them
    for offset in range(at, len(history)):
        assert take(index, offset, history[offset]) == expected[offset]
    index.release(0, len(history))
    keep(index, rows)
    assert all(entry.until is None for row in rows.values() for entry in decode_row(row).loaded)


@given(history=histories, data=st.data())
def test_rows_give_the_state_that_any_earlier_record_saw(history: list[Happened], data: st.DataObject) -> None:
    """A replay that begins in the middle sees what the stage saw, by rows that were written later."""
    index = new_index()
    rows: Rows = {}
    expected = [take(index, offset, happened) for offset, happened in enumerate(history)]
    keep(index, rows)
    begin = data.draw(st.integers(0, len(history)))
    replayed = new_index()
    replayed.restore(0, rows_before(sorted(rows.items()), begin))

    for offset in range(begin, len(history)):
        assert take(replayed, offset, history[offset]) == expected[offset]
