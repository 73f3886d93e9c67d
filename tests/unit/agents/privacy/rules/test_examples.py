"""Every pattern of the privacy rules has a line that it matches, and a similar one that it passes over."""

import re
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest

from agents.privacy.audit import sure_forms
from agents.privacy.matching.gate import Pattern, compiled
from agents.privacy.matching.scan import Grouped
from agents.privacy.redaction import scanner_table
from agents.privacy.rules import (
    announced_values,
    carriers,
    command_lines,
    command_words,
    language_calls,
    login_shapes,
    login_words,
    name_context,
    named_patterns,
    named_values,
    paths,
    pipes,
    program_names,
    program_table,
    program_words,
    secret_verbs,
    tokens,
    urls,
    value_ranges,
    values,
    vocabulary,
)
from tests.support.shortest_match import shortest_match

_MODULES = (
    announced_values,
    carriers,
    command_lines,
    command_words,
    language_calls,
    login_shapes,
    login_words,
    name_context,
    named_patterns,
    named_values,
    paths,
    pipes,
    program_names,
    program_table,
    program_words,
    secret_verbs,
    scanner_table,
    tokens,
    urls,
    value_ranges,
    values,
    vocabulary,
)
_READS_AS_PATTERN = re.compile(r"\(\?|\w\|\w|\\[sSdwAz]|\[[^\]]*\][*+]")

Search = Callable[[str], bool]


def _patterns(module: ModuleType) -> Iterator[tuple[str, Search]]:
    """The patterns that the module makes, by name; patterns in texts are parts of others, or the gate's."""
    for name, value in vars(module).items():
        if module is not named_patterns and vars(named_patterns).get(name) is value:
            continue  # imported from there
        match value:
            case Pattern():
                yield name, _search(value)
            case Grouped(capturing=pattern):
                yield name, _search(pattern)
            case str() if not name.startswith("__") and _READS_AS_PATTERN.search(value):
                yield name, _search(compiled(value, ignore_case=True))


def _search(pattern: Pattern) -> Search:
    return lambda line: pattern.search(line.encode()) is not None


@pytest.mark.parametrize("module", _MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_every_pattern_matches_its_line_and_passes_over_the_other(module: ModuleType) -> None:
    """A pattern without the two lines fails too; one that matches the empty text is a border, and has none."""
    found = {name: search for name, search in _patterns(module) if not search("")}
    examples: dict[str, tuple[str, str]] = getattr(module, "EXAMPLES", {})

    assert sorted(found.keys() - examples.keys()) == []
    wrong = {
        name: (search(examples[name][0]), search(examples[name][1]))
        for name, search in found.items()
        if (search(examples[name][0]), search(examples[name][1])) != (True, False)
    }
    assert wrong == {}


def test_examples_are_of_patterns_that_exist() -> None:
    """A pattern that goes takes its lines along."""
    for module in _MODULES:
        assert set(getattr(module, "EXAMPLES", {})) <= set(vars(module)), module.__name__


def test_every_form_of_the_audit_matches_its_line_and_passes_over_the_other() -> None:
    """The second opinion has the two lines as well."""
    assert sure_forms.EXAMPLES.keys() == {*sure_forms._PATTERNS, *sure_forms._CHECKED}
    for rule, (reported, passed_over) in sure_forms.EXAMPLES.items():
        found = [rule in sure_forms.sure_rules(text, is_free=True) for text in (reported, passed_over)]
        assert found == [True, False], rule


def test_every_format_of_a_token_is_found_and_opens_the_gate() -> None:
    """The shortest token of each format goes by the rule, and the gate calls for the rule."""
    gate = compiled(tokens.KNOWN_FORMS_GATE, ignore_case=True)
    unseen = {}
    for token_format in (*tokens._TOKENS, *tokens._HOOKS):
        line = f"tool {shortest_match(token_format)} x".encode()
        rule = tokens._HOOK if token_format in tokens._HOOKS else tokens._TOKEN
        if gate.search(line) is None or rule.capturing.search(line) is None:
            unseen[token_format] = line

    assert unseen == {}
