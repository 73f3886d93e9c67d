"""One embedded broker for the whole test run, and names of its own for each test."""

import re
import uuid
from collections.abc import Iterator

import pytest

from tests.support.breakable_broker import BreakableBroker


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BreakableBroker]:
    """Kafka and the registry, started for the first test that uses them. A test that kills one must start it again."""
    with BreakableBroker(tmp_path_factory.mktemp("embedded") / "broker") as broker:
        yield broker


@pytest.fixture
def topic_prefix(request: pytest.FixtureRequest) -> str:
    """Prefix for the topics, groups and subjects of one test, at most 60 characters, different in every run."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", request.node.name)[:50].strip("-")
    return f"{name}-{uuid.uuid4().hex[:6]}."
