"""Which rule looks at a text when which pattern of the gate matched: the table that ties gate and rules together.

Every rule stands here with the patterns that call for it, and only they do. A scanner returns masks and edits nothing.
"""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from agents.privacy.matching.gate import Pattern
from agents.privacy.matching.masks import CREDENTIAL, REDACTED, Mask
from agents.privacy.matching.scan import Grouped, Scan, grouped
from agents.privacy.redaction.choices import RedactionChoices
from agents.privacy.rules import (
    carriers,
    command_lines,
    language_calls,
    login_shapes,
    named_patterns,
    named_values,
    paths,
    pipes,
    secret_verbs,
    tokens,
    urls,
)
from agents.privacy.rules.paths import Owner

_EMAIL: Final = r"(?:\A|[\s\"'`<(=:,;])([a-z0-9._%+\-]+@[a-z0-9\-]+\.[a-z0-9.\-]+)"
"""An address of e-mail whose host has a dot, so that `ssh ann@host` stays. The group is the address."""


EXAMPLES: Final = {"_EMAIL": ("mail ann@example.org", "ssh ann@host")}
"""By pattern: a line that it matches, and a similar one that it passes over (a test runs all of them)."""


class TextContext(NamedTuple):
    """How a text is to be read: whose arguments it holds, and whether it was cut off or is of a special kind.

    `trigger` is the pattern of all that can stand before a secret of the program, None if it has no secrets.
    """

    program: str
    trigger: Pattern | None = None
    truncated: bool = False
    # one path; the name of a function; a text whose escapes have been read
    is_path: bool = False
    is_symbol: bool = False
    is_spelled: bool = False


Scanner = Callable[[Scan, TextContext], list[Mask]]


class GatedScanner(NamedTuple):
    """A scanner, and a pattern of the gate that calls for it.

    `surely` is a tighter pattern that is searched where the gate matched. A gate's pattern that has to remember what
    it has seen multiplies the states of the whole gate; there it stands as a short hint, and `surely` beside it.
    """

    gate: str
    scanner: Scanner
    surely: Pattern | None = None


def _alone(look: Callable[[Scan], list[Mask]]) -> Scanner:
    """A rule for which the context makes no difference."""
    return lambda scan, _context: look(scan)


def _named(scan: Scan, context: TextContext) -> list[Mask]:
    return named_values.named_values(scan, context.program)


def _of_words(look: Callable[[Scan, str], list[Mask]]) -> Scanner:
    """A rule that reads words of a command line; a path has none."""
    return lambda scan, context: [] if context.is_path else look(scan, context.program)


_LOGIN_PAIRS: Final = _of_words(login_shapes.login_pairs)
_BEHIND_VERBS: Final = _of_words(secret_verbs.secrets_behind_verbs)


def _urls(scan: Scan, context: TextContext) -> list[Mask]:
    return urls.url_passwords(scan, truncated=context.truncated)


_SECRETS: Final = (
    GatedScanner(named_patterns.ASSIGNED_GATE, _named),
    GatedScanner(named_patterns.OPTION_GATE, _named),
    GatedScanner(named_patterns.BARE_GATE, _named),
    GatedScanner(named_patterns.QUERY_GATE, _named),
    GatedScanner(named_patterns.REVERSED_GATE, _alone(named_values.reversed_values)),
    GatedScanner(named_patterns.IDENTIFIED_GATE, _alone(named_values.identified_values)),
    GatedScanner(carriers.CARRIED_GATE, _alone(carriers.carried_values)),
    GatedScanner(carriers.INSERT_GATE, _alone(carriers.inserted_values)),
    GatedScanner(pipes.PIPED_GATE, _alone(pipes.piped_values)),
    GatedScanner(language_calls.CALL_GATE, _alone(language_calls.secrets_in_calls)),
    GatedScanner(tokens.KNOWN_FORMS_GATE, _alone(tokens.known_tokens)),
    GatedScanner(tokens.MANIFEST_GATE, _alone(tokens.secret_objects)),
    GatedScanner(tokens.PEM_GATE, _alone(tokens.private_keys)),
    GatedScanner(tokens.SCHEME_GATE, _alone(tokens.scheme_credentials)),
    GatedScanner(urls.URL_GATE, _urls),
    GatedScanner(urls.HOST_GATE, _alone(urls.host_passwords)),
    GatedScanner(login_shapes.PAIR_GATE, _LOGIN_PAIRS),
    GatedScanner(login_shapes.DOMAIN_GATE, _LOGIN_PAIRS),
    GatedScanner(login_shapes.BESIDE_HINT, _of_words(login_shapes.secrets_beside_users), login_shapes.BESIDE),
    GatedScanner(login_shapes.LONE_VALUE_GATE, _of_words(login_shapes.lone_secrets)),
    GatedScanner(login_shapes.SCRAMBLED_GATE, _of_words(login_shapes.scrambled_words)),
    GatedScanner(secret_verbs.STORE_HINT, _BEHIND_VERBS, secret_verbs.STORE),
    GatedScanner(secret_verbs.VERB_GATE, _BEHIND_VERBS),
    GatedScanner(secret_verbs.WEAK_VERB_HINT, _BEHIND_VERBS, secret_verbs.WEAK_VERB),
    GatedScanner(paths.MAPPING_GATE, _alone(paths.memory_files)),
    GatedScanner(paths.FOLDER_GATE, _alone(paths.in_credential_folders)),
    GatedScanner(paths.FILE_GATE, _alone(paths.credential_files)),
    GatedScanner(paths.KEY_FILE_GATE, _alone(paths.key_files)),
    GatedScanner(paths.ENVIRON_GATE, _alone(paths.environments)),
)

OF_TRUNCATED: Final = (_urls, _alone(tokens.cut_off_tokens))
"""Scanners of every text that was cut off, whatever the gate says: what is left of a secret need not look like one."""


def program_scanners(programs: command_lines.ProgramRules) -> tuple[GatedScanner, Scanner]:
    """The walk over the words of a command line that names a program, and the walk for a program that runs.

    The first looks whether the programs that are named could have a secret there. The second need not: what calls it
    has found the trigger of the program that runs. A path has no words.
    """

    def walk(scan: Scan, context: TextContext) -> list[Mask]:
        return [] if context.is_path else command_lines.program_values(scan, programs, context.program)

    def walk_named(scan: Scan, context: TextContext) -> list[Mask]:
        return walk(scan, context) if context.is_path or programs.could_hold(scan) else []

    return GatedScanner(programs.hint, walk_named, programs.announcing), walk


def built_in(owner: Owner | None) -> tuple[GatedScanner, ...]:
    """The rules that no policy can switch off, and those of homes unless the policy keeps homes (`owner` is None)."""
    if owner is None:
        return _SECRETS

    def homes(scan: Scan, context: TextContext) -> list[Mask]:
        return paths.homes(scan, owner, spaced=context.is_path)

    return (
        *_SECRETS,
        GatedScanner(paths.HOME_GATE, homes),
        GatedScanner(paths.TILDE_GATE, lambda scan, _: paths.tilde_homes(scan, owner)),
        GatedScanner(paths.OWNED_GATE, _alone(paths.owned_entries)),
    )


def of_policy(choices: RedactionChoices) -> Iterator[GatedScanner]:
    """What a policy adds. Raises PatternError if a pattern does not compile."""
    patterns = [(entry.rule, entry.pattern, REDACTED) for entry in choices.patterns]
    patterns += [("name", named_values.custom_name_pattern(name), REDACTED) for name in choices.names]
    patterns += [("credential-path", pattern, CREDENTIAL) for pattern in choices.credential_paths]
    if choices.emails:
        patterns.append(("email", _EMAIL, REDACTED))
    for rule, pattern, replacement in patterns:
        yield GatedScanner(pattern, _masking(grouped(pattern, ignore_case=True), rule, replacement))


def _masking(pattern: Grouped, rule: str, replacement: str) -> Scanner:
    return lambda scan, _: [Mask(start, end, replacement, rule) for start, end in scan.groups(pattern)]
