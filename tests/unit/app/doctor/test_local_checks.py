"""app/doctor/local_checks.py: settings, folders, secrets, symbols and policy on this machine."""

import ipaddress
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from app.doctor import local_checks
from app.doctor.findings import CheckFinding, CheckVerdict
from app.settings import Settings
from app.simulator.workload.binaries import mapped_binaries
from app.symbols.module_maps import MappedFile
from app.symbols.store_writer import StoreWriter
from tests.support.indexed_files import add_to
from tests.support.made_stores import store_with


def _said(findings: Iterable[CheckFinding], verdict: CheckVerdict) -> str:
    return "\n".join(f"{one.what} → {one.remedy}" for one in findings if one.verdict is verdict)


def test_wrong_settings_are_all_named_and_stop_the_rest() -> None:
    """Every wrong variable is a failure, a misspelled one a warning with the nearest name."""
    settings, findings = local_checks.read_settings(
        {"CALLSTREAM_PARTITIONS": "many", "CALLSTREAM_HTTP_PORT": "-1", "CALLSTREAM_HTTP_PROT": "1"}
    )

    assert settings is None
    failures = _said(findings, CheckVerdict.FAIL)
    assert "CALLSTREAM_PARTITIONS is not a whole number" in failures
    assert "CALLSTREAM_HTTP_PORT is -1" in failures
    assert "did you mean CALLSTREAM_HTTP_PORT?" in _said(findings, CheckVerdict.WARN)


def test_settings_that_differ_are_listed_by_name() -> None:
    """What an operator set is shown, without values."""
    settings, (finding,) = local_checks.read_settings({"CALLSTREAM_PARTITIONS": "12", "CALLSTREAM_LOG_LEVEL": "INFO"})

    assert settings is not None
    assert finding.verdict is CheckVerdict.OK
    assert finding.what.endswith("CALLSTREAM_PARTITIONS")


def test_a_folder_that_does_not_exist_yet_is_fine_when_it_can_be_made(tmp_path: Path) -> None:
    """The folder's nearest existing parent is what counts."""
    findings = list(local_checks.check_settings(Settings(data_dir=tmp_path / "a" / "b")))

    assert "can be written" in _said(findings, CheckVerdict.OK)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_fails(tmp_path: Path) -> None:
    """The stages keep state there."""
    tmp_path.chmod(0o500)
    findings = list(local_checks.check_settings(Settings(data_dir=tmp_path / "state")))

    assert "CALLSTREAM_DATA_DIR" in _said(findings, CheckVerdict.FAIL)


def test_a_full_disk_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """State that cannot grow stops the stages later."""
    monkeypatch.setattr(local_checks, "MIN_FREE_BYTES", 1 << 60)

    assert "MiB free" in _said(local_checks.check_settings(Settings(data_dir=tmp_path)), CheckVerdict.WARN)


def test_secrets_that_others_can_read_are_a_warning(tmp_path: Path) -> None:
    """A key file for the owner only is fine, one for everybody is not."""
    key = tmp_path / "key"
    key.write_bytes(bytes(range(32)))
    settings = Settings(data_dir=tmp_path, privacy_key_file=key)
    key.chmod(0o644)
    assert f"chmod 600 {key}" in _said(local_checks.check_settings(settings), CheckVerdict.WARN)
    key.chmod(0o600)
    assert _said(local_checks.check_settings(settings), CheckVerdict.WARN) == ""


def test_metrics_that_are_open_to_others_are_a_warning(tmp_path: Path) -> None:
    """The endpoint has no authentication."""
    settings = Settings(data_dir=tmp_path, http_host="192.0.2.1")

    assert "without authentication" in _said(local_checks.check_settings(settings), CheckVerdict.WARN)


@pytest.mark.parametrize(
    ("content", "verdict", "said"),
    [
        ('sends = "fentry"\nlines = "uretprobe"\n', CheckVerdict.OK, "2 policies"),
        ('sends = "kprobe"\n', CheckVerdict.FAIL, "policy 'sends' has hook 'kprobe'"),
    ],
)
def test_hook_map_is_read_as_the_stages_read_it(tmp_path: Path, content: str, verdict: CheckVerdict, said: str) -> None:
    """A map that would stop a worker fails here first."""
    hooks = tmp_path / "hooks.toml"
    hooks.write_text(content)
    settings = Settings(data_dir=tmp_path, policy_hooks_file=hooks)

    assert said in _said(local_checks.check_settings(settings), verdict)


def test_symbol_store_is_missing_broken_empty_or_good(tmp_path: Path) -> None:
    """Each state of a store has its own finding."""

    def said(folder: Path | None, verdict: CheckVerdict) -> str:
        return _said(local_checks.check_symbols(Settings(symbol_store_dir=folder)), verdict)

    assert "CALLSTREAM_SYMBOL_STORE_DIR" in said(None, CheckVerdict.WARN)
    assert "is not a symbol store" in said(tmp_path, CheckVerdict.FAIL)
    store = tmp_path / "store"
    with StoreWriter(store) as writer:
        writer.commit()
    assert "is empty" in said(store, CheckVerdict.WARN)
    add_to(store, [mapped_binaries()["libc"].file])
    assert "symbol store with 1 indexes" in said(store, CheckVerdict.OK)


def test_privacy_policy_and_key(tmp_path: Path) -> None:
    """A policy is named with its id; one that does not compile fails."""

    def said(content: str | None, verdict: CheckVerdict) -> str:
        path = None
        if content is not None:
            path = tmp_path / "policy.toml"
            path.write_text(content)
        return _said(local_checks.check_privacy(Settings(privacy_policy_file=path)), verdict)

    assert "privacy policy 'default' (built in), id " in said(None, CheckVerdict.OK)
    assert "policy.toml" in said("nonsense = ", CheckVerdict.FAIL)


def test_the_port_of_hot_symbols_is_checked_as_the_worker_checks_it(tmp_path: Path) -> None:
    """A token that stops a worker fails here first; no TLS, and an own address that is not allowed, are warnings."""
    token = tmp_path / "token"
    token.write_text("short")
    token.chmod(0o600)
    settings = Settings(data_dir=tmp_path, hot_symbols_port=9467, hot_symbols_token_file=token)
    assert "CALLSTREAM_HOT_SYMBOLS_TOKEN_FILE" in _said(local_checks.check_settings(settings), CheckVerdict.FAIL)

    token.write_text("0123456789abcdef")
    assert _said(local_checks.check_settings(settings), CheckVerdict.WARN) == ""
    assert "advertised as 127.0.0.1" in _said(local_checks.check_settings(settings), CheckVerdict.OK)

    others = replace(
        settings,
        hot_symbols_host="0.0.0.0",
        advertised_address="10.1.0.1",
        peer_networks=(ipaddress.ip_network("10.2.0.0/16"),),
    )
    said = _said(local_checks.check_settings(others), CheckVerdict.WARN)
    assert "whoever can read the traffic has the token" in said
    assert "advertises 10.1.0.1, which CALLSTREAM_PEER_NETWORKS does not allow" in said


def test_ambiguous_files_are_a_warning(tmp_path: Path) -> None:
    """A build id of two codes and a path of two files name no frames, and the remedy says what settles it."""
    store = store_with(tmp_path, {"0123456789abcdef": [["inflate"]]}, {"image:one": {"/usr/lib/libz.so.1": "ab" * 20}})
    assert store
    with StoreWriter(tmp_path) as writer:
        writer.note_codes("0123456789abcdef", ["11" * 32, "22" * 32])
        writer.merge_modules("image:one", {"/usr/lib/libz.so.1": [MappedFile("cd" * 20)]})
        writer.commit()

    said = _said(local_checks.check_symbols(replace(Settings(), symbol_store_dir=tmp_path)), CheckVerdict.WARN)

    assert "1 build ids are shared" in said
    assert "callstream symbols resolve" in said
    assert "1 paths of an image or a node may be one of several files" in said
