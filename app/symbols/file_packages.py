"""What an ELF file says of itself: what it was built from, the kind of its build id, and its digest."""

from hashlib import sha256

from agents.vulnerabilities.advisory import AdvisoryRefusal
from agents.vulnerabilities.file_packages import FileContent, FilePackages, without_private
from agents.vulnerabilities.go_build import GoBuild, GoBuildRefusal, read_go_build
from app.symbols.audited_crates import audited_crates
from app.symbols.elf import ElfStructure
from app.symbols.go_build_info import go_build_texts


def packages_in(data: memoryview, structure: ElfStructure) -> FilePackages:
    """What a file says of itself. A part that cannot be read is named, and costs no other one."""
    unread = []
    go = _go_build(data, structure)
    if isinstance(go, GoBuildRefusal):
        unread.append(f"Go's build information: {go.fault.value}, line {go.line}")
    crates = audited_crates(data, structure)
    if isinstance(crates, AdvisoryRefusal):
        unread.append(f"crates of cargo-auditable: {crates.fault.value} ({crates.where})")
    segments = tuple((one.file_offset, one.size, one.address) for one in structure.segments)
    return FilePackages(
        structure.build_id_kind,
        (FileContent(sha256(data).hexdigest(), segments),),
        without_private(go) if isinstance(go, GoBuild) else None,
        None if isinstance(crates, AdvisoryRefusal) else crates,
        is_packed=structure.is_packed,
        unread=tuple(unread),
    )


def _go_build(data: memoryview, structure: ElfStructure) -> GoBuild | GoBuildRefusal | None:
    texts = go_build_texts(data, structure)
    return None if texts is None else read_go_build(texts.go_version, texts.modules)
