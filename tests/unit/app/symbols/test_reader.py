"""Files are read in a process with limits, and whatever a file does to that process is an answer."""

import os
import signal
import sys
from pathlib import Path

import pytest

from app.symbols.file_refusal import FileRefusalReason
from app.symbols.index_builder import MAX_FILE_BYTES
from app.symbols.limited_reader import FileRefusal, LimitedReader
from app.symbols.reader import Built
from app.symbols.store import index_digest, open_index
from tests.support.elf_files import ElfFile, ElfSymbol

PROGRAM = ElfFile((ElfSymbol("first", 0x1000, 0x20), ElfSymbol("second", 0x1100, 0x40)))


def written(folder: Path, content: bytes, name: str = "program") -> Path:
    """A file with this content."""
    path = folder / name
    path.write_bytes(content)
    return path


def test_program_is_probed_and_indexed(tmp_path: Path) -> None:
    """The index that the process wrote opens, and its checksum is its name."""
    path = written(tmp_path, PROGRAM.encode())
    with LimitedReader() as reader:
        probe = reader.probe(path)
        built = reader.build(path, None, tmp_path / "index", with_lines=False)

    assert not isinstance(probe, FileRefusal)
    assert (probe.build_id, probe.has_code, probe.has_symtab) == (bytes(range(20)).hex(), True, True)
    assert isinstance(built, Built)
    index = open_index(tmp_path / "index", built.build_id, index_digest(memoryview((tmp_path / "index").read_bytes())))
    assert index.range_count == built.functions == 2


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", FileRefusalReason.NOT_ELF),
        (b"\x7fE", FileRefusalReason.NOT_ELF),
        (b"#!/bin/sh\n", FileRefusalReason.NOT_ELF),
        (b"\x7fELF", FileRefusalReason.MALFORMED),
        (PROGRAM.encode()[:100], FileRefusalReason.MALFORMED),
    ],
)
def test_content_that_is_no_program_is_refused(tmp_path: Path, content: bytes, reason: FileRefusalReason) -> None:
    """Each kind of nonsense has its reason, and the next file is read all the same."""
    with LimitedReader() as reader:
        refused = reader.probe(written(tmp_path, content, "nonsense"))
        after = reader.probe(written(tmp_path, PROGRAM.encode()))

    assert isinstance(refused, FileRefusal)
    assert refused.reason is reason
    assert not isinstance(after, FileRefusal)


def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    """A FIFO without a writer, a folder, a link and a missing file end at once."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("program")
    written(tmp_path, PROGRAM.encode())
    with LimitedReader(seconds=20) as reader:
        reasons = {name: reader.probe(tmp_path / name) for name in ("fifo", ".", "link", "missing")}

    assert {name: r.reason for name, r in reasons.items() if isinstance(r, FileRefusal)} == {
        "fifo": FileRefusalReason.NOT_A_FILE,
        ".": FileRefusalReason.NOT_A_FILE,
        "link": FileRefusalReason.UNREADABLE,
        "missing": FileRefusalReason.UNREADABLE,
    }


def test_file_larger_than_the_limit_is_refused(tmp_path: Path) -> None:
    """A sparse file of any size is not mapped."""
    path = written(tmp_path, PROGRAM.encode())
    os.truncate(path, MAX_FILE_BYTES + 1)
    with LimitedReader() as reader:
        refused = reader.probe(path)

    assert isinstance(refused, FileRefusal)
    assert refused.reason is FileRefusalReason.TOO_LARGE


def test_debug_file_of_another_program_is_refused(tmp_path: Path) -> None:
    """Names of another build would be wrong names."""
    path = written(tmp_path, PROGRAM.encode())
    other = written(tmp_path, ElfFile(PROGRAM.symtab, build_id=bytes(20)).encode(), "other")
    with LimitedReader() as reader:
        refused = reader.build(path, other, tmp_path / "index", with_lines=False)

    assert isinstance(refused, FileRefusal)
    assert refused.reason is FileRefusalReason.MALFORMED


def test_file_without_build_id_is_known_by_its_content(tmp_path: Path) -> None:
    """The SHA-256 of the whole file stands in, so two different files never share an index."""
    paths = [written(tmp_path, ElfFile(PROGRAM.symtab, build_id=b"", text=t).encode(), t.hex()) for t in (b"a", b"b")]
    with LimitedReader() as reader:
        probes = [reader.probe(path) for path in paths]

    ids = {probe.build_id for probe in probes if not isinstance(probe, FileRefusal)}
    assert {len(build_id) for build_id in ids} == {64}
    assert len(ids) == 2


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import time; time.sleep(60)", FileRefusalReason.TOO_SLOW),
        ("import os, signal; os.kill(os.getpid(), signal.SIGBUS)", FileRefusalReason.READER_DIED),
        ("input(); print('half an ans', end='')", FileRefusalReason.READER_DIED),
    ],
)
def test_process_that_hangs_or_dies_is_an_answer(tmp_path: Path, code: str, reason: FileRefusalReason) -> None:
    """A parser that loops or crashes costs one file and the time limit, and the process is gone."""
    with LimitedReader(seconds=1.0) as reader:
        reader.process._command = (sys.executable, "-c", code)
        refused = reader.probe(tmp_path / "x")
        gone = reader.process._process

    assert isinstance(refused, FileRefusal)
    assert refused.reason is reason
    assert gone is None


def test_reader_is_replaced_after_it_was_killed(tmp_path: Path) -> None:
    """The out-of-memory killer may take the process at any time; the next file has a new one."""
    path = written(tmp_path, PROGRAM.encode())
    with LimitedReader() as reader:
        assert not isinstance(reader.probe(path), FileRefusal)
        running = reader.process._process
        assert running is not None
        os.kill(running.pid, signal.SIGKILL)
        running.wait()

        assert isinstance(reader.probe(path), FileRefusal)
        assert not isinstance(reader.probe(path), FileRefusal)
