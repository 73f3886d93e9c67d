"""The file with which an operator says which build id a path has: TOML, a table a scope.

    [image."sha256:0f3c..."]            # or any image id that Tetragon sends
    "/usr/lib/x86_64-linux-gnu/libc.so.6" = "58254ca972028402bc40624f81388d85ec95f70d"

    [node."worker-*"]                   # or "CLUSTER/worker-*", if their agents name one
    "/usr/bin/containerd" = "0a1b..."
    "/usr/bin/runc" = { build_id = "1b2c...", since = 2026-11-30T02:00:00Z }

All errors are reported before any line is used.
"""

import re
from datetime import datetime
from typing import Any, Final

from agents.symbols.build_ids import is_blank
from agents.symbols.module_paths import ModuleKind, normalize_module
from agents.toml_text import TomlTextError, parse_toml
from app.symbols.module_maps import ALWAYS_NS, MappedFile
from app.symbols.name_maps import image_scope, node_scope
from app.symbols.snapshot import ObjectKind, is_key

_BUILD_ID: Final = re.compile(r"(?:[0-9a-f]{2}){8,128}")


class ModuleMapFileError(ValueError):
    """The file is not a module map; `errors` has one line for each error."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("; ".join(errors))
        self.errors = errors


def parse_module_map(text: str) -> dict[str, dict[str, MappedFile]]:
    """Scope to normalized module to file. Raises ModuleMapFileError."""
    try:
        document = parse_toml(text)
    except TomlTextError as error:
        raise ModuleMapFileError([f"no TOML: {error}"]) from error
    errors = [f"{name}: neither `image` nor `node`" for name in document if name not in {"image", "node"}]
    maps: dict[str, dict[str, MappedFile]] = {}
    for table, to_scope in (("image", image_scope), ("node", node_scope)):
        scopes = document.get(table, {})
        if not isinstance(scopes, dict):
            errors.append(f"{table}: no table")
            continue
        for name, pairs in scopes.items():
            scope = to_scope(name)
            if not is_key(ObjectKind.MODULES, scope) or not isinstance(pairs, dict):
                errors.append(f'{table}."{name}": no table of paths under the name of an image or a node')
                continue
            maps.setdefault(scope, {}).update(_pairs(f'{table}."{name}"', pairs, errors))
    if errors:
        raise ModuleMapFileError(errors)
    return maps


def _pairs(where: str, raw: dict[str, Any], errors: list[str]) -> dict[str, MappedFile]:
    pairs: dict[str, MappedFile] = {}
    for path, said in raw.items():
        here = f'{where}."{path}"'
        module = normalize_module(path)
        file = _file(said)
        if module.kind is not ModuleKind.FILE or not path.startswith("/") or any(c < " " for c in path):
            errors.append(f"{here}: no absolute path of a file")
        elif module.is_deleted:
            errors.append(f"{here}: what is deleted lies at no path")
        elif isinstance(file, str):
            errors.append(f"{here}: {file}")
        else:
            pairs[module.path] = file
    return pairs


def _file(said: Any) -> MappedFile | str:
    """The file that a value means, or what is wrong with it."""
    since_ns = ALWAYS_NS
    if isinstance(said, dict):
        if set(said) - {"build_id", "since"}:
            return "only build_id and since are known"
        since = said.get("since")
        if since is not None and (not isinstance(since, datetime) or since.tzinfo is None):
            return "since is not a time with an offset, as in 2026-11-30T02:00:00Z"
        since_ns = ALWAYS_NS if since is None else round(since.timestamp() * 1_000_000) * 1_000
        said = said.get("build_id")
    if not isinstance(said, str) or _BUILD_ID.fullmatch(said) is None:
        return "its build id is not lower hex of 8 to 128 bytes"
    if is_blank(bytes.fromhex(said)):
        return "a build id whose bits are all equal names no file"
    return MappedFile(said, since_ns=since_ns)
