"""What a file says and what was seen make one verdict, and observation alone never closes a vulnerability."""

from dataclasses import replace

import pytest

from agents.hot_symbols.watch.answer_kind import AnswerKind
from agents.hot_symbols.watch.reasons import ReasonKind
from agents.vulnerabilities.product_images import HitImage, ProductImage
from agents.vulnerabilities.verdict import (
    Acceptance,
    Affected,
    CodeNotPresent,
    FileEvidence,
    FixedByVersion,
    Lack,
    LackKind,
    NotConcerned,
    NotInExecutePath,
    ProbeSeen,
    SeenFunction,
    UnderInvestigation,
    Verdict,
    file_verdict,
    product_verdict,
)
from agents.vulnerabilities.verdicts import (
    Assessment,
    CannotTell,
    CodeAbsent,
    CodePresent,
    Doubt,
    NoFunctionsNamed,
    NotAffected,
    NotAffectedBecause,
)
from schemas.probes import PolicyState

_DAY_NS = 86_400 * 10**9
_NOW_NS = 100 * _DAY_NS
_ACCEPTED = Acceptance("security@example.com", _NOW_NS + 1)
_PRESENT = CodePresent(("lib.Parse",), ())
_QUIET = SeenFunction(
    symbol="lib.Parse", watch_id="b!lib.Parse", answer=AnswerKind.NEVER_ENTERED, since_ns=_DAY_NS, until_ns=16 * _DAY_NS
)
_HIT = replace(_QUIET, answer=AnswerKind.HIT, hits=2, confirmed_hits=1, events=("e1 at 0:7",))


def _evidence(assessment: Assessment = _PRESENT, *seen: SeenFunction, unprobed: tuple[str, ...] = ()) -> FileEvidence:
    return FileEvidence(
        vulnerability="GO-1",
        build_id="b",
        assessment=assessment,
        symbols=("lib.Parse",) if isinstance(assessment, CodePresent) else (),
        unprobed=unprobed,
        seen=seen,
    )


@pytest.mark.parametrize(
    ("assessment", "verdict"),
    [
        (NotAffected((NotAffectedBecause.VERSION,)), FixedByVersion()),
        (NotAffected((NotAffectedBecause.NOT_IN_FILE,)), NotConcerned((NotAffectedBecause.NOT_IN_FILE,))),
        (CodeAbsent(("lib.Parse",)), CodeNotPresent(("lib.Parse",))),
    ],
)
def test_what_the_file_says_decides_where_the_code_is_not_there(assessment: Assessment, verdict: Verdict) -> None:
    """Nobody has to observe anything, and nobody has to accept anything."""
    assert file_verdict(_evidence(assessment), None, _NOW_NS) == verdict


def test_a_sure_hit_is_affected_whatever_the_author_accepts() -> None:
    """And it has the events. A hit of code that may be another function is not sure."""
    shared = replace(_HIT, reasons=((ReasonKind.SHARED_CODE, "its code is also that of x"),))

    assert file_verdict(_evidence(_PRESENT, _HIT), _ACCEPTED, _NOW_NS) == Affected((_HIT,))
    unsure = file_verdict(_evidence(_PRESENT, shared), _ACCEPTED, _NOW_NS)
    assert isinstance(unsure, UnderInvestigation)
    assert {one.kind for one in unsure.lacks} == {LackKind.UNSURE_HITS}


_WEB = HitImage("sha256:" + "4f" * 32, "registry.example/shop/web:1", is_sure=True)
_CART = HitImage("sha256:" + "5e" * 32, "registry.example/shop/cart:3", is_sure=True)


@pytest.mark.parametrize(
    ("images", "more", "lack"),
    [
        ((_WEB,), 0, None),
        ((_CART, _WEB), 7, None),
        ((replace(_WEB, is_sure=False), _CART), 0, LackKind.UNSURE_HITS),
        ((_CART,), 0, LackKind.OTHER_IMAGES),
        ((_CART,), 1, LackKind.UNKNOWN_IMAGE),
        ((), 0, LackKind.UNKNOWN_IMAGE),
    ],
)
def test_a_hit_is_a_products_only_if_it_was_in_its_image(
    images: tuple[HitImage, ...], more: int, lack: LackKind | None
) -> None:
    """A hit in others, on a host, or in an image that nobody said, is a reason; it closes nothing for the product."""
    evidence = _evidence(_PRESENT, replace(_HIT, images=images, images_more=more))
    web = ProductImage.of_package_url("pkg:oci/web@sha256:4f4f")
    assert web is not None
    verdict = file_verdict(evidence.seen_from(web), _ACCEPTED, _NOW_NS)

    if lack is None:
        assert isinstance(verdict, Affected)
    else:
        assert isinstance(verdict, UnderInvestigation)
        assert {one.kind for one in verdict.lacks} == {lack}
    assert isinstance(file_verdict(evidence.seen_from(None), _ACCEPTED, _NOW_NS), Affected)


def test_a_function_that_did_not_run_is_the_same_from_every_image() -> None:
    """It has no image, and that is no doubt."""
    web = ProductImage.of_name("registry.example/shop/web:1")

    verdict = file_verdict(_evidence(_PRESENT, _QUIET).seen_from(web), _ACCEPTED, _NOW_NS)
    assert isinstance(verdict, NotInExecutePath)


@pytest.mark.parametrize(
    ("versions", "said"), [((), "VERSION"), (("1.8.1",), "1.8.1"), (("1.8.1", "1.8.0"), "VERSION")]
)
def test_the_command_for_probes_has_the_version_that_all_agents_have(versions: tuple[str, ...], said: str) -> None:
    """Where they differ, or none said it, it is left to the operator."""
    unhooked = replace(_QUIET, answer=AnswerKind.NOT_SEEN, reasons=((ReasonKind.UNHOOKED, "n"),))
    probes = tuple(
        ProbeSeen(policy="p", node=f"n{number}", state=PolicyState.ENABLED, agent_version=version)
        for number, version in enumerate(versions)
    )
    verdict = file_verdict(replace(_evidence(_PRESENT, unhooked), probes=probes), _ACCEPTED, _NOW_NS)

    assert isinstance(verdict, UnderInvestigation)
    assert verdict.lacks[0].command == f"callstream vulnerabilities policy GO-1 --agent-version {said}"


def test_a_hit_of_code_that_the_file_does_not_have_closes_nothing() -> None:
    """One of the two is wrong, and nobody knows which."""
    verdict = file_verdict(_evidence(CodeAbsent(("lib.Parse",)), _HIT), None, _NOW_NS)

    assert verdict == UnderInvestigation((Lack(LackKind.CONTRADICTED),), (_HIT,))


def test_what_was_not_seen_is_closed_only_by_an_authors_word_until_it_expires() -> None:
    """Without it, the verdict says what was seen, and that nobody accepts it."""
    evidence = _evidence(_PRESENT, _QUIET)

    assert file_verdict(evidence, _ACCEPTED, _NOW_NS) == NotInExecutePath(_ACCEPTED, (_QUIET,))
    assert file_verdict(evidence, None, _NOW_NS) == UnderInvestigation((Lack(LackKind.NOT_ACCEPTED),), (_QUIET,))
    expired = file_verdict(evidence, _ACCEPTED, _NOW_NS + 1)
    assert expired == UnderInvestigation((Lack(LackKind.EXPIRED, "security@example.com"),), (_QUIET,))


@pytest.mark.parametrize(
    ("evidence", "lack"),
    [
        (_evidence(CodePresent(("lib.Parse",), (Doubt.USES_C,)), _QUIET), LackKind.STATIC_DOUBT),
        (_evidence(CannotTell((Doubt.VERSION_UNKNOWN,), ())), LackKind.STATIC_DOUBT),
        (_evidence(CannotTell((Doubt.VERSION_UNKNOWN,), ()), _HIT), LackKind.UNSURE_HITS),
        (_evidence(NoFunctionsNamed()), LackKind.NO_FUNCTIONS),
        (_evidence(), LackKind.NOT_WATCHED),
        (_evidence(_PRESENT, replace(_QUIET, answer=AnswerKind.UNKNOWN)), LackKind.NOT_ANSWERED),
        (
            _evidence(_PRESENT, replace(_QUIET, answer=AnswerKind.NOT_SEEN, reasons=((ReasonKind.UNHOOKED, "n"),))),
            LackKind.NOT_PROBED,
        ),
        (
            _evidence(_PRESENT, replace(_QUIET, answer=AnswerKind.NOT_SEEN, reasons=((ReasonKind.GAP, "gap"),))),
            LackKind.INCOMPLETE,
        ),
        (
            _evidence(_PRESENT, replace(_QUIET, answer=AnswerKind.NOT_SEEN, reasons=((ReasonKind.INLINED_INTO, "i"),))),
            LackKind.NOT_PROBABLE,
        ),
        (_evidence(_PRESENT, _QUIET, unprobed=("lib.Parse",)), LackKind.NOT_PROBABLE),
        (_evidence(_PRESENT, replace(_QUIET, until_ns=2 * _DAY_NS)), LackKind.TOO_SHORT),
    ],
)
def test_whatever_is_missing_keeps_it_under_investigation_and_is_named(evidence: FileEvidence, lack: LackKind) -> None:
    """However much the author accepts."""
    verdict = file_verdict(evidence, _ACCEPTED, _NOW_NS)

    assert isinstance(verdict, UnderInvestigation)
    assert lack in {one.kind for one in verdict.lacks}


def test_little_that_is_missing_may_be_accepted_too() -> None:
    """By share and by events; a missing hook is no little thing."""
    gaps = ((ReasonKind.GAP, "gap"), (ReasonKind.MISSING, "0.1 %"), (ReasonKind.HOOKS_LOADED, "hooks"))
    missing = replace(_QUIET, answer=AnswerKind.NOT_SEEN, watched_ms=999, missing_ms=1, events_lost=3, reasons=gaps)
    unhooked = replace(missing, reasons=(*gaps, (ReasonKind.UNHOOKED, "n")))
    accepted = replace(_ACCEPTED, min_share=0.999, max_events_lost=3)

    assert isinstance(file_verdict(_evidence(_PRESENT, missing), accepted, _NOW_NS), NotInExecutePath)
    for seen, word in (
        (missing, _ACCEPTED),
        (missing, replace(accepted, min_share=0.9995)),
        (missing, replace(accepted, max_events_lost=2)),
        (replace(missing, events_lost=None), accepted),
        (unhooked, accepted),
    ):
        assert isinstance(file_verdict(_evidence(_PRESENT, seen), word, _NOW_NS), UnderInvestigation)


def test_a_lack_names_the_command_that_would_supply_it() -> None:
    """As far as there is one."""
    verdict = file_verdict(_evidence(), None, _NOW_NS)

    assert isinstance(verdict, UnderInvestigation)
    assert {one.command for one in verdict.lacks} == {"", "callstream vulnerabilities watch GO-1"}


def test_the_worst_file_decides_for_a_product() -> None:
    """With all that files of the same verdict say; a product without such a file is not concerned."""
    absent, fixed = CodeNotPresent(("a.F",)), FixedByVersion()
    unclear = UnderInvestigation((Lack(LackKind.NO_FUNCTIONS),))

    assert product_verdict([fixed, absent, CodeNotPresent(("b.G",))]) == CodeNotPresent(("a.F", "b.G"))
    assert product_verdict([absent, unclear, fixed]) == unclear
    assert product_verdict([unclear, Affected((_HIT,)), Affected((_QUIET,))]) == Affected((_HIT, _QUIET))
    assert product_verdict([]) == NotConcerned((NotAffectedBecause.NOT_IN_FILE,))
