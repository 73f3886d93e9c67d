"""What `callstream replay --sign` writes is verified by programs that are not ours: a Go DSSE library, and openssl."""

import base64
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from app.__main__ import cli
from tests.support import tools
from tests.support.archives import load_parts
from tests.support.signed_runs import KEY, make_evidence

_AUTHORITY: Final = """
[ca]
basicConstraints = critical,CA:true
[stamps]
extendedKeyUsage = critical,timeStamping
[tsa]
default_tsa = authority
[authority]
serial = serial
default_policy = 1.2.3.4.1
digests = sha256
signer_digest = sha256
ess_cert_id_alg = sha256
"""


def _openssl(folder: Path, *arguments: str | Path) -> None:
    done = subprocess.run(("openssl", *arguments), cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a signed run, its archive, and the public key as key.pem."""
    folder = tmp_path_factory.mktemp("signed")
    make_evidence(folder, load_parts(events=200, partitions=2))
    pem = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / "key.pem").write_bytes(pem)
    return folder


def _verified(folder: Path, *options: str | Path) -> Result:
    return CliRunner().invoke(cli, ["replay", "--verify", str(folder / "run"), "--processes", "1", *map(str, options)])


def _envelope(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "run" / "manifest.dsse.json").read_text())
    return found


def test_a_go_library_verifies_the_envelope_and_reads_a_runtime_trace(signed: Path) -> None:
    """It gives back the statement: about this manifest, with every field that the predicate requires."""
    program = tools.dsse_check()
    if program is None:
        pytest.skip("the DSSE library of others is not here: `make tools` builds it with Go")
    command = (program, signed / "run" / "manifest.dsse.json", signed / "key.pem")
    statement = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)

    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://in-toto.io/attestation/runtime-trace/v0.1"
    (subject,) = statement["subject"]
    said = subprocess.run(("sha256sum", signed / "run" / subject["name"]), check=True, capture_output=True, text=True)
    assert subject["digest"] == {"sha256": said.stdout.split()[0]}
    trace = statement["predicate"]
    assert trace["monitor"]["type"]
    assert {"hostID", "type", "event"} <= trace["monitoredProcess"].keys()
    assert [one["partition"] for one in trace["monitorLog"]["process"]] == [0, 1]


def test_a_go_library_refuses_a_changed_envelope(signed: Path, tmp_path: Path) -> None:
    """Otherwise its yes would say nothing."""
    program = tools.dsse_check()
    if program is None:
        pytest.skip("the DSSE library of others is not here: `make tools` builds it with Go")
    envelope = _envelope(signed)
    payload = base64.b64decode(envelope["payload"]).replace(b'"records":', b'"record":', 1)
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps({**envelope, "payload": base64.b64encode(payload).decode()}))
    assert subprocess.run((program, changed, signed / "key.pem"), check=False, capture_output=True).returncode == 1


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl")
def test_openssl_verifies_the_signature(signed: Path, tmp_path: Path) -> None:
    """Over the bytes that DSSE names, made here from the file alone."""
    envelope = _envelope(signed)
    kind, payload = envelope["payloadType"].encode(), base64.b64decode(envelope["payload"])
    (tmp_path / "bytes").write_bytes(b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload))
    (tmp_path / "signature").write_bytes(base64.b64decode(envelope["signatures"][0]["sig"]))
    asked = ("-verify", "-pubin", "-inkey", signed / "key.pem", "-rawin", "-in", "bytes", "-sigfile", "signature")
    _openssl(tmp_path, "pkeyutl", *asked)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl")
def test_an_authority_stamps_the_time_and_both_programs_check_it(signed: Path, tmp_path: Path) -> None:
    """An answer to the query beside the manifest proves the time; none, or one of another root or text, does not."""
    folder, run = tmp_path, shutil.copytree(signed, tmp_path / "evidence") / "run"
    (folder / "conf").write_text(_AUTHORITY)
    (folder / "serial").write_text("01")
    new = ("-newkey", "ed25519", "-nodes", "-days", "2")
    _openssl(folder, "req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=root")
    _openssl(folder, "req", "-x509", *new, "-keyout", "other.key", "-out", "other.pem", "-subj", "/CN=other")
    request = ("-newkey", "rsa:2048", "-nodes", "-keyout", "tsa.key", "-out", "tsa.csr", "-subj", "/CN=stamps")
    _openssl(folder, "req", *request)
    issued = ("-in", "tsa.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2", "-out", "tsa.pem")
    _openssl(folder, "x509", "-req", *issued, "-extfile", "conf", "-extensions", "stamps")
    trusting = ("--public-key", signed / "key.pem", "--time-stamp-ca")
    assert "has no time-stamp" in _verified(folder / "evidence", *trusting, folder / "ca.pem").output

    made = ("-queryfile", run / "manifest.tsq", "-signer", "tsa.pem", "-inkey", "tsa.key", "-out", run / "manifest.tsr")
    _openssl(folder, "ts", "-reply", "-config", "conf", "-section", "authority", *made)
    checked = ("-queryfile", run / "manifest.tsq", "-in", run / "manifest.tsr", "-CAfile", "ca.pem")
    _openssl(folder, "ts", "-verify", *checked, "-untrusted", "tsa.pem")

    unchecked = _verified(folder / "evidence")
    assert unchecked.exit_code == 0
    assert "which nobody checked: --time-stamp-ca does" in unchecked.output
    proved = _verified(folder / "evidence", *trusting, folder / "ca.pem")
    assert proved.exit_code == 0, proved.output
    assert ", before 20" in proved.output
    refused = _verified(folder / "evidence", *trusting, folder / "other.pem")
    assert refused.exit_code == 1
    assert "is not of these authorities" in refused.output

    another = (signed / "archive" / "archive.json").read_bytes()
    (folder / "other.tsq").write_bytes(another)
    _openssl(folder, "ts", "-query", "-data", "other.tsq", "-sha256", "-cert", "-out", "other.query")
    answer = ("-queryfile", "other.query", "-signer", "tsa.pem", "-inkey", "tsa.key", "-out", run / "manifest.tsr")
    _openssl(folder, "ts", "-reply", "-config", "conf", "-section", "authority", *answer)
    assert _verified(folder / "evidence", *trusting, folder / "ca.pem").exit_code == 1
