from pathlib import Path

import pytest

from app.ingest.link import AgentLink, link_of, open_channel
from app.settings import Settings, SettingsError
from app.tls import TlsFiles, TlsFilesError
from tests.support.certificates import Authority


def test_default_is_the_unix_socket_in_plaintext() -> None:
    """Tetragon's own default since 1.7."""
    link = link_of(Settings())

    assert (link.is_unix, link.socket_path, link.tls) == (True, "/var/run/tetragon/tetragon.sock", None)


@pytest.mark.parametrize(
    ("address", "expected"),
    [("localhost:54321", ("localhost", 54321)), ("[::1]:1", ("::1", 1)), ("10.0.0.1:80", ("10.0.0.1", 80))],
)
def test_tcp_addresses_are_taken_apart(address: str, expected: tuple[str, int]) -> None:
    """IPv6 addresses stand in brackets."""
    assert link_of(Settings(tetragon_address=address)).host_and_port == expected


@pytest.mark.parametrize("address", ["unix:///run/t.sock", "unix:/run/t.sock"])
def test_both_forms_of_unix_addresses_name_the_file(address: str) -> None:
    """With and without an empty authority."""
    assert link_of(Settings(tetragon_address=address)).socket_path == "/run/t.sock"


def test_any_tls_setting_asks_for_tls() -> None:
    """A server name alone means TLS with the system's CAs."""
    link = link_of(Settings(tetragon_address="a:1", tetragon_tls_server_name="x"))

    assert link.tls == TlsFiles(None, None, None)


def test_tls_on_a_unix_socket_is_refused_by_name() -> None:
    """Tetragon serves TLS on TCP only; silence would leave the operator with a wrong belief."""
    with pytest.raises(SettingsError) as caught:
        link_of(Settings(tetragon_tls_ca_file=Path("ca.pem"), tetragon_tls_server_name="x"))

    assert [error.partition(" ")[0] for error in caught.value.errors] == [
        "CALLSTREAM_TETRAGON_TLS_CA_FILE",
        "CALLSTREAM_TETRAGON_TLS_SERVER_NAME",
    ]


def test_unusable_tls_files_are_named(tmp_path: Path) -> None:
    """No PEM, no file, a key that is another's: each with its setting, before gRPC sees it."""
    authority = Authority.create(tmp_path)
    one, other = authority.issue("one"), authority.issue("other")
    text = tmp_path / "text"
    text.write_text("no certificate")

    def complaint(files: TlsFiles) -> str:
        with pytest.raises(TlsFilesError) as caught:
            open_channel(AgentLink("localhost:1", files, "", 600))
        return str(caught.value)

    assert complaint(TlsFiles(text, None, None)) == (
        f"CALLSTREAM_TETRAGON_TLS_CA_FILE: {text}: holds no PEM certificates"
    )
    assert complaint(TlsFiles(tmp_path / "gone", None, None)) == (
        f"CALLSTREAM_TETRAGON_TLS_CA_FILE: {tmp_path / 'gone'}: No such file or directory"
    )
    assert complaint(TlsFiles(authority.file, text, one.key)) == (
        f"CALLSTREAM_TETRAGON_TLS_CERT_FILE: {text}: holds no PEM certificate with its key"
    )
    assert complaint(TlsFiles(authority.file, one.certificate, other.key)) == (
        f"CALLSTREAM_TETRAGON_TLS_KEY_FILE: {other.key} is not the key of the certificate {one.certificate}"
    )
