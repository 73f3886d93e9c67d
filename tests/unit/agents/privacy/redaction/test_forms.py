"""agents/privacy/redaction/engine.py over the project's own tables: what must go, and what must stay.

A test goes through a whole table and names every row that fails, so a table of two thousand rows costs two tests.
"""

from collections.abc import Iterator

from tests.support.privacy import SECRETS, lines, redacted, split_command

_FORMS = lines("secret_forms.txt")
_ORDINARY = lines("ordinary_commands.txt")


def _begins_with_a_program(form: str) -> bool:
    """Whether the first word is a program: a line of code begins with the name of a secret."""
    word = form.partition(" ")[0]
    return word.isidentifier() and not any(stem in word for stem in ("pass", "secret", "key", "token"))


def _leaks(form: str) -> Iterator[str]:
    """What leaves of `form` with a secret in it: of the whole line, and of the arguments beside their program.

    The agent sends the binary and the arguments in two fields.
    """
    for secret in SECRETS:
        line = form.replace("{S}", secret).replace("\\n", "\n")
        left = [redacted(line)]
        binary, arguments = split_command(line)
        is_for_a_shell = arguments.startswith((":", "=", '"')) or " | " in arguments  # or a line of code
        if _begins_with_a_program(form) and not is_for_a_shell:
            left.append(redacted(arguments, binary=binary))
        yield from (text for text in left if secret in text)


def test_no_secret_leaves_in_a_form_of_the_table() -> None:
    """Every form loses its secret, whatever people use as one, with its program in the line and apart from it."""
    leaking = {form: leaks for form in _FORMS if (leaks := list(_leaks(form)))}

    assert leaking == {}


def test_ordinary_command_lines_come_through_unchanged() -> None:
    """Several hundred command lines that hold nothing private leave as they are, whole and as binary and arguments."""
    assert len(set(_ORDINARY)) > 500  # a table that shrank would prove little
    changed = {}
    for line in _ORDINARY:
        binary, arguments = split_command(line)
        left = redacted(line), redacted(arguments, binary=binary)
        if left != (line, arguments):
            changed[line] = left

    assert changed == {}
