"""Source file names without the folders of the machine that built them, which are private (`/home/ci/...`).

Of a path, the part stays that means the same everywhere: below the compilation directory; below the folder that a
package manager of Go or Rust keeps sources in; whole, where it is the distribution's own (/usr, /rustc). Anything else
is reduced to its last component.

The result never begins with `..`.
"""

import re
from typing import Final

from agents.symbols.module_paths import path_components

# Sources of dependencies and standard libraries, by the folder that package managers keep them in.
_PACKAGE_ROOT: Final = re.compile(r".*/(?:pkg/mod|registry/src/[^/]+|git/checkouts|go[^/]*/src)/(?=[^/])")
_PUBLIC_ROOT: Final = re.compile(r"/usr/(?!home/)|/rustc/[0-9a-f]{40}/")

# Sources beside the compilation directory (`build/` and `src/`) keep their folder if the two share this many: fewer
# may be a folder of home directories.
_MIN_SHARED_FOLDERS: Final = 3


def public_source(compilation_dir: str, directory: str, name: str) -> str:
    """The part of a source path that is not the build machine's.

    The arguments are DW_AT_comp_dir, the directory of the file entry (relative to the former) and its name (relative to
    the latter). An already remapped (relative) compilation directory leaves the path relative to its root.
    """
    if not name:
        return ""
    base = path_components(compilation_dir)
    joined = _joined(compilation_dir, directory, name)
    path = path_components(joined)
    if not joined.startswith("/"):
        return "/".join(path)
    full = "/" + "/".join(path)
    if (package := _PACKAGE_ROOT.match(full)) is not None:
        return full[package.end() :]
    if base and path[: len(base)] == base and len(path) > len(base):
        return "/".join(path[len(base) :])
    if _PUBLIC_ROOT.match(full):
        return full
    shared = len(base) - 1
    if shared >= _MIN_SHARED_FOLDERS and path[:shared] == base[:shared]:
        return "/".join(path[shared:])
    return path[-1] if path else ""


def _joined(*parts: str) -> str:
    joined = ""
    for part in parts:
        joined = part if part.startswith("/") or not joined else f"{joined}/{part}"
    return joined
