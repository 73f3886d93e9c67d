"""Which functions of a Go program are those that an advisory names.

An advisory has an import path and `Function` or `Receiver.Method` (go.dev/doc/security/vuln/database). A program's
table has symbols of the linker. From one to the other, each rule with its source in Go's repository:

- In the last element of a path `.` is `%2e`, and so are others that a symbol must not have (cmd/internal/objabi,
  PathToPrefix). Package `main` is `main`, whatever its path is (cmd/compile, base.Ctxt.Pkgpath).
- A method of `T` is `T.M` or `(*T).M` (cmd/compile/internal/ir, MethodSym), and `M-fm` where it is a value.
- Every instance of a generic function has `[...]` in the table, and its types in the symbol table (cmd/link, pcln.go).
- Closures are `F.funcN`, `F.gowrapN`, `F.deferwrapN`, `F-rangeN` (cmd/compile/internal/ir, closureName). Where F was
  inlined, they have the name of the function around it first and lose F's package: `pkg.Caller.F.func1`. Such a name
  may be a function of any package, so it proves no more than that F may be there.
- `init#N` of an advisory is one of several `init.N` (golang.org/x/tools/go/ssa names them so).
- `map.init.N` is a part of `init` that fills a map (cmd/compile/internal/staticinit). `go:(*struct {...}).M` wraps a
  method for a type without a name, which is of no package; it calls the method or has it inlined.
- A copy in `vendor` has the folder in its path: that of the standard library (`vendor/golang.org/x/...`), or one of a
  program that was built without modules (`example.com/a/vendor/...`).
- `type:.eq.` and `type:.hash.` are code of a package's types (cmd/compile/internal/reflectdata, alg.go).
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

_ARGUMENTS: Final = "[...]"
_CLOSURE: Final = re.compile(
    r"\.func\d+|\.(?:gowrap|deferwrap)\d+|-range\d+|-fm|-tramp\d+|\.abi0|\.abiinternal|\.\d+(?=\.|-|\Z)"
)
_PART: Final = re.compile(r"\(\*?(?P<receiver>[^()]+)\)|(?P<name>[^.()]+)")
_TYPE_CODE: Final = re.compile(r"type:?\.\.?(?:eq|hash)\.\.?(?:\[[^\]]*\]|\*)*(?P<type>.+)", re.DOTALL)
_OF_NO_PACKAGE: Final = ("go:", "go.(", "go.struct")
_MAP_INIT: Final = "map.init."
_CGO: Final = ("_Cfunc_", "_cgo")
_ESCAPED: Final = re.compile(r"[\x00- %\"\x7f-\xff]")
_VENDOR: Final = "vendor/"


class GoName(NamedTuple):
    """A symbol of Go: its package, the names in it (a receiver with `*` in front), and whether it is a closure's."""

    package: str
    parts: tuple[str, ...]
    is_closure: bool


def symbol_prefix(import_path: str) -> str:
    """An import path as it stands in symbols."""
    encoded = import_path.encode("utf-8", "surrogatepass").decode("latin-1")
    slash = encoded.rfind("/") + 1
    return _ESCAPED.sub(_escape, encoded[:slash]) + _ESCAPED.sub(_escape, encoded[slash:]).replace(".", "%2e")


def _escape(found: re.Match[str]) -> str:
    return f"%{ord(found[0]):02x}"


def split_symbol(symbol: str) -> GoName:
    """What a symbol of Go names: no package where it is none of Go's, no parts where it is the code of a type."""
    name = _without_arguments(symbol)
    type_code = _TYPE_CODE.fullmatch(name)
    if type_code is not None:
        return GoName(_package(type_code["type"])[0], (), is_closure=False)
    package, rest = ("", "") if name.startswith(_OF_NO_PACKAGE) else _package(name)
    plain = rest.replace(_ARGUMENTS, "").replace(_MAP_INIT, "init.")
    bare = _CLOSURE.sub("", plain)
    found = (("*" + part["receiver"]) if part["receiver"] else part["name"] for part in _PART.finditer(bare))
    return GoName(package, tuple(found), is_closure=bare != plain)


def _readings(parts: tuple[str, ...], known: Collection[str]) -> tuple[set[str], set[str]]:
    """The functions that a closure's names are for sure, and those of any package that were inlined around it.

    `A.B` is a method of A, or A with B inlined; a package has only one of the functions `A.B` and `A`.
    """
    sure: set[str] = set()
    first = ".".join(parts[:2]).lstrip("*")
    if parts[0].startswith("*") or first in known:
        sure.add(first)
        behind = 2
    else:
        sure |= {parts[0]} if parts[0] in known else {parts[0], first}
        behind = 1
    maybe: set[str] = set()
    for at in range(behind, len(parts)):
        if parts[at].startswith("*"):
            maybe.add(".".join(parts[at : at + 2]).lstrip("*"))
        elif not parts[at - 1].startswith("*"):
            maybe |= {parts[at], ".".join(parts[at : at + 2])}
    return sure, {one for one in maybe if "*" not in one}


def _package(name: str) -> tuple[str, str]:
    dot = name.find(".", name.rfind("/", 0, _end_of_path(name)) + 1)
    return (name[:dot], name[dot + 1 :]) if dot > 0 else ("", "")


def _end_of_path(name: str) -> int:
    """Before a receiver, whose type may have slashes where it has arguments."""
    bracket = name.find("(")
    return len(name) if bracket < 0 else bracket


def _without_arguments(name: str) -> str:
    """The name with `[...]` for the arguments of its types."""
    if "[" not in name or ("[...]" in name and name.count("[") == name.count(_ARGUMENTS)):
        return name
    kept: list[str] = []
    depth = 0
    for character in name:
        if character == "[":
            kept += [_ARGUMENTS] if depth == 0 else []
            depth += 1
        elif character == "]":
            depth = max(depth - 1, 0)
        elif depth == 0:
            kept.append(character)
    return "".join(kept)


class FoundFunctions(NamedTuple):
    """Symbols of a file that are a function for sure, and those that may be it."""

    sure: frozenset[str]
    maybe: frozenset[str]


class GoCode:
    """The functions of a Go program, by package: those that have code of their own, and those that were inlined."""

    def __init__(self, names: Iterable[str], main_package: str) -> None:
        """Takes every name of the file's function table and inline trees; `main_package` may be empty."""
        self._main = symbol_prefix(main_package) if main_package else ""
        self._functions: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        self._maybe: dict[str, set[str]] = defaultdict(set)
        self._types: dict[str, set[str]] = defaultdict(set)
        self._packages_of: dict[str, set[str]] = defaultdict(set)
        closures = [(symbol, name) for symbol in names if (name := self._added(symbol)) is not None]
        plain = {package: frozenset(functions) for package, functions in self._functions.items()}
        for symbol, (package, parts, _) in closures:
            sure, maybe = _readings(parts, plain.get(package, frozenset()))
            for function in sure:
                self._functions[package][function].add(symbol)
            for function in maybe:
                self._maybe[function].add(symbol)
        for package in self._functions.keys() | self._types.keys():
            self._packages_of[_without_vendor(package)].add(package)

    def _added(self, symbol: str) -> GoName | None:
        """Take a symbol; returned where it is a closure, which is read when all others are known."""
        name = split_symbol(symbol)
        package, parts, is_closure = name
        if not package:
            return None
        if not parts:
            self._types[package].add(symbol)
            return None
        if is_closure:
            return name
        self._functions[package][".".join(parts).replace("*", "")].add(symbol)
        return None

    @property
    def packages(self) -> frozenset[str]:
        """The packages of which the file has a function, as symbols have them."""
        return frozenset(self._functions)

    def has_module(self, path: str) -> bool:
        """Whether the file has any function of a module's packages."""
        prefix = symbol_prefix(path)
        below = tuple(f"{one}/" for one in (prefix, path))
        return any(one == prefix or one.startswith(below) for one in self._packages_of) or self._is_main(path)

    def _is_main(self, path: str) -> bool:
        return bool(self._main) and (self._main == symbol_prefix(path) or self._main.startswith(f"{path}/"))

    def uses_c(self, import_path: str) -> bool:
        """Whether a package calls C, so that code of it is none of Go's."""
        return any(
            function.startswith(_CGO)
            for package in self._places(import_path, of_go=False)
            for function in self._functions.get(package, ())
        )

    def functions(self, import_path: str, named: str, *, of_go: bool = False) -> FoundFunctions:
        """The symbols that are a function of a package, by the name that an advisory has for it.

        `of_go`: the package is one of the standard library, which has copies of others under `vendor/`.
        """
        asked = [named]
        if named.startswith("init#"):
            asked = ["init", f"init.{int(named[5:]) - 1}"] if named[5:].isdecimal() else ["init"]
        sure: set[str] = set()
        for package in self._places(import_path, of_go=of_go):
            of_package = self._functions.get(package, {})
            sure = sure.union(*(of_package.get(one, ()) for one in asked))
        maybe = self._maybe.get(named, set())
        if not self._main:
            maybe = maybe.union(*(self._functions.get("main", {}).get(one, ()) for one in asked))
        return FoundFunctions(frozenset(sure), frozenset(maybe) - sure)

    def whole_package(self, import_path: str, *, of_go: bool = False) -> FoundFunctions:
        """Every symbol of a package; code of its types alone may or may not be what is meant."""
        sure: set[str] = set()
        maybe: set[str] = set()
        for package in self._places(import_path, of_go=of_go):
            sure = sure.union(*self._functions.get(package, {}).values())
            maybe |= self._types.get(package, set())
        return FoundFunctions(frozenset(sure), frozenset(maybe))

    def vendored_by_go(self, import_path: str) -> bool:
        """Whether the file has the standard library's own copy of a package."""
        return _VENDOR + symbol_prefix(import_path) in self._functions

    def _places(self, import_path: str, *, of_go: bool) -> frozenset[str]:
        prefix = symbol_prefix(import_path)
        places = {prefix, *self._packages_of.get(prefix, ())}
        if not of_go:
            places.discard(_VENDOR + prefix)
        if prefix == self._main:
            places.add("main")
        return frozenset(places)


def _without_vendor(package: str) -> str:
    """A package's path behind the last folder `vendor` in it."""
    return package.removeprefix(_VENDOR).rpartition(f"/{_VENDOR}")[2]
