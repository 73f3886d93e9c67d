"""A folder of tracing policies."""

import os
from pathlib import Path

import pytest

from app.tracing_policies.folder import PolicyFolder

POLICY = """\
apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {name: NAME}
spec:
  uprobes:
  - {path: /a, symbols: [f]}
"""


def write(folder: Path, name: str, *policies: str) -> None:
    """A file with policies of these names."""
    text = "---\n".join(POLICY.replace("NAME", policy) for policy in policies)
    (folder / name).write_text(text, encoding="utf-8")


def test_each_document_is_a_policy(tmp_path: Path) -> None:
    """Of all files whose name says that they are YAML or JSON, but hidden ones."""
    write(tmp_path, "a.yaml", "one", "two")
    write(tmp_path, "b.yml", "three")
    (tmp_path / "c.json").write_text('{"kind": "TracingPolicy", "metadata": {"name": "four"}, "spec": {}}')
    write(tmp_path, ".hidden.yaml", "five")
    write(tmp_path, "notes.txt", "six")
    found = PolicyFolder(tmp_path).look()

    assert sorted(found.policies) == [("", name) for name in ("four", "one", "three", "two")]
    assert found.refused == ()
    assert found.digests["", "one"] == found.digests["", "two"] != found.digests["", "four"]
    assert found.by_digest.keys() == set(found.digests.values())


def test_what_is_no_policy_is_named_and_costs_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With its file and document; it is logged once."""
    write(tmp_path, "good.yaml", "good")
    write(tmp_path, "twice.yaml", "same", "same")
    (tmp_path / "alias.yaml").write_text("a: &x 1\nb: *x\n")
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe4\n")
    (tmp_path / "other.yaml").write_text("kind: ConfigMap\n---\nkind: Pod\n---\n")
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "gone.yaml").symlink_to(tmp_path / "nowhere")
    folder = PolicyFolder(tmp_path)
    found = folder.look()

    assert list(found.policies) == [("", "good")]
    kinds = "kind is not one of TracingPolicy, TracingPolicyNamespaced"
    assert [str(one) for one in found.refused] == [
        "alias.yaml: aliases are not read (at line 2, column 4)",
        "gone.yaml: No such file or directory",
        "latin.yaml: is not UTF-8",
        f"other.yaml, document 1: {kinds}",
        f"other.yaml, document 2: {kinds}",
        "pipe.yaml: is not a regular file",
        f"{tmp_path}: has 2 policies named same; none counts",
    ]
    assert len(caplog.records) == len(found.refused)
    assert folder.look() == found
    assert len(caplog.records) == len(found.refused)


def test_a_changed_file_is_read_anew(tmp_path: Path) -> None:
    """Also one that was put in the place of another, as Kubernetes does; files that are gone are forgotten."""
    write(tmp_path, "a.yaml", "one")
    write(tmp_path, "b.yaml", "two")
    folder = PolicyFolder(tmp_path)
    assert sorted(folder.look().policies) == [("", "one"), ("", "two")]

    write(tmp_path, "new", "six")
    (tmp_path / "new").replace(tmp_path / "a.yaml")
    (tmp_path / "b.yaml").unlink()
    assert list(folder.look().policies) == [("", "six")]


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    """It may come later."""
    folder = PolicyFolder(tmp_path / "later")
    assert [str(one) for one in folder.look().refused] == [f"{tmp_path / 'later'}: No such file or directory"]

    (tmp_path / "later").mkdir()
    write(tmp_path / "later", "a.yaml", "one")
    assert list(folder.look().policies) == [("", "one")]
