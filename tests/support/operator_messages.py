"""Every message that ends a command or a stage, or that doctor says, read from the source as a template.

`…` stands for what is only known when it is said. A message that is made somewhere else than where it is said is found
through `SAID`; a new one without an entry there is an error, so none is left out.
"""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final

import app
from app.operators.errors import OperatorError

ROOT: Final = Path(__file__).resolve().parents[2]
DOCTOR: Final = "doctor"
OPTIONS: Final = "options"
TLS: Final = "tls"
BOOKS: Final = "books"
BESIDE: Final = "beside the answer"
"""What a command says on standard error when it has done its work."""

_CLICK: Final = frozenset({"UsageError", "BadParameter", "BadOptionUsage", "ClickException"})
_ENDINGS: Final = frozenset({"fail", "_fail", "end_process"})
_FINDINGS: Final = frozenset({"warn", "fail"})
_WORDS: Final = re.compile(r"[A-Za-z]{2,}")
_COMMAND: Final = re.compile(r"^callstream [a-z-]+: ")
_SOME_WORDS: Final = 2
"""Fewer say nothing that anybody could look for: such a template only joins others."""

_TOPICS: Final = ("app/provision/topic_plan.py:TopicRefusal", "app/provision/subjects.py:SubjectRefusal")
_AGENT: Final = (
    "app/ingest/client.py:_react",
    "app/ingest/statuses.py:reason_to_stop",
    "app/ingest/statuses.py:_ADVICE",
    "app/ingest/link_check.py",
)
_SETTINGS: Final = ("app/settings.py:_conflicts", "app/settings.py:load", "app/operators/setting_forms.py")
_PASSED_ON: Final[Mapping[str, tuple[str, ...]]] = {
    TLS: ("app/tls.py",),
    DOCTOR: _TOPICS,
    "PrivacyConfigError": ("agents/privacy/policy_file.py",),
    "RegistryError": ("app/kafka/registry_link.py",),
    "VexFileError": ("app/export/vex_file.py",),
}
"""Words that errors pass on as a part of their own, by kind."""

SAID: Final[Mapping[str, tuple[str, ...]]] = {
    "app/doctor/local_checks.py": (),  # the lines of SettingsError
    "app/doctor/tetragon_check.py": (),  # those of TetragonUnusableError
    "app/ingest/client.py": _AGENT,
    "app/ingest/filters.py": ("app/ingest/filters.py",),
    "app/ingest/opening.py": (),  # those of link.py and filters.py
    "app/kafka/client.py": (),  # those of TLS
    "app/nodes/kubernetes.py": ("app/nodes/kubernetes.py:_get",),
    "app/privacy/cases.py": ("app/privacy/cases.py:_parsed",),
    "app/reprocess/run.py": ("app/reprocess/versions.py",),
    "app/reprocess/setup.py": _TOPICS,
    "app/settings.py": _SETTINGS,
    "app/stages/hot_symbols/query_port.py": ("app/stages/hot_symbols/advertising.py",),
    "app/streaming/stage_app.py": ("app/streaming/foreign.py",),
    "app/streaming/topic_checks.py": ("app/kafka/topic_watch.py:stamps_trouble",),
    "app/streaming/watchdog.py:verdict": ("app/streaming/standstill.py",),
    "app/streaming/watchdog.py:changed": ("app/kafka/topic_watch.py",),
    "app/streaming/watchdog.py:rival": ("app/streaming/membership.py:feed",),
    "app/streaming/watchdog.py:repeated": ("app/streaming/watchdog.py:_repeated",),
}
"""By the module that says a message, and the argument where it says several: what makes it, as a module, or a function,
class or table of one."""


@dataclass(frozen=True, slots=True, order=True)
class OperatorMessage:
    """A template. `kind` is a class of error, the name of an exit code of stages, or one of the words above."""

    kind: str
    text: str
    remedy: str = ""
    """Doctor says it beside the text."""


@cache
def messages() -> tuple[OperatorMessage, ...]:
    """All of them, each once, sorted."""
    paths = sorted((ROOT / "app").rglob("*.py"))
    found = {one for path in paths for one in messages_in(path.relative_to(ROOT).as_posix(), path.read_text("utf-8"))}
    for kind, places in _PASSED_ON.items():
        found |= {OperatorMessage(kind, text) for place in places for text in _texts_of(place)}
    stripped = {replace(one, text=one.text.strip(" ;,:")) for one in found}
    return tuple(sorted(one for one in stripped if len(_WORDS.findall(_COMMAND.sub("", one.text))) >= _SOME_WORDS))


def messages_in(module: str, source: str) -> Iterator[OperatorMessage]:
    """Those that a module says. Raises LookupError for one that is made where `SAID` does not look."""
    tree = ast.parse(source)
    constants = _constants(tree)
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        kind = _kind(module, call)
        if kind is None:
            continue
        arguments = [one for one in call.args if _exit_code(one) is None]
        by_argument = [_templates(one, constants) for one in arguments]
        said = by_argument[0] if kind == DOCTOR else [text for texts in by_argument for text in texts]
        remedy = " ".join(text for texts in by_argument[1:] for text in texts) or "…"
        if not said and kind != BESIDE and not any(map(_passes_on, arguments)):
            said = _assigned(tree, arguments, constants) or _said_elsewhere(module, call, arguments[0])
        yield from (OperatorMessage(kind, text, remedy if kind == DOCTOR else "") for text in said)


def error_classes() -> dict[str, type[OperatorError]]:
    """All kinds of errors whose message is for an operator, by name."""
    for one in pkgutil.walk_packages(app.__path__, "app."):
        if not one.name.endswith("__main__"):
            importlib.import_module(one.name)
    return {one.__name__: one for one in _below(OperatorError)}


def _below(base: type[OperatorError]) -> Iterator[type[OperatorError]]:
    for one in base.__subclasses__():
        yield one
        yield from _below(one)


_CLASSES: Final = error_classes()


def _kind(module: str, call: ast.Call) -> str | None:
    name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
    if name in _CLASSES:
        return name
    if name == "Imbalance":
        return BOOKS
    if name == "echo" and module.startswith("app/commands/") and any(one.arg == "err" for one in call.keywords):
        return BESIDE
    if name in _CLICK or (name == "fail" and module == "app/commands/options.py"):
        return OPTIONS
    if name in _FINDINGS and module.startswith("app/doctor/"):
        return DOCTOR
    codes = [code for one in call.args if (code := _exit_code(one)) is not None]
    return codes[0] if name in _ENDINGS and codes else None


def _exit_code(node: ast.expr) -> str | None:
    is_code = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "ExitCode"
    return node.attr if is_code and isinstance(node, ast.Attribute) else None


def _constants(tree: ast.Module) -> dict[str, str]:
    """The module's own texts by name."""
    found = {}
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            for text in _templates(node.value, {})[:1]:
                found[node.target.id] = text
    return found


def _templates(node: ast.expr, constants: Mapping[str, str]) -> list[str]:
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=parts):
            return ["".join(_part(one, constants) for one in parts)]
        case ast.Name(id=name) if name in constants:
            return [constants[name]]
        case ast.List(elts=nodes) | ast.Tuple(elts=nodes):
            return [text for one in nodes for text in _templates(one, constants)]
        case ast.ListComp(elt=one) | ast.GeneratorExp(elt=one) | ast.Starred(value=one):
            return _templates(one, constants)
        case ast.IfExp(body=one, orelse=other):
            return _templates(one, constants) + _templates(other, constants)
        case ast.BinOp(left=left, right=right):
            before, after = _templates(left, constants), _templates(right, constants)
            return [f"{''.join(before) or '…'}{''.join(after) or '…'}"] if before or after else []
        case _:
            return []


def _part(node: ast.expr, constants: Mapping[str, str]) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.FormattedValue(value=ast.Name(id=name)) if name in constants:
            return constants[name]
        case _:
            return "…"


def _passes_on(node: ast.expr) -> bool:
    """Whether it is the message of another error: `str(error)`."""
    match node:
        case ast.List(elts=[one]):
            return _passes_on(one)
        case _:
            return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "str"


def _assigned(tree: ast.Module, arguments: list[ast.expr], constants: Mapping[str, str]) -> list[str]:
    """Texts that the module gives to a name which is said."""
    names = {one.id for one in arguments if isinstance(one, ast.Name)}
    return [
        text
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id in names
        for text in _templates(node.value, constants)
    ]


def _said_elsewhere(module: str, call: ast.Call, argument: ast.expr) -> list[str]:
    places = SAID.get(module, SAID.get(f"{module}:{ast.unparse(argument)}"))
    if places is None:
        raise LookupError(f"{module}:{call.lineno}: where is the message made? Add it to SAID: {ast.unparse(call)}")
    return [text for place in places for text in _texts_of(place)]


def _texts_of(place: str) -> list[str]:
    """All texts of a module or of a part of it, but for docstrings and what goes into the log."""
    module, _, part = place.partition(":")
    tree = ast.parse((ROOT / module).read_text(encoding="utf-8"))
    nodes: list[ast.AST] = [tree] if not part else [one for one in ast.walk(tree) if part in _names(one)]
    if not nodes:
        raise LookupError(f"{place} is not there")
    constants = _constants(tree)
    return [text for node in nodes for text in _said_in(node, constants)]


def _names(node: ast.AST) -> tuple[str, ...]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return (name,)
        case ast.AnnAssign(target=ast.Name(id=name)):
            return (name,)
        case _:
            return ()


def _said_in(node: ast.AST, constants: Mapping[str, str]) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.Expr(value=ast.Constant()):
                continue
            case ast.Call(func=ast.Attribute(value=ast.Name(id="log"))):
                continue
            case ast.Constant(value=str()) | ast.JoinedStr():
                yield from (text for text in _templates(child, constants) if " " in text)
            case _:
                yield from _said_in(child, constants)
