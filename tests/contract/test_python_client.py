"""clients/python stands alone, and says what the pipeline says."""

import ast
import re
import tomllib
from pathlib import Path
from typing import Final

import pytest
from callstream_client.decoding import CALLS, COVERAGE, HOT_SYMBOLS, PLACEMENTS, PROBES, WATCHED
from callstream_client.records import GapCause as ClientsGapCause

from schemas.coverage import GapCause
from schemas.topics import TOPICS_BY_NAME
from tests.support.generate_client import KINDS, PACKAGE, generated, source

PROJECT: Final = PACKAGE.parents[1]


def test_generating_gives_the_committed_files() -> None:
    """Types and schemas follow from the pipeline's schemas, none missing and none left over."""
    made = generated()
    there = {path.relative_to(PACKAGE) for path in (PACKAGE / "schemas").iterdir()} | {Path("records.py")}
    assert there == made.keys()
    stale = [path for path, content in made.items() if (PACKAGE / path).read_bytes() != content]
    assert stale == [], "run `make client` and commit"


@pytest.mark.parametrize("name", KINDS)
def test_its_schemas_are_the_published_ones(name: str) -> None:
    """Byte for byte."""
    assert (PACKAGE / "schemas" / f"{name}.avsc").read_bytes() == source(name).read_bytes()


def test_it_reads_the_topics_that_everybody_may_read() -> None:
    """Each kind names a topic of the pipeline and the schema of its records."""
    for kind in (CALLS, HOT_SYMBOLS, COVERAGE, PROBES, PLACEMENTS, WATCHED):
        topic = TOPICS_BY_NAME[kind.topic]
        assert topic.value_schema == kind.schema
        assert not topic.restricted
    assert {one.value for one in ClientsGapCause} == {one.value for one in GapCause}


def test_it_imports_nothing_of_the_pipeline() -> None:
    """An analysis of each module's imports: itself, its three dependencies, and the standard library."""
    allowed = {"callstream_client", "confluent_kafka", "fastavro", "urllib3"}
    pipeline = {"app", "agents", "schemas", "faust", "mode", "aiokafka", "tests"}
    found: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Import(names=names):
                    found |= {name.name.partition(".")[0] for name in names}
                case ast.ImportFrom(module=str(module), level=0):
                    found.add(module.partition(".")[0])
    assert found & pipeline == set()
    assert allowed <= found


def test_it_names_ranges_and_pins_nothing() -> None:
    """A library shares its environment, so each dependency has a lowest version and stays below the next major one."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for dependency in project["dependencies"]:
        assert re.fullmatch(r"[a-z0-9-]+>=[\d.]+,<\d+", dependency), dependency
    assert (PACKAGE / "py.typed").exists()
