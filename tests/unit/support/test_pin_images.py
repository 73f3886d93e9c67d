"""What `make pin-images` writes, with a docker that answers from a table."""

from pathlib import Path

import pytest

from tests.support import pin_images

_DIGEST = "sha256:" + "ab" * 32
_DOCKERFILE = "FROM python:3.11.13-slim-bookworm AS build\nRUN true\nFROM python:3.11.13-slim-bookworm\n"
_COMPOSE = "services:\n  a:\n    image: callstream:0.1.0\n  b:\n    image: apache/kafka:4.3.1\n"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with images, and a docker that knows only python until docker.known is made."""
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "Dockerfile").write_text(_DOCKERFILE)
    (tmp_path / "docker-compose.yml").write_text(_COMPOSE)
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(
        '#!/bin/sh\ncase "$*" in *python:*) known=true ;; *) known="test -e $0.known" ;; esac\n'
        f"$known || {{ echo unreachable >&2; exit 1; }}\necho {_DIGEST}\n"
    )
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{docker.parent}:/usr/bin:/bin")
    return tmp_path


def test_each_image_of_others_gets_the_digest_of_its_tag(checkout: Path) -> None:
    """The tag stays readable, what we build has no digest, and a second run changes nothing."""
    (checkout / "bin" / "docker.known").touch()

    for _ in range(2):
        pin_images.pin(pin_images.files_with_images(checkout))
        dockerfile = (checkout / "deploy" / "Dockerfile").read_text()
        assert dockerfile.count(f"FROM python:3.11.13-slim-bookworm@{_DIGEST}") == 2
        assert "bookworm@" + _DIGEST + " AS build" in dockerfile
        compose = (checkout / "docker-compose.yml").read_text()
        assert f"image: apache/kafka:4.3.1@{_DIGEST}\n" in compose
        assert "image: callstream:0.1.0\n" in compose


def test_nothing_is_pinned_if_one_image_has_no_answer(checkout: Path) -> None:
    """A checkout is pinned whole or not at all, and the message has the image and docker's own words."""
    with pytest.raises(SystemExit, match=r"apache/kafka:4\.3\.1: unreachable"):
        pin_images.pin(pin_images.files_with_images(checkout))

    assert (checkout / "deploy" / "Dockerfile").read_text() == _DOCKERFILE
