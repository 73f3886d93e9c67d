"""agents/privacy/redaction/engine.py: masks, quoting, truncation, evasion, refusals, and what a policy adds."""

import pytest

from agents.privacy.matching.gate import PatternError
from agents.privacy.pseudonyms import NameDomain, Pseudonyms
from agents.privacy.redaction.answers import Cleared, TextRefusal
from agents.privacy.redaction.choices import CustomPattern, RedactionChoices, Treatment
from agents.privacy.redaction.engine import INTRICATE, RedactionEngine
from tests.support.privacy import cleared, engine, redacted

_KEY = b"sixteen bytes or more"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("app --password=hunter2 -v", "app --password=[redacted] -v"),
        ("app --password hunter2 -v", "app --password [redacted] -v"),
        ('app --password "two words" -v', 'app --password "[redacted]" -v'),
        ('app "--password=two words" -v', 'app "--password=[redacted]" -v'),
        ("PGPASSWORD=x psql", "PGPASSWORD=[redacted] psql"),
        ("mysql -uroot -phunter2 db", "mysql -uroot -p[redacted] db"),
        ("curl -sSu admin:pw https://h/", "curl -sSu admin:[redacted] https://h/"),
        ('curl -H "Authorization: Bearer abc.def" h', 'curl -H "Authorization: Bearer [redacted]" h'),
        ("psql postgresql://app:p@ss@db:5432/app", "psql postgresql://app:[redacted]@db:5432/app"),
        ("curl https://h/x?a=1&token=abc&b=2", "curl https://h/x?a=1&token=[redacted]&b=2"),
        ("Server=db;Password=a b;Database=x", "Server=db;Password=[redacted];Database=x"),
        ("htpasswd -b file ann secret", "htpasswd -b file ann [redacted]"),
        ('sh -c "mysql -phunter2 db"', 'sh -c "mysql -p[redacted] db"'),
        ("docker login -u me -p pw reg", "docker login -u me -p [redacted] reg"),
        ("docker run -p 8080:80 img", "docker run -p 8080:80 img"),
        ("cat /home/ann/.ssh/id_rsa", "cat ~/.ssh/[credential]"),
    ],
)
def test_redaction_leaves_the_rest_readable(line: str, expected: str) -> None:
    """Only the secret goes; what was run, and with which options, stays."""
    assert redacted(line) == expected


@pytest.mark.parametrize("secret", ["x", "hunter2", "a-very-long-passphrase-of-forty-characters"])
def test_mask_tells_neither_length_nor_last_characters(secret: str) -> None:
    """Two secrets of any length leave the same text behind."""
    assert redacted(f"app --password={secret}") == "app --password=[redacted]"


def test_counts_name_the_rules() -> None:
    """Each replacement is counted once, under its rule."""
    answer = cleared("app --password=x TOKEN=y /home/ann/.aws/credentials")
    assert answer.hits == (("assignment", 1), ("credential-path", 1), ("home", 1), ("option", 1))


def test_masked_text_counts_nothing() -> None:
    """What is masked already was not masked by us."""
    assert cleared("app --password=[redacted] /x/.ssh/[credential]").hits == ()


@pytest.mark.parametrize(
    "line",
    [
        'app --password "never closed and more',
        'app "--password=a" b" c',
        "app --password 'never closed and more",
    ],
)
def test_value_runs_to_the_end_when_quotes_do_not_balance(line: str) -> None:
    """Tetragon escapes no quotes, so the longer context counts."""
    assert not any(word in redacted(line) for word in ("never closed", " b"))


@pytest.mark.parametrize(
    "line",
    [
        "psql postgres://ann:hunter",
        "app --token gh" + "p_0123",
        "env AKI" + "AIOSF",
        'app --password "hunt',
        "app eyJhbGci",
    ],
)
def test_cut_off_secret_goes_when_the_agent_truncated_the_arguments(line: str) -> None:
    """A secret of which only the beginning is there does not leave."""
    secret = line.rpartition(" ")[2].rpartition(":")[2].lstrip('"')
    assert secret not in cleared(line, truncated=True).text


@pytest.mark.parametrize(
    "name",
    [
        "\u2011\u2011password",  # non-breaking hyphens
        "--pass\u200bword",  # a zero-width space
        "--\uff50\uff41\uff53\uff53\uff57\uff4f\uff52\uff44",  # full-width letters
        "--p\u0430ssw\u043erd",  # Cyrillic letters
        "--PASSWORD",
        "--pass\u0301word",  # a combining accent
        "--pass\x00word",
    ],
)
def test_disguised_name_announces_all_the_same(name: str) -> None:
    """The shadow reads the name as a program would; the original keeps its spelling."""
    text = redacted(f"app {name}=hunter2 -v")
    assert text == f"app {name}=[redacted] -v"


def test_value_with_vanishing_characters_goes_whole() -> None:
    """A zero-width character inside a value does not end it."""
    assert redacted("app --password=hun\u200bter2\u200b -v") == "app --password=[redacted] -v"


def test_lone_surrogate_is_refused() -> None:
    """A text without a UTF-8 form cannot leave."""
    assert engine().text("a\ud800b") is TextRefusal.INVALID_TEXT


def test_text_over_the_limit_is_refused() -> None:
    """The limit counts bytes of UTF-8."""
    small = RedactionEngine(RedactionChoices(max_text_bytes=1024))
    assert isinstance(small.text("a" * 1024), Cleared)
    assert small.text("a" * 1025) is TextRefusal.TOO_LONG
    assert small.text("é" * 513) is TextRefusal.TOO_LONG
    assert small.buffer(b"a" * 1025) is TextRefusal.TOO_LONG


def test_text_is_refused_when_the_automaton_gave_up() -> None:
    """An answer without the sentinel is an error."""
    broken = RedactionEngine(RedactionChoices())
    broken._matching = lambda _plain: []
    assert broken.text("anything") is TextRefusal.ENGINE_FAILURE
    assert broken.path("/srv") is TextRefusal.ENGINE_FAILURE
    assert broken.arguments("", "anything", truncated=False) is TextRefusal.ENGINE_FAILURE


def test_intricate_text_is_masked_whole() -> None:
    """What would cost more than its budget is not half looked at."""
    assert cleared("a_key=b " * 2000) == Cleared("[redacted]", ((INTRICATE, 1),))


def test_text_of_many_scripts_is_masked_whole() -> None:
    """TextContext hundreds of distinct foreign characters would cost more than the text is worth."""
    for count in (300, 2000):
        text = "password=x" + "".join(map(chr, range(0x4E00, 0x4E00 + count)))
        assert engine().text(text) == Cleared("[redacted]", ((INTRICATE, 1),))


def test_foreign_text_comes_through_unchanged() -> None:
    """A text in another script is not secret for that."""
    for text in ("grüße aus köln", "привет мир", "こんにちは世界", "🚀 deployed"):
        assert engine().text(text) == Cleared(text, ())


def test_buffer_is_read_as_text() -> None:
    """User buffers go through the same rules; trailing zeros and invalid bytes do not matter."""
    assert engine().buffer(b"password=hunter2\0\0") == Cleared("password=[redacted]", (("assignment", 1),))
    assert engine().buffer(b"\xff --password=\xff hunter") == Cleared(
        "\ufffd --password=[redacted] hunter", (("option", 1),)
    )


def test_custom_pattern_redacts_its_groups() -> None:
    """An organisation's own secrets are counted under its own rule."""
    own = RedactionEngine(RedactionChoices(patterns=(CustomPattern("badge", r"\b(B-[0-9]{6})\b"),)))
    answer = own.text("seen B-123456 at gate 4, B-123456")
    assert answer == Cleared("seen [redacted] at gate 4, [redacted]", (("badge", 2),), ("B-123456",))


def test_custom_name_announces_a_secret() -> None:
    """Further names work in the forms that built-in ones have."""
    own = RedactionEngine(RedactionChoices(names=("badge-code",)))
    lines = ("--badge-code 1234", "--badge-code=1234", "BADGE_CODE=1234", "badgecode: 1234")
    for line in (*lines, '--badge-code "ab 1234"', "--badge-code 'ab 1234", 'badge_code: "ab 1234" x'):
        answer = own.text(line)
        assert isinstance(answer, Cleared)
        assert "1234" not in answer.text


def test_custom_name_with_a_star_announces_whatever_stands_in_its_place() -> None:
    """As other tools write their words."""
    own = RedactionEngine(RedactionChoices(names=("*badge*",)))
    for line in ("--my-badge-number 1234", "oldbadge=1234", "badge 1234"):
        answer = own.text(line)
        assert isinstance(answer, Cleared)
        assert "1234" not in answer.text


def test_custom_credential_path_hides_its_group() -> None:
    """A policy can add folders of credentials."""
    own = RedactionEngine(RedactionChoices(credential_paths=(r"/srv/vault/([^ /]+)",)))
    assert own.path("/srv/vault/prod") == Cleared("/srv/vault/[credential]", (("credential-path", 1),))


def test_email_goes_when_the_policy_says_so() -> None:
    """Addresses stay by default, because hosts and repositories look like them."""
    own = RedactionEngine(RedactionChoices(emails=True))
    answer = own.text("mail ann@example.org now")
    assert isinstance(answer, Cleared)
    assert "ann@" not in answer.text
    assert redacted("mail ann@example.org now") == "mail ann@example.org now"


def test_engine_refuses_a_pattern_that_does_not_compile() -> None:
    """A policy that does not compile stops the start."""
    with pytest.raises(PatternError):
        RedactionEngine(RedactionChoices(patterns=(CustomPattern("broken", "(["),)))


@pytest.mark.parametrize(
    ("treatment", "pseudonyms", "expected"),
    [
        (Treatment.KEEP, None, "ann"),
        (Treatment.MASK, None, "[user]"),
        (Treatment.MASK, Pseudonyms(_KEY, "1"), "[user]"),
        (Treatment.PSEUDONYM, None, "[user]"),
        (Treatment.PSEUDONYM, Pseudonyms(_KEY, "1"), Pseudonyms(_KEY, "1").of(NameDomain.USER, "ann")),
    ],
)
def test_user_is_treated_as_the_policy_says(treatment: Treatment, pseudonyms: Pseudonyms | None, expected: str) -> None:
    """Without a key a pseudonym is a mask, never a bare hash."""
    answer = RedactionEngine(RedactionChoices(users=treatment), pseudonyms).user("ann")
    assert isinstance(answer, Cleared)
    assert answer.text == expected


@pytest.mark.parametrize("path", ["/home/ann/src", "/Users/ann/src", "~ann/src"])
def test_home_becomes_the_pseudonym_of_its_owner_and_of_no_user(path: str) -> None:
    """All homes of a person have one pseudonym, and the user of that name another: nothing ties the two together."""
    pseudonyms = Pseudonyms(_KEY, "1")
    own = RedactionEngine(RedactionChoices(users=Treatment.PSEUDONYM, homes=Treatment.PSEUDONYM), pseudonyms)
    user, home = own.user("ann"), own.path(path)
    assert isinstance(user, Cleared)
    assert isinstance(home, Cleared)
    assert home.text == f"~{pseudonyms.of(NameDomain.HOME, 'ann')}/src"
    assert user.text.rpartition(":")[2] not in home.text
    for again in (own.path(home.text), own.text(home.text), own.arguments("ls", home.text)):
        assert again == Cleared(home.text, ())


@pytest.mark.parametrize(
    "name",
    [
        "llvm::sys::StrError[abi:cxx11]()@@LLVM_15",
        "llvm::Pass* llvm::callDefaultCtor<ScopViewerWrapperPass>()@@LLVM_15",
        "std::vector<Token, std::allocator<Token> >::push_back(Token&&)",
        "_ZN4core3ptr43drop_in_place$LT$alloc..string..String$GT$17h0123456789abcdefE",
        "net/http.(*Request).BasicAuth",
        "crypto/ecdsa.(*PrivateKey).Sign",
        "EVP_PKEY_get_default_digest_name",
        "__x64_sys_keyctl",
        "getpass",
    ],
)
def test_name_of_a_function_stays(name: str) -> None:
    """Names of code talk of keys and passwords and hold none."""
    assert engine().symbol(name) == Cleared(name, ())


def test_name_of_a_system_account_stays() -> None:
    """`root` does not name a person."""
    assert engine().user("root") == Cleared("root", ())


def test_answers_are_the_same_when_nothing_is_remembered() -> None:
    """Memory changes speed and nothing else."""
    line = "app --password=x /home/ann"
    assert RedactionEngine(RedactionChoices()).text(line) == engine().text(line) == engine().text(line)


@pytest.mark.parametrize(
    "content",
    [
        b"\0\0\0R\0\3\0\0user\0app\0database\0shop\0password\0Tr0ub4dor\0application_name\0psql\0\0",
        b"p\0\0\0\x0eTr0ub4dor\0",
        b"PATH=/bin\0DB_PASSWORD=Tr0ub4dor\0HOME=/root\0",
    ],
    ids=["startup", "password", "environment"],
)
def test_zeros_end_the_words_of_a_protocol(content: bytes) -> None:
    """A start of a session of PostgreSQL, its password, an environment: the secret goes, its neighbours stay."""
    answer = engine().buffer(content)
    assert isinstance(answer, Cleared)
    assert "Tr0ub4dor" not in answer.text
    assert answer.text.replace("[redacted]", "Tr0ub4dor").rstrip("\0\x0e") != answer.text
    assert all(word in answer.text for word in ("app", "shop", "psql")) or b"psql" not in content
