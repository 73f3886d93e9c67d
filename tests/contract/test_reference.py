"""The generated reference pages are current, valid by their own validators, and name all that there is."""

import inspect
import json
import re
import shutil
import subprocess
import sys
from typing import Any, Final

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from app.stages.hot_symbols.endpoint import _NAMES, PATH
from app.telemetry.http import TelemetryServer
from schemas import records
from schemas.topics import TOPICS
from tests.support import tools
from tests.support.reference_pages import ROOT

ASYNCAPI: Final[dict[str, Any]] = json.loads((ROOT / "docs" / "asyncapi.json").read_text(encoding="utf-8"))
OPENAPI: Final[dict[str, Any]] = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))


def test_making_the_pages_gives_the_committed_ones() -> None:
    """They follow from the program alone, so a change there shows here; other tests leave traces in a process."""
    made = "import json; from tests.support.reference_pages import pages; print(json.dumps(pages()))"
    fresh = subprocess.run([sys.executable, "-c", made], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    stale = [path for path, text in json.loads(fresh).items() if (ROOT / path).read_text(encoding="utf-8") != text]
    assert stale == [], "run `make reference` and commit"


def test_the_http_page_is_openapi() -> None:
    """By the validator of OpenAPI 3.1."""
    validate(OPENAPI, cls=OpenAPIV31SpecValidator)


def test_the_topic_page_is_asyncapi() -> None:
    """By AsyncAPI's own parser, which reads the Avro schemas in it too."""
    check = tools.asyncapi_check()
    node = shutil.which("node")
    if check is None or node is None:
        pytest.skip("AsyncAPI's parser is not installed: make tools NAMES=asyncapi-check")
    command = [node, str(check), str(ROOT / "docs" / "asyncapi.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == f"{len(TOPICS)} channels, {2 * len(TOPICS)} operations\n"


def test_the_topic_page_has_every_topic_with_its_schema() -> None:
    """With the published schema word for word, and the options that `callstream topics apply` sets."""
    for topic in TOPICS:
        channel = ASYNCAPI["channels"][topic.name]
        options = channel["bindings"]["kafka"]["topicConfiguration"]
        assert options["max.message.bytes"] == topic.max_message_bytes
        assert options.get("retention.ms") == topic.retention_ms
        assert channel["x-restricted"] == topic.restricted
        payload = ASYNCAPI["components"]["messages"][topic.name]["payload"]
        if topic.value_schema is not None:
            assert payload["schema"] == json.loads(records.schema_text(topic.value_schema))


def test_the_http_page_has_every_path_and_parameter() -> None:
    """Those that the two servers' own code knows."""
    served = set(re.findall(r'case "(/\w+)":', inspect.getsource(TelemetryServer._respond)))
    assert served
    assert set(OPENAPI["paths"]) == {*served, PATH}
    assert {one["name"] for one in OPENAPI["paths"][PATH]["get"]["parameters"]} == _NAMES
