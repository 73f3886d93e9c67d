"""agents/privacy/redaction/engine.py over the project's own tables: what must go, and what must stay."""

import pytest

from tests.support.privacy import SECRETS, lines, redacted, split_command

_FORMS = lines("secret_forms.txt")
_ORDINARY = lines("ordinary_commands.txt")


def _begins_with_a_program(form: str) -> bool:
    """Whether the first word is no name of a secret, as in a line of code."""
    word = form.partition(" ")[0]
    return word.isidentifier() and not any(stem in word for stem in ("pass", "secret", "key", "token"))


@pytest.mark.parametrize("form", _FORMS)
def test_secret_does_not_leave_in_a_form_of_the_table(form: str) -> None:
    """Every form loses its secret, whatever people use as one."""
    for secret in SECRETS:
        line = form.replace("{S}", secret).replace("\\n", "\n")
        assert secret not in redacted(line)


@pytest.mark.parametrize("form", [form for form in _FORMS if _begins_with_a_program(form)])
def test_secret_does_not_leave_when_the_program_is_given_apart(form: str) -> None:
    """The agent sends the binary and the arguments in two fields."""
    for secret in SECRETS:
        binary, arguments = split_command(form.replace("{S}", secret).replace("\\n", "\n"))
        if arguments.startswith((":", "=", '"')) or " | " in arguments:  # a line of code, or for a shell
            continue
        assert secret not in redacted(arguments, binary=binary)


@pytest.mark.parametrize("line", _ORDINARY)
def test_ordinary_command_line_comes_through_unchanged(line: str) -> None:
    """Several hundred command lines that hold nothing private leave as they are, whole and as binary and arguments."""
    binary, arguments = split_command(line)
    assert redacted(line) == line
    assert redacted(arguments, binary=binary) == arguments


def test_table_of_ordinary_command_lines_has_several_hundred_rows() -> None:
    """A table that shrank would prove little."""
    assert len(set(_ORDINARY)) > 500
