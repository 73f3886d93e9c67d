"""The promise to consumers, by a real registry: every schema that was once published, then today's."""

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

import pytest

from app.embedded.broker import EmbeddedBroker
from app.kafka.registry import RegistryError, SchemaRegistry
from app.provision.subjects import LEVEL, Registered, register
from schemas import records
from schemas.topics import TOPICS, subject

pytestmark = pytest.mark.integration

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")
PUBLISHED: Final = [topic for topic in TOPICS if topic.value_schema is not None]
"""Topics with a subject."""


@pytest.fixture(name="registry")
def _registry(embedded: EmbeddedBroker) -> Any:
    with SchemaRegistry(embedded.registry_url) as registry:
        yield registry


def test_every_published_schema_leads_to_todays(registry: SchemaRegistry, topic_prefix: str) -> None:
    """In the order of their commits, under the level that the page names, each subject takes all of them."""
    then: dict[str, list[str]] = defaultdict(list)
    for folder in sorted((ROOT / "tests" / "golden" / "schemas").iterdir()):
        for path in folder.glob("*.avsc"):
            then[path.stem].append(path.read_text(encoding="utf-8"))
    for topic in PUBLISHED:
        name = topic_prefix + subject(topic.name)
        registry.set_compatibility(name, LEVEL)
        for text in then[topic.value_schema or ""]:
            registry.register(name, text)
    found = register(registry, PUBLISHED, topic_prefix)
    assert [one for one in found if not isinstance(one, Registered)] == []
    assert all(then[topic.value_schema or ""] for topic in PUBLISHED), "no earlier text of this schema is kept"


@pytest.mark.parametrize("topic", PUBLISHED, ids=lambda topic: topic.name)
def test_the_registry_refuses_what_the_page_rules_out(registry: SchemaRegistry, topic_prefix: str, topic: Any) -> None:
    """A field that goes, one that comes without a default, and a symbol that goes from an enum."""
    name = topic_prefix + subject(topic.name)
    register(registry, [topic], topic_prefix)
    schema = json.loads(records.schema_text(topic.value_schema))
    needed = next(field for field in schema["fields"] if "default" not in field)
    gone = schema | {"fields": [field for field in schema["fields"] if field is not needed]}
    more = schema | {"fields": [*schema["fields"], {"name": "further", "type": "string", "doc": "New."}]}
    for changed in (gone, more):
        with pytest.raises(RegistryError):
            registry.register(name, json.dumps(changed))
    more["fields"][-1]["default"] = ""
    registry.register(name, json.dumps(more))


def test_the_page_names_every_subject_and_its_level() -> None:
    """As `callstream topics apply` sets it."""
    told = dict(re.findall(r"^\| `([\w.-]+-value)` \| `(\w+)` \|$", PAGE, re.MULTILINE))
    assert told == {subject(topic.name): LEVEL for topic in PUBLISHED}
