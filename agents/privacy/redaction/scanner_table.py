"""Which rule looks at a text when which pattern of the gate matched: the table that ties `gate` and the rules together.

Rules: every rule stands here with the patterns that call for it, and is called for by nothing else. A scanner says
where, what to put there and in whose name, and edits nothing. This module refuses to know how often a text is looked
at, and what is remembered.
"""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from agents.privacy.redaction.choices import Rules
from agents.privacy.redaction.gate import Pattern
from agents.privacy.redaction.scan import Grouped, Scan, grouped
from agents.privacy.redaction.spans import CREDENTIAL, MASK, Span
from agents.privacy.rules import command_lines, named_values, paths, tokens, urls
from agents.privacy.rules.paths import Owner

_EMAIL: Final = r"(?:\A|[\s\"'`<(=:,;])([a-z0-9._%+\-]+@[a-z0-9\-]+\.[a-z0-9.\-]+)"


class Reading(NamedTuple):
    """How a text is to be read: whose arguments it holds, whether it was cut off, whether it is one path.

    `trigger` is the pattern of all that can stand before a secret of the program, where it has one.
    """

    program: str
    trigger: Pattern | None = None
    truncated: bool = False
    is_path: bool = False


Scanner = Callable[[Scan, Reading], list[Span]]


class Called(NamedTuple):
    """A scanner, and a pattern of the gate that calls for it."""

    gate: str
    scanner: Scanner


def _alone(look: Callable[[Scan], list[Span]]) -> Scanner:
    """A rule that does not care how the text is read."""
    return lambda scan, _reading: look(scan)


def _named(scan: Scan, reading: Reading) -> list[Span]:
    return named_values.named_values(scan, reading.program)


def _lone(scan: Scan, reading: Reading) -> list[Span]:
    return command_lines.lone_passwords(scan, reading.program)


def _urls(scan: Scan, reading: Reading) -> list[Span]:
    return urls.url_passwords(scan, truncated=reading.truncated)


_SECRETS: Final = (
    Called(named_values.ASSIGNED_GATE, _named),
    Called(named_values.OPTION_GATE, _named),
    Called(named_values.BARE_GATE, _named),
    Called(named_values.QUERY_GATE, _named),
    Called(named_values.REVERSED_GATE, _alone(named_values.reversed_values)),
    Called(named_values.IDENTIFIED_GATE, _alone(named_values.identified_values)),
    Called(tokens.KNOWN_FORMS_GATE, _alone(tokens.known_tokens)),
    Called(tokens.MANIFEST_GATE, _alone(tokens.secret_objects)),
    Called(tokens.PEM_GATE, _alone(tokens.private_keys)),
    Called(tokens.SCHEME_GATE, _alone(tokens.scheme_credentials)),
    Called(urls.URL_GATE, _urls),
    Called(urls.HOST_GATE, _alone(urls.host_passwords)),
    Called(command_lines.LONE_GATE, _lone),
    Called(paths.MAPPING_GATE, _alone(paths.memory_files)),
    Called(paths.FOLDER_GATE, _alone(paths.in_credential_folders)),
    Called(paths.FILE_GATE, _alone(paths.credential_files)),
    Called(paths.KEY_FILE_GATE, _alone(paths.key_files)),
    Called(paths.ENVIRON_GATE, _alone(paths.environments)),
)

OF_TRUNCATED: Final = (_urls, _alone(tokens.cut_off_tokens))
"""Scanners of every text that was cut off, whatever the gate says: what is left of a secret need not look like one."""


def program_scanner(programs: command_lines.ProgramRules) -> Called:
    """The walk over a command line's words; a path has none."""

    def walk(scan: Scan, reading: Reading) -> list[Span]:
        return [] if reading.is_path else command_lines.program_values(scan, programs, reading.program)

    return Called(programs.gate, walk)


def built_in(owner: Owner | None) -> tuple[Called, ...]:
    """The rules that no policy can switch off, and those of homes where there is something to put in their place."""
    if owner is None:
        return _SECRETS

    def homes(scan: Scan, reading: Reading) -> list[Span]:
        return paths.homes(scan, owner, spaced=reading.is_path)

    return (
        *_SECRETS,
        Called(paths.HOME_GATE, homes),
        Called(paths.TILDE_GATE, lambda scan, _: paths.tilde_homes(scan, owner)),
        Called(paths.OWNED_GATE, _alone(paths.owned_entries)),
    )


def of_policy(rules: Rules) -> Iterator[Called]:
    """What a policy adds. Raises PatternError where a pattern does not compile."""
    patterns = [(entry.rule, entry.pattern, MASK) for entry in rules.patterns]
    patterns += [("name", named_values.custom_name_pattern(name), MASK) for name in rules.names]
    patterns += [("credential-path", pattern, CREDENTIAL) for pattern in rules.credential_paths]
    if rules.emails:
        patterns.append(("email", _EMAIL, MASK))
    for rule, pattern, replacement in patterns:
        yield Called(pattern, _masking(grouped(pattern, ignore_case=True), rule, replacement))


def _masking(pattern: Grouped, rule: str, replacement: str) -> Scanner:
    return lambda scan, _: [Span(start, end, replacement, rule) for start, end in scan.groups(pattern)]
