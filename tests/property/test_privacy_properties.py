"""agents/privacy/redaction/engine.py over arbitrary texts: it never raises, settles, and keeps planted secrets."""

import string

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from agents.privacy.redaction.answers import Cleared, TextRefusal
from agents.privacy.redaction.choices import RedactionChoices
from agents.privacy.redaction.engine import RedactionEngine
from agents.privacy.rules.program_table import program_table
from tests.support.privacy import engine, lines

# Pieces that rules look for, so that random texts come near to what they must get right.
_PIECES = st.sampled_from(
    [
        "--password",
        "--token=",
        "password=",
        "PGPASSWORD=",
        "-p",
        "-u ",
        "user:",
        "@host",
        "://",
        "http://",
        "mysql ",
        "curl ",
        "docker login ",
        'sh -c "',
        "'",
        '"',
        " ",
        "  ",
        "=",
        ":",
        ";",
        "&",
        "\n",
        "[redacted]",
        "[credential]",
        "[user]",
        "~",
        "/home/",
        "/home/ann/",
        "/Users/Ann Lee/",
        "C:\\Users\\ann\\",
        ".ssh/",
        "id_rsa",
        ".aws/credentials",
        "/proc/1/environ",
        "Authorization: ",
        "Bearer ",
        "Cookie: ",
        "-----BEGIN RSA PRIVATE KEY-----",
        "eyJhbGciOi.eyJzdWIi.",
        "key=",
        "\u200b",
        "\u2011",
        "\u00a0",
        "ｐａｓｓｗｏｒｄ",
        "🔑",
        "\x00",
        "\ud800",
        "%",
        "{",
        "}",
        ",",
        "$",
        "value",
        "password",
        "secret",
        "x1Y2z3",
        "]",
        "[",
        "server.key",
        "~ann",
        "/run/user/1000",
        "/etc/shadow",
        "a@b.c",
        "`",
        "(",
        ")",
        "<",
        ">",
        "#",
        "\\",
        "|",
        "kind: Secret",
        "BEGIN RSA PRIVATE KEY",
        "echo ",
        "<<< ",
        "ghp_",
        "AKIA",
    ]
)
_TEXTS = st.lists(_PIECES | st.text(max_size=6), max_size=14).map("".join) | st.text(max_size=200)
_LINES = [
    line.replace("{S}", "Tr0ub4dorAnd3")
    for name in ("secret_forms.txt", "ordinary_commands.txt")
    for line in lines(name)
]
_SECRETS = st.text(string.ascii_letters + string.digits, min_size=8, max_size=24).filter(
    lambda secret: any(map(str.isdigit, secret)) and any(map(str.islower, secret))
)


@given(binary=_TEXTS, text=_TEXTS, truncated=st.booleans())
@example(binary="", text="cat /home/a/.ssh/id_rsa", truncated=False)
@example(binary="/usr/bin/tool", text="-p  x -k a1b", truncated=False)
@settings(max_examples=600)
def test_arguments_settle_when_given_arbitrary_texts(binary: str, text: str, truncated: bool) -> None:
    """The answer is a cleared text or a refusal, and clearing what was cleared changes nothing."""
    answer = engine().arguments(binary, text, truncated=truncated)

    if isinstance(answer, Cleared):
        assert engine().arguments(binary, answer.text, truncated=truncated) == Cleared(answer.text, ())
    else:
        assert answer is TextRefusal.INVALID_TEXT
        assert any("\ud800" <= character <= "\udfff" for character in text)


@given(text=_TEXTS)
@settings(max_examples=300)
def test_every_question_settles_when_given_arbitrary_texts(text: str) -> None:
    """Paths, texts, names, symbols, words, addresses and users: clearing twice is clearing once."""
    for ask in (
        engine().path,
        engine().text,
        engine().name,
        engine().symbol,
        engine().system_word,
        engine().address,
        engine().user,
    ):
        answer = ask(text)
        if isinstance(answer, Cleared):
            assert ask(answer.text) == Cleared(answer.text, ())


@given(content=st.binary(max_size=300))
def test_buffer_settles_when_given_arbitrary_bytes(content: bytes) -> None:
    """Bytes that are not UTF-8 are read all the same, and never refused for it."""
    answer = engine().buffer(content)
    assert isinstance(answer, Cleared)
    assert engine().text(answer.text) == Cleared(answer.text, ())


@given(before=_TEXTS, secret=_SECRETS, name=st.sampled_from(["--password", "--db-token", "-secret", "--api-key"]))
@settings(max_examples=300)
def test_long_option_loses_its_value_when_anything_stands_before_it(before: str, secret: str, name: str) -> None:
    """Whatever an attacker writes in front, the value of a long option does not leave."""
    assume("\ud800" not in before and secret not in before)
    answer = engine().arguments("/usr/bin/app", f"{before} {name}={secret}", truncated=False)
    assert isinstance(answer, Cleared)
    assert secret not in answer.text


@given(after=_TEXTS, secret=_SECRETS)
@settings(max_examples=300)
def test_assignment_loses_its_value_when_anything_stands_behind_it(after: str, secret: str) -> None:
    """Whatever follows, the value of an assignment does not leave."""
    assume("\ud800" not in after and secret not in after)
    answer = engine().arguments("", f"PGPASSWORD={secret} {after}", truncated=False)
    assert isinstance(answer, Cleared)
    assert secret not in answer.text


_BYTES = st.binary(max_size=120) | _TEXTS.map(lambda text: text.encode("utf-8", "replace"))


@given(before=_BYTES, after=_BYTES, secret=_SECRETS, border=st.sampled_from([b"\n", b" ", b"&"]))
@example(before=b"kind: Secret[`", after=b"[redacted]>", secret="Tr0ub4dorAnd3", border=b"&")
@settings(max_examples=1_000)
def test_named_secret_in_a_buffer_goes_whatever_bytes_surround_it(
    before: bytes, after: bytes, secret: str, border: bytes
) -> None:
    """A byte that is not UTF-8 hides no name from the rules, and no rule from the secret."""
    assume(secret.encode() not in before + after)
    answer = engine().buffer(before + border + b"password=" + secret.encode() + border + after)
    assert isinstance(answer, Cleared)
    assert secret not in answer.text


@given(secret=_SECRETS, unit=_PIECES, times=st.integers(1, 400))
@settings(max_examples=150)
def test_hostile_repetition_hides_no_secret(secret: str, unit: str, times: int) -> None:
    """A text that costs more than its budget is masked whole rather than half looked at."""
    assume("\ud800" not in unit)
    text = f"{unit * times} --password={secret} {unit * times}"
    answer = engine().arguments("/usr/bin/mysql", text, truncated=False)
    assert isinstance(answer, Cleared)
    assert secret not in answer.text


@st.composite
def _bent_lines(draw: st.DrawFn) -> str:
    """A command line of the tables with pieces put in or cut out, so that it is almost what a rule looks for."""
    line: str = draw(st.sampled_from(_LINES))
    for at, cut, piece in draw(st.lists(st.tuples(st.integers(0, 80), st.integers(0, 4), _PIECES), max_size=4)):
        line = line[:at] + piece + line[at + cut :]
    return line


@given(text=_bent_lines() | _TEXTS, binary=st.sampled_from(sorted(program_table())))
@example(text="user:--password.\u00a0--password", binary="mysql")
@example(text="-p\n/srv/%a", binary="mysql")
@example(text='/db_pass:" hu', binary="mysql")
@example(text="/home/ ", binary="mysql")
@example(text="var secret `Tr0ub4dorAnd3`", binary="mysql")
@example(text="https:/u:hunter2>@-h/x", binary="mysql")
@example(text='password=[redacted]"hunter2', binary="mysql")
@example(text="password=[redacted],hunter2", binary="mysql")
@example(text="rclone/ obscure hunter2", binary="mysql")
@example(text="login -p hunter2 -u u", binary="docker")
@example(text="AUTH hunter2", binary="redis-cli")
@example(text="--password\u2011,,\u2603", binary="mysql")
@example(text="-p hunter2 -u", binary="tool")
@example(text="x --source-password, --sync-password", binary="tool")
@example(text="args: [mysqldump, -phunter2]", binary="tool")
@example(text="Ym9iOnNpZWdlLXc0bGw=", binary="tool")
@example(text="auth can-i create system:account", binary="tool")
@example(text="sudo et:key Tr0ub4dorAnd3", binary="tool")
@example(text="-ptoken-w-ur0ub4dorAnd3 x", binary="tool")
@example(text='-u "my user:hunter2" host', binary="curl")
@example(text="secrets put a --value x", binary="tool")
@settings(max_examples=2_000)
def test_gate_is_no_tighter_than_the_rules(text: str, binary: str) -> None:
    """What the rules find with every gate open, they find behind the gate."""
    assume("\ud800" not in text)
    shut, ajar = engine(), _OPEN
    assert shut.arguments(binary, text) == ajar.arguments(binary, text)
    assert shut.text(text) == ajar.text(text)
    assert shut.path(text) == ajar.path(text)


class _OpenGate(RedactionEngine):
    """The engine with a gate that says that anything could be anywhere, so that every rule reads every text."""

    def __init__(self) -> None:
        super().__init__(RedactionChoices())
        everything = list(range(len(self._scanners)))
        self._matching = lambda _plain: everything
        self._surely = [None] * len(everything)
        self._scanners = [self._walk if one is self._walk_named.scanner else one for one in self._scanners]


_OPEN = _OpenGate()
