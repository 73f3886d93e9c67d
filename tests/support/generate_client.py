"""Makes what the Python client holds of the schemas: the files themselves, and a frozen type for each record.

`python -m tests.support.generate_client` writes both into `clients/python`; a test proves that they are current.
"""

import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from schemas import records

ROOT: Final = Path(__file__).parents[2]
PACKAGE: Final = ROOT / "clients" / "python" / "src" / "callstream_client"

KINDS: Final[Mapping[str, str]] = {
    records.CALL: "RuntimeCallEvent",
    records.HOT_SYMBOL: "HotSymbol",
    records.COVERAGE_GAP: "CoverageGap",
    records.WATCHED_SYMBOL: "WatchedSymbol",
    records.PROBE_WINDOW: "ProbeWindow",
    records.FILE_PLACEMENT: "FilePlacement",
}
"""Schemas that consumers read, and the names of their records."""

_SCALARS: Final = {"string": "str", "long": "int", "int": "int", "boolean": "bool", "bytes": "bytes", "null": "None"}
_WIDTH: Final = 116
_HEAD: Final = '''"""The records of the topics as frozen types.

Generated from the schemas in `schemas/`; do not edit. A symbol of an enum that this package does not know yet is the
enum's default, and a field that it does not know is left out, as the schemas promise.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self
'''


def generated() -> dict[Path, bytes]:
    """The content of every generated file, by its path below the package."""
    files = {Path("schemas", f"{name}.avsc"): source(name).read_bytes() for name in KINDS}
    parts = [part for name in KINDS for part in _Types().of(json.loads(records.schema_text(name)))]
    files[Path("records.py")] = _formatted("\n\n".join([_HEAD, *parts]))
    return files


def source(name: str) -> Path:
    """The schema's file in the pipeline."""
    return ROOT / "schemas" / "avro" / f"{name}.avsc"


class _Types:
    """The types of one schema, each behind those that it holds."""

    def __init__(self) -> None:
        self._is_enum: dict[str, bool] = {}

    def of(self, schema: Mapping[str, Any]) -> Iterator[str]:
        """Source text of the schema's named types."""
        match schema["type"]:
            case "enum":
                self._is_enum[schema["name"]] = True
                yield _enum(schema)
            case "record":
                for field in schema["fields"]:
                    for inner in _named_in(field["type"]):
                        yield from self.of(inner)
                self._is_enum[schema["name"]] = False
                yield self._record(schema)

    def _record(self, schema: Mapping[str, Any]) -> str:
        lines = ["@dataclass(frozen=True, slots=True)", f"class {schema['name']}:", *_doc(schema["doc"]), ""]
        for field in schema["fields"]:
            lines += [f"    {field['name']}: {self._annotation(field['type'])}", *_doc(field["doc"])]
        lines += ["", "    @classmethod", "    def of(cls, record: Mapping[str, Any]) -> Self:"]
        lines += ['        """The record that was decoded with the schema of this type."""', "        return cls("]
        for field in schema["fields"]:
            value = self._value(field["type"], f'record["{field["name"]}"]')
            lines.append(f"            {value},")
        return "\n".join([*lines, "        )"])

    def _annotation(self, kind: Any) -> str:
        match kind:
            case str():
                return _SCALARS.get(kind, kind)
            case ["null", inner]:
                return f"{self._annotation(inner)} | None"
            case {"type": "array", "items": inner}:
                return f"tuple[{self._annotation(inner)}, ...]"
            case {"type": "map", "values": inner}:
                return f"Mapping[str, {self._annotation(inner)}]"
            case {"type": "record" | "enum", "name": str(name)}:
                return name
        raise ValueError(f"the client has no type for {kind}")

    def _value(self, kind: Any, read: str) -> str:
        """An expression for the typed value of what `read` gives."""
        match kind:
            case str() if kind in _SCALARS:
                return read
            case ["null", str(inner)] if inner in _SCALARS:
                return read
            case ["null", inner]:
                return f"None if {read} is None else {self._value(inner, read)}"
            case {"type": "array", "items": str(inner)} if inner in _SCALARS:
                return f"tuple({read})"
            case {"type": "array", "items": inner}:
                return f"tuple(map({self._maker(inner)}, {read}))"
            case {"type": "map"}:
                return read
            case _:
                return f"{self._maker(kind)}({read})"

    def _maker(self, kind: Any) -> str:
        name = kind if isinstance(kind, str) else kind["name"]
        return name if self._is_enum[name] else f"{name}.of"


def _named_in(kind: Any) -> Iterator[Mapping[str, Any]]:
    match kind:
        case [*branches]:
            for branch in branches:
                yield from _named_in(branch)
        case {"type": "array", "items": inner} | {"type": "map", "values": inner}:
            yield from _named_in(inner)
        case {"type": "record" | "enum"}:
            yield kind


def _enum(schema: Mapping[str, Any]) -> str:
    """Members are named as constants: ProcessExec is PROCESS_EXEC, and USDT stays."""
    members = [f'    {re.sub("(?<=[a-z])(?=[A-Z])", "_", one).upper()} = "{one}"' for one in schema["symbols"]]
    return "\n".join([f"class {schema['name']}(StrEnum):", *_doc(schema["doc"]), "", *members])


def _doc(text: str) -> list[str]:
    whole = f'"""{text}"""'
    if len(whole) <= _WIDTH:
        return ["    " + whole]
    first, *rest = textwrap.wrap(text, _WIDTH - 3, break_long_words=False, break_on_hyphens=False)
    rest = textwrap.wrap(" ".join(rest), _WIDTH, break_long_words=False, break_on_hyphens=False)
    return [f'    """{first}', *("    " + line for line in rest), '    """']


def _formatted(text: str) -> bytes:
    ruff = [sys.executable, "-m", "ruff", "format", "--stdin-filename", "records.py", "--config", "pyproject.toml", "-"]
    return subprocess.run(ruff, input=text.encode(), capture_output=True, check=True, cwd=ROOT).stdout


if __name__ == "__main__":
    for path, content in generated().items():
        (PACKAGE / path).parent.mkdir(parents=True, exist_ok=True)
        (PACKAGE / path).write_bytes(content)
