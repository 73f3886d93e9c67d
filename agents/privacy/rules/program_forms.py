"""How an entry of the table of programs says which options and positions of a program hold a secret.

`-p` is a password to sshpass, a port to ssh and a folder's parents to mkdir, so a short option has a meaning only
together with its program. Long options that say what they are (`--password`) need no entry here; those that do not, do.
Entries come from the programs' manuals.
"""

import enum
from dataclasses import InitVar, dataclass, field
from typing import Final


class Form(enum.Enum):
    """How a program takes the value of an option, and which part of it is secret."""

    ATTACHED = "attached"  # -pVALUE only: alone it asks at the terminal
    EITHER = "either"  # -p VALUE or -pVALUE
    NEXT = "next"  # -word VALUE
    PAIR = "pair"  # as EITHER, a value `user:secret`, secret behind the first colon
    PERCENT = "percent"  # as EITHER, `user%secret`
    LITERAL = "literal"  # as EITHER, `name=secret`
    COMMA = "comma"  # as EITHER, `user,secret`
    BEFORE_AT = "before at"  # as EITHER, `secret@host`
    LAST = "last"  # as EITHER, `kind:name:secret`
    COOKIE = "cookie"  # as EITHER, `name=secret`; anything else is a file
    SLASHED = "slashed"  # /p:VALUE
    SKIPPED = "skipped"  # as EITHER, a value that is not secret and takes no position
    TYPED = "typed"  # as NEXT, `pass:VALUE`; what begins with file:, env:, fd: or is stdin names a place


_ATTACHING: Final = frozenset(
    {
        Form.EITHER,
        Form.PAIR,
        Form.PERCENT,
        Form.COMMA,
        Form.LITERAL,
        Form.SKIPPED,
        Form.BEFORE_AT,
        Form.LAST,
        Form.COOKIE,
    }
)


@dataclass(frozen=True, slots=True)
class Position:
    """A secret that is found by its place: word `index` after the words `after`, from 0, without counting options.

    With `rest`, the words after it are secret too. With `flag`, only if the command line has an option with that
    letter. With `separator`, only what follows it in the word.
    """

    after: tuple[str, ...]
    index: int
    rest: bool = False
    flag: str = ""
    separator: str = ""


@dataclass(frozen=True, slots=True)
class Program:
    """Secrets of the programs called `names`; `options` are pairs of an option as written and its form.

    `needs` is a word that must stand before the option counts (`docker login`); `clustered` are letters that may
    stand before a short option in one word (`-sSu`); `keywords` are bare words whose next word is secret;
    `runs_another` says that its first word is a program, whose options are its own.
    `forms`, `slashed` and `attachable` hold the options again, in the form in which command_lines.py looks them up.
    """

    names: str
    options: InitVar[tuple[tuple[str, Form], ...]] = ()
    positions: tuple[Position, ...] = ()
    needs: tuple[str, ...] = ()
    clustered: str = ""
    keywords: tuple[str, ...] = ()
    runs_another: bool = False
    forms: dict[str, Form] = field(init=False)
    slashed: tuple[str, ...] = field(init=False)
    attachable: tuple[str, ...] = field(init=False)

    def __post_init__(self, options: tuple[tuple[str, Form], ...]) -> None:
        forms = {option: form for option, form in options if form is not Form.SLASHED}
        attachable = (o for o, form in forms.items() if form is Form.ATTACHED or (len(o) == 2 and form in _ATTACHING))
        object.__setattr__(self, "forms", forms)
        object.__setattr__(self, "slashed", tuple(option for option, form in options if form is Form.SLASHED))
        object.__setattr__(self, "attachable", tuple(attachable))


def options(form: Form, *names: str) -> tuple[tuple[str, Form], ...]:
    """Pairs of an option and its form, as `Program` takes them."""
    return tuple((name, form) for name in names)
