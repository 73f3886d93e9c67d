"""Reads the privacy policy and the pseudonym key from their files: the shell around agents/privacy.

A policy that does not compile stops the start. A process that is already running uses `reloaded`, which keeps the
policy it had and says why. A key is read once and never printed.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agents.privacy.calls import PrivacyFilter
from agents.privacy.matching.gate import PatternError
from agents.privacy.policy import Policy
from agents.privacy.policy_file import PolicyError, built_in_policy, parse_policy
from agents.privacy.pseudonyms import Pseudonyms, WeakKeyError
from agents.privacy.redaction.choices import Treatment
from agents.privacy.redaction.engine import RedactionEngine
from agents.toml_text import MAX_TOML_BYTES
from app.operators.errors import OperatorError
from app.operators.regular_files import read_regular, read_regular_text
from app.settings import Settings

_MAX_KEY_BYTES: Final = 4_096
"""Above any key of use; 32 bytes are as strong as the pseudonyms get."""


class PrivacyConfigError(OperatorError):
    """The policy or its key is not usable; the message names the file, line and rule, and no part of a key."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self._problems = problems

    def lines(self) -> tuple[str, ...]:
        """One problem a line."""
        return self._problems


@dataclass(frozen=True, slots=True)
class Privacy:
    """A policy with its engine. `key_id` tells keys apart without saying anything of them; None without a key."""

    policy: Policy
    engine: RedactionEngine
    key_id: str | None

    def filter(self, *, says_snapshot: bool = True) -> PrivacyFilter:
        """A new filter, with caches of its own."""
        return PrivacyFilter(self.policy, self.engine, says_snapshot=says_snapshot)


def load_privacy(settings: Settings) -> Privacy:
    """What the settings name. Raises PrivacyConfigError."""
    policy = load_policy(settings.privacy_policy_file)
    pseudonyms = _load_key(settings.privacy_key_file, policy)
    key_id = None
    if pseudonyms is not None:
        key_id = hashlib.sha256(b"callstream key id\0" + pseudonyms.key).hexdigest()[:16]
    try:
        return Privacy(policy, RedactionEngine(policy.choices, pseudonyms), key_id)
    except PatternError as error:  # each pattern compiles, and all of them together do not
        raise PrivacyConfigError(f"{settings.privacy_policy_file}: the patterns together: {error}") from None


def reloaded(running: Privacy, settings: Settings) -> tuple[Privacy, str | None]:
    """The privacy that the files now describe; or `running` and the reason why they cannot be used."""
    try:
        return load_privacy(settings), None
    except PrivacyConfigError as error:
        return running, str(error)
    except Exception as error:  # noqa: BLE001 - no file may end a running stage; its text may be the file's, so only the class is said
        return running, f"the files cannot be read ({type(error).__name__})"


def load_policy(path: Path | None) -> Policy:
    """The policy in `path`; the built-in default without a path. Raises PrivacyConfigError."""
    if path is None:
        return built_in_policy("default")
    try:
        return parse_policy(read_regular_text(path, MAX_TOML_BYTES))
    except OSError as error:
        raise PrivacyConfigError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise PrivacyConfigError(f"{path}: {error}") from error
    except PolicyError as error:
        raise PrivacyConfigError(*(f"{path}: {problem}" for problem in error.problems)) from error


def _load_key(path: Path | None, policy: Policy) -> Pseudonyms | None:
    if path is None:
        return None
    try:
        return Pseudonyms(read_regular(path, _MAX_KEY_BYTES).strip(), policy.choices.epoch)
    except OSError as error:
        raise PrivacyConfigError(f"{path}: {error.strerror or error}") from error
    except WeakKeyError as error:
        raise PrivacyConfigError(f"{path}: {error}") from None


def lacks_key(privacy: Privacy) -> bool:
    """Whether the policy chooses pseudonyms and there is no key to make them, so that names are masked."""
    choices = privacy.policy.choices
    return privacy.key_id is None and Treatment.PSEUDONYM in {choices.users, choices.homes}
