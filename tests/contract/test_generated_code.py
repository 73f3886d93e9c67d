"""The committed protobuf code is what the .proto files give."""

import pytest

from tests.support.generate_proto import ROOT, committed, generate


@pytest.fixture(name="generated", scope="module")
def _generated() -> dict[str, str]:
    return {path.as_posix(): text for path, text in generate().items()}


def test_regenerating_gives_the_committed_files(generated: dict[str, str]) -> None:
    """Running protoc on proto/ gives the committed modules byte for byte, none missing and none left over."""
    on_disk = {path.as_posix(): (ROOT / path).read_text(encoding="utf-8") for path in committed()}

    assert sorted(on_disk) == sorted(generated)
    assert [path for path, text in generated.items() if on_disk[path] != text] == [], "run `make proto` and commit"


def test_generating_twice_gives_the_same_text(generated: dict[str, str]) -> None:
    """Generating depends on nothing that changes between two runs."""
    assert {path.as_posix(): text for path, text in generate().items()} == generated


def test_generated_modules_import_each_other_by_their_place_in_the_project(generated: dict[str, str]) -> None:
    """No generated module imports from a top-level package named after a folder of proto/."""
    lines = [line for text in generated.values() for line in text.splitlines()]

    assert not [line for line in lines if line.startswith(("from tetragon", "from callstream", "import tetragon"))]
