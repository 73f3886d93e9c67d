"""Reads YAML that anybody may have written: within limits of size, depth and number, and without aliases.

A few aliases can stand for billions of values. Where one key stands twice, readers choose differently, so nobody can
say what the text means.
"""

from typing import Any, Final

import yaml

MAX_YAML_BYTES: Final = 256 << 10
"""A second of reading at worst. The largest policy of Tetragon's examples has 12 kB."""

MAX_YAML_DEPTH: Final = 32
"""A selector of a tracing policy lies 9 levels deep."""

MAX_YAML_DOCUMENTS: Final = 256
"""In one text."""

_TIMESTAMP: Final = "tag:yaml.org,2002:timestamp"


class YamlTextError(ValueError):
    """The text is not YAML, or more than a file may hold; the message has one line, and says where if it can."""


class _PlainLoader(yaml.CSafeLoader):
    """Gives what JSON has, too; a date stays a text."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """The mapping of a node. Raises MarkedYAMLError where a key stands twice or is not text."""
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise _at("a key is not text", key_node.start_mark)
            if key in seen:
                raise _at("a key stands twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


_PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def parse_yaml(text: str) -> list[Any]:
    """The documents of a text: dicts, lists, texts, numbers, booleans and None. Raises YamlTextError."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_YAML_BYTES:
        raise YamlTextError(f"has more than {MAX_YAML_BYTES:,} bytes")
    try:
        _check_events(text)
        documents = list(yaml.load_all(text, Loader=_PlainLoader))
    except yaml.MarkedYAMLError as error:
        raise YamlTextError(f"{error.problem or 'is not YAML'}{_place(error.problem_mark)}") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # ValueError: such as a number of too many digits
        raise YamlTextError(" ".join(str(error).split())) from None
    if not all(map(_is_plain, documents)):
        raise YamlTextError("has a value that JSON has not, such as a set or an infinite number")
    return documents


def _check_events(text: str) -> None:
    """Raises YAMLError where a limit is passed or an alias is used; nothing is built yet."""
    depth = documents = 0
    for event in yaml.parse(text, Loader=_PlainLoader):
        match event:
            case yaml.AliasEvent():
                raise _at("aliases are not read", event.start_mark)
            case yaml.DocumentStartEvent():
                documents += 1
            case yaml.CollectionStartEvent():
                depth += 1
            case yaml.CollectionEndEvent():
                depth -= 1
            case _:
                pass
        if depth > MAX_YAML_DEPTH:
            raise _at(f"is nested deeper than {MAX_YAML_DEPTH} levels", event.start_mark)
        if documents > MAX_YAML_DOCUMENTS:
            raise _at(f"has more than {MAX_YAML_DOCUMENTS} documents", event.start_mark)


def _is_plain(value: Any) -> bool:
    match value:
        case dict():
            return all(map(_is_plain, value.values()))
        case list():
            return all(map(_is_plain, value))
        case float():
            return abs(value) < float("inf")
        case str() | int() | None:
            return True
        case _:
            return False


def _at(problem: str, mark: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def _place(mark: Any) -> str:
    return "" if mark is None else f" (at line {mark.line + 1}, column {mark.column + 1})"
