"""VEX documents are read by programs that are not ours: OpenVEX's library, CycloneDX's schema, a validator of CSAF."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from app.vulnerabilities.vex_documents import VexFormat
from tests.support import tools
from tests.support.signed_runs import KEY
from tests.support.vex_scene import PRODUCTS, VexScene, answer, read, vex_scene
from tests.support.vulnerable_files import CVE


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> VexScene:
    """Verdicts of several kinds."""
    return vex_scene(tmp_path_factory.mktemp("vex"))


def _vex_check(path: Path) -> dict[str, Any]:
    program = tools.vex_check()
    if program is None:
        pytest.skip("OpenVEX's own library is not here: `make tools` builds it with Go")
    done = subprocess.run((program, path), check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _csaf_check(path: Path) -> str:
    program = tools.csaf_check()
    if program is None:
        pytest.skip("the validator of CSAF is not here: `make tools` fetches it with npm")
    done = subprocess.run(("node", program, path), check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_library_of_openvex_reads_both_editions(scene: VexScene) -> None:
    """Every statement is valid to it, and has the status that the verdict means."""
    first, _ = scene.write(VexFormat.OPENVEX, answer())
    second, _ = scene.write(VexFormat.OPENVEX, days=1, previous=first)
    old, new = _vex_check(first), _vex_check(second)
    [image, shop, *others] = old["statements"]

    assert [one["products"][0]["@id"] for one in (image, shop)] == list(PRODUCTS)
    assert {one["status"] for one in (image, shop)} == {"affected"}
    assert {one["status"] for one in others} == {"fixed", "not_affected"}
    assert (new["@id"], new["version"]) == (old["@id"], 2)
    assert {one["status"] for one in new["statements"]} == {"under_investigation", "fixed", "not_affected"}


def test_a_cyclonedx_document_keeps_to_the_strict_schema(scene: VexScene) -> None:
    """In both editions, with the evidence of each vulnerability as properties."""
    first, _ = scene.write(VexFormat.CYCLONEDX, answer())
    second, _ = scene.write(VexFormat.CYCLONEDX, days=1, previous=first)
    for path in (first, second):
        assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(path.read_text()) is None
    broken = {**read(first), "vulnerabilities": [{"id": CVE, "analysis": {"state": "perhaps"}}]}
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(broken)) is not None


def test_a_validator_of_csaf_passes_both_editions(scene: VexScene) -> None:
    """Schema and mandatory tests, those of the profile among them."""
    first, _ = scene.write(VexFormat.CSAF, answer())
    second, _ = scene.write(VexFormat.CSAF, days=1, previous=first)
    assert "tests" in _csaf_check(first)
    assert "tests" in _csaf_check(second)


def test_another_dsse_library_gives_back_the_openvex_document(scene: VexScene, tmp_path: Path) -> None:
    """The predicate is the document, byte for byte what its file says, and products with a digest are subjects."""
    program = tools.dsse_check()
    if program is None:
        pytest.skip("the DSSE library of others is not here: `make tools` builds it with Go")
    private, public = tmp_path / "private.pem", tmp_path / "public.pem"
    private.write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    path, _ = scene.write(VexFormat.OPENVEX, answer(), days=2, key=private)

    command = (program, path.with_name(f"{path.stem}.dsse.json"), public)
    statement = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)

    assert statement["predicateType"] == "https://openvex.dev/ns/v0.2.0"
    assert statement["predicate"] == read(path)
    said = subprocess.run(("sha256sum", path), check=True, capture_output=True, text=True).stdout.split()[0]
    assert statement["subject"][0] == {"name": path.name, "digest": {"sha256": said}}
    assert {"name": PRODUCTS[0], "digest": {"sha256": "4f" * 32}} in statement["subject"]
    assert path.with_suffix(".tsq").exists()
