"""The script that draws flame graphs: one for the console and for the file of an export.

Its parts lie beside this module, as files that people can read. All but `trees.js` share the names of one graph: they
are the body of the function `flameGraph(root, data, context)`, where `root` is the element to draw in and `data` a
`document.flame_graph_document`. `context` has `place`, which reads and writes what an address remembers of the graph,
and, if they are wanted, `about`, the id of the function that is in the middle at first, `open`, which gets the id of a
function that somebody opens, and `signal`, which ends its listening. The function returns `open`, which shows what the
address says.
"""

from functools import cache
from importlib.resources import files
from typing import Final

_SHARED: Final = ("trees.js", "skeleton.js")
_BODY: Final = ("drawing.js", "moving.js", "picture.js", "views.js")
"""In their order."""

STYLE: Final = "flame_graph.css"


@cache
def asset(name: str) -> str:
    """One of the files of this package."""
    return files("app.export.flame_graph").joinpath(name).read_text(encoding="utf-8")


@cache
def script() -> str:
    """The function, for a script that has it among names of its own."""
    body = "".join(map(asset, _BODY))
    return "".join(map(asset, _SHARED)) + f"const flameGraph = (root, data, context) => {{\n{body}}};\n"


@cache
def module() -> str:
    """The function as a module that exports it."""
    return script() + "export { flameGraph };\n"
