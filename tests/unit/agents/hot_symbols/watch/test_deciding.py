"""The answer to a watch, for each thing that can be known and each that can be missing."""

from dataclasses import replace

import pytest

from agents.coverage.completeness import Completeness
from agents.coverage.missing import MissingInterval
from agents.coverage.share import NodeTime, Share
from agents.hot_symbols.identity import parse_symbol_id
from agents.hot_symbols.watch.answer_kind import AnswerKind
from agents.hot_symbols.watch.bearing_rows import MAX_SEEN, UnsureHits
from agents.hot_symbols.watch.deciding import NO_HITS, HitsFound, HooksKnown, best_possible, decided
from agents.hot_symbols.watch.files import NoNames
from agents.hot_symbols.watch.reasons import ReasonKind
from agents.hot_symbols.watch.watch import Bearing, Watch
from agents.hot_symbols.watch.watched_code import MAX_FILES
from agents.probes.probe_table import AgentTold
from agents.probes.unhooked import ALL_HOOKED, Unhooked
from schemas.node import NodeId
from schemas.probes import AgentAnswer
from tests.support.named_files import Copies, ListedFiles, ListedNames, code_of

BUILD = "0123456789abcdef"
SECOND_BUILD = "fedcba9876543210"
LIB = "/usr/lib/libalias.so"
COMPLETE = Completeness(until_ns=9, share=Share(1, 9, 0, 9), is_every_node_known=True)
GAP = MissingInterval(1, 2, NodeId("east", "n1"), "Overflow")
PARSE = Watch(symbol="parse_chunk", build_id=BUILD, every_call_probed=True)
BY_PATH = Watch(symbol="parse_chunk", module=LIB, every_call_probed=True)

FULL = ListedNames([["parse_chunk"], ["read_image"]])
ALIASES = ListedNames([["parse_chunk_v2", "parse_chunk", "png_parse"], ["read_image"]])
NO_DWARF = replace(FULL, inline_knowledge=Copies(is_whole=False))


def files(names: ListedNames | NoNames = FULL) -> ListedFiles:
    """A store with this file under the watched path."""
    return ListedFiles({BUILD: names}, {LIB: {BUILD}})


NEVER_HIT, NEVER_ENTERED, NOT_SEEN = AnswerKind.NEVER_HIT, AnswerKind.NEVER_ENTERED, AnswerKind.NOT_SEEN
R = ReasonKind


@pytest.mark.parametrize(
    ("watch", "known", "answer", "why"),
    [
        (PARSE, files(), NEVER_HIT, [R.AUTHORS_WORD]),
        (BY_PATH, files(), NEVER_HIT, [R.AUTHORS_WORD]),
        (PARSE, files(ALIASES), NEVER_HIT, [R.AUTHORS_WORD, R.SHARED_CODE]),
        (replace(PARSE, symbol="png_parse"), files(ALIASES), NEVER_HIT, [R.AUTHORS_WORD, R.SHARED_CODE]),
        (PARSE, files(NO_DWARF), NEVER_ENTERED, [R.UNKNOWN_COPIES, R.AUTHORS_WORD]),
        (replace(PARSE, every_call_probed=False), files(), NOT_SEEN, [R.NOT_HOOKED]),
        (replace(PARSE, every_call_probed=False), files(NO_DWARF), NOT_SEEN, [R.NOT_HOOKED, R.UNKNOWN_COPIES]),
        (PARSE, None, NOT_SEEN, [R.NO_STORE]),
        (PARSE, ListedFiles({}), NOT_SEEN, [R.NO_INDEX]),
        (PARSE, files(NoNames.AMBIGUOUS), NOT_SEEN, [R.AMBIGUOUS_BUILD_ID]),
        (BY_PATH, ListedFiles({BUILD: FULL}), NOT_SEEN, [R.NOT_PLACED]),
        (BY_PATH, ListedFiles({BUILD: FULL}, {LIB: {BUILD, SECOND_BUILD}}), NOT_SEEN, [R.NO_INDEX]),
        (replace(BY_PATH, module=None), files(), NOT_SEEN, [R.NO_FILE_NAMED]),
        (replace(BY_PATH, module="kernel"), files(), NOT_SEEN, [R.NO_INDEX]),
        (replace(PARSE, symbol="parse_chunck"), files(), NOT_SEEN, [R.NO_SUCH_NAME]),
        (
            replace(PARSE, symbol="decode"),
            files(replace(FULL, inlined={"decode": ["read_image"]})),
            NOT_SEEN,
            [R.INLINED_INTO],
        ),
        (PARSE, files(replace(FULL, inlined={"parse_chunk": ["read_image"]})), NOT_SEEN, [R.INLINED_INTO]),
        (
            PARSE,
            files(replace(FULL, inlined={"parse_chunk": ["parse_chunk.cold"]})),
            NEVER_ENTERED,
            [R.UNKNOWN_COPIES, R.AUTHORS_WORD],
        ),
        (
            replace(PARSE, symbol="strlen"),
            files(ListedNames([["__strlen_avx2"]], chosen={"strlen": ["__strlen_avx2"]})),
            NOT_SEEN,
            [R.CHOSEN_AT_RUN_TIME],
        ),
    ],
)
def test_the_best_answer_follows_from_the_files(
    watch: Watch, known: ListedFiles | None, answer: AnswerKind, why: list[ReasonKind]
) -> None:
    """Never hit only where nothing of the function can have run unseen; each other answer says what is missing."""
    found, reasons = best_possible(watch, code_of(watch, known))

    assert (found, [reason.kind for reason in reasons]) == (answer, why)
    assert all(reason.words for reason in reasons)


@pytest.mark.parametrize(
    ("covered", "found", "why"),
    [
        (Completeness(), NO_HITS, [R.NOT_VOUCHED]),
        (replace(COMPLETE, share=Share(gaps=(GAP,))), NO_HITS, [R.GAP]),
        (replace(COMPLETE, share=Share(1, 8, 1, gaps=(GAP,))), NO_HITS, [R.GAP, R.MISSING]),
        (COMPLETE, HitsFound(hits=3), [R.UNCONFIRMED]),
        (COMPLETE, HitsFound(may_be=3), [R.MAY_BE_IT]),
        (COMPLETE, HitsFound(older=3), [R.OLDER_SNAPSHOT]),
    ],
)
def test_what_was_seen_and_what_is_missing_keep_never_from_being_said(
    covered: Completeness, found: HitsFound, why: list[ReasonKind]
) -> None:
    """Whatever the files say."""
    answer, reasons = decided(PARSE, code_of(PARSE, files()), found, covered)

    assert (answer, [reason.kind for reason in reasons]) == (NOT_SEEN, why)


NORTH = NodeId("east", "north")
ONE_NODE = Unhooked(1, NORTH)
UNSURE = HitsFound(unsure=UnsureHits(hits=3))


@pytest.mark.parametrize(
    ("probed", "hooks", "found", "answer", "why"),
    [
        (False, HooksKnown(), NO_HITS, NOT_SEEN, [R.NOT_HOOKED]),
        (False, HooksKnown(ONE_NODE), NO_HITS, NOT_SEEN, [R.UNHOOKED]),
        (False, HooksKnown(ALL_HOOKED), NO_HITS, NEVER_HIT, [R.HOOKS_LOADED]),
        (True, HooksKnown(ONE_NODE), NO_HITS, NEVER_HIT, [R.AUTHORS_WORD]),
        (True, HooksKnown(ALL_HOOKED), NO_HITS, NEVER_HIT, [R.HOOKS_LOADED]),
        (False, HooksKnown(ALL_HOOKED), UNSURE, NEVER_HIT, [R.HOOKS_LOADED]),
        (False, HooksKnown(ONE_NODE), UNSURE, NOT_SEEN, [R.UNNAMED_CODE, R.UNHOOKED]),
    ],
)
def test_never_is_said_where_hooks_were_loaded_or_the_author_says_so(
    *, probed: bool, hooks: HooksKnown, found: HitsFound, answer: AnswerKind, why: list[ReasonKind]
) -> None:
    """And the answer tells whose word it is; the agents' comes first."""
    watch = replace(PARSE, every_call_probed=probed)
    said, reasons = decided(watch, code_of(watch, files()), found, COMPLETE, hooks)

    assert (said, [reason.kind for reason in reasons]) == (answer, why)


@pytest.mark.parametrize(
    ("sighted", "words"),
    [
        (None, "% of the node-time is missing: 1 of 9 ms"),
        (NodeTime(), "% of the node-time is missing: 1 of 9 ms"),
        (NodeTime(2, 5, 0), "missing: 1 of 9 ms; 0 ms of it where its file was seen (nodes: 2)"),
    ],
)
def test_what_is_missing_where_the_file_was_seen_is_told_and_decides_nothing(
    sighted: NodeTime | None, words: str
) -> None:
    """It may have run on other nodes all the same."""
    covered = replace(COMPLETE, share=Share(1, 8, 1), sighted=sighted)
    answer, [reason] = decided(PARSE, code_of(PARSE, files()), NO_HITS, covered, HooksKnown())

    assert (answer, reason.kind) == (NOT_SEEN, R.MISSING)
    assert reason.words.endswith(words)


def test_loaded_hooks_are_told_where_events_are_missing() -> None:
    """Whoever accepts what is missing needs to know that every call was probed."""
    watch = replace(PARSE, every_call_probed=False)
    covered = replace(COMPLETE, share=Share(gaps=(GAP,)))
    answer, reasons = decided(watch, code_of(watch, files()), NO_HITS, covered, HooksKnown(ALL_HOOKED))

    assert (answer, [reason.kind for reason in reasons]) == (NOT_SEEN, [R.GAP, R.HOOKS_LOADED])


def test_nodes_without_hooks_are_named_and_counted() -> None:
    """One of them by its name."""
    watch = replace(PARSE, every_call_probed=False)
    told = AgentTold(1, AgentAnswer.ANSWERED, "v1.8.0", tells_hooks=True)
    _, [reason] = decided(watch, code_of(watch, files()), NO_HITS, COMPLETE, HooksKnown(Unhooked(2, NORTH), told))

    assert reason.about == ("east/north",)
    assert "the agent of east/north (v1.8.0) did not tell all the time" in reason.words
    assert "on 1 more node" in reason.words


def test_more_builds_than_are_looked_into_keep_never_from_being_said() -> None:
    """Whatever those are."""
    builds = [f"{number:016x}" for number in range(MAX_FILES + 1)]
    known = ListedFiles(dict.fromkeys(builds, FULL), {LIB: builds})
    answer, reasons = best_possible(BY_PATH, code_of(BY_PATH, known))

    assert (answer, [reason.kind for reason in reasons]) == (NOT_SEEN, [R.NO_INDEX])
    assert MAX_SEEN > MAX_FILES


def test_a_hit_names_all_functions_that_share_its_code() -> None:
    """Whichever of them was watched, and however many functions of the file have the name."""
    several = ListedNames([["parse_chunk", "release"], ["parse_chunk"]])
    answer, reasons = decided(PARSE, code_of(PARSE, files(several)), HitsFound(hits=1, confirmed=1), Completeness())

    assert answer is AnswerKind.HIT
    assert [(reason.kind, reason.about) for reason in reasons] == [
        (R.SHARED_CODE, ("release",)),
        (R.SEVERAL_CODES, (BUILD,)),
    ]


@pytest.mark.parametrize(
    ("watched", "row", "expected"),
    [
        ("png_parse", "parse_chunk_v2", Bearing.IS),  # the name that frames carry
        ("png_parse", "parse_chunk", Bearing.IS),  # a probe's target
        ("png_parse", "read_image", Bearing.NONE),
        ("read_image", "read_image", Bearing.IS),
        ("read_image", "read_image.cold", Bearing.MAY_BE),  # a name that this index does not have
        ("twice", "twice", Bearing.IS),
        ("twice", "twice.part.0", Bearing.IS),
        ("once", "twice", Bearing.MAY_BE),  # the name means other code too
        ("strlen", "__strlen_avx2", Bearing.IS),
        ("strlen", "strlen", Bearing.NONE),  # only the code that chooses
        ("strlen.resolver", "strlen", Bearing.NONE),
        ("header", "header", Bearing.IS),  # a copy that was inlined has frames of its own where lines are known
        ("header", "read_image", Bearing.NONE),
    ],
)
def test_rows_of_any_name_of_the_code_answer(watched: str, row: str, expected: Bearing) -> None:
    """By the index of the row's file."""
    names = ListedNames(
        [
            ["parse_chunk_v2", "parse_chunk", "png_parse"],
            ["read_image"],
            ["twice", "once"],
            ["twice"],
            ["twice.part.0"],
            ["__strlen_avx2"],
        ],
        chosen={"strlen": ["__strlen_avx2"]},
        inlined={"header": ["read_image"]},
    )
    watch = replace(PARSE, symbol=watched)

    assert code_of(watch, files(names)).bearing(watch, parse_symbol_id(f"{BUILD}!{row}"), LIB) is expected


def test_whose_word_it_is_which_nodes_there_were_is_no_doubt_but_is_said() -> None:
    """Without an authority the answer is about the nodes that reported; with one, it says whom it retired."""
    told = replace(COMPLETE, is_every_node_known=False, retired=(("kubernetes", 3), ("operator", 1)))
    answer, reasons = decided(PARSE, code_of(PARSE, files()), NO_HITS, told)
    assert answer is NEVER_HIT
    assert [reason.kind for reason in reasons] == [
        R.AUTHORS_WORD,
        R.REPORTED_NODES,
        R.RETIRED_NODES,
        R.RETIRED_NODES,
    ]
    assert reasons[2].words == "3 nodes are gone, by the word of kubernetes"
