"""What a user may set in the Helm chart, and what is refused with its name.

`make chart` installs Helm and the schemas, and runs this.
"""

import json
import re
import tomllib
from typing import Any

import pytest
import yaml

from tests.support.chart import CHART, NEEDS_HELM, ROOT, SHAPES, helm

pytestmark = NEEDS_HELM


def test_the_chart_itself_passes_lint() -> None:
    """`helm lint` without values finds no fault; what a user must name is a warning."""
    linted = helm("lint", "--strict", CHART)
    assert linted.returncode == 0, linted.stdout + linted.stderr
    assert "kafka.bootstrapServers: name the brokers" in linted.stdout + linted.stderr


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("kafka.users.privacy.password.value=hunter2", "additional properties 'value' not allowed"),
        ("secretFiles.CALLSTREAM_LOG_LEVEL.secret=x", "does not match pattern"),
        ("settings.LOG_LEVEL=DEBUG", "does not match pattern"),
        ("image.tag=latest", "'not' failed"),
        ("image.digest=sha256:12", "does not match pattern"),
        ("kafka.bootstrapServers=kafka", "does not match pattern"),
        ("kafka.bootstrapServers=", "kafka.bootstrapServers: name the brokers"),
        ("registry.url=", "registry.url: name the schema registry"),
        ("registry.url=https://user:word@registry", "does not match pattern"),
        ("stages.privacy.replica=2", "additional properties 'replica' not allowed"),
        ("stages.cannonicalize.replicas=2", "additional properties 'cannonicalize' not allowed"),
        ("symbols.images[0]=shop:1.0", "does not match pattern"),
        ("ingest.stateDir=var/lib", "does not match pattern"),
        ("networkPolicy.kafka.ports[0]=99999", "maximum"),
        ("kafka.users.admin.password.secret=", "kafka.users.admin.password.secret: name the Secret"),
        ("scaling.enabled=true", "scaling.prometheusUrl: name the Prometheus"),
        ("hotSymbolsQuery.enabled=true", "hotSymbolsQuery: say who may ask"),
    ],
)
def test_a_wrong_value_is_refused_with_its_name(value: str, message: str) -> None:
    """A typing error, a secret in the values or a missing part ends the install before anything is made."""
    refused = helm("template", "rel", CHART, "--values", SHAPES["smallest"], "--set", value)
    assert refused.returncode != 0
    assert message in refused.stderr


def test_every_value_has_a_schema_and_every_schema_a_value() -> None:
    """values.yaml shows all that can be set, and the schema closes every object of it."""
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))

    def compare(place: str, schema_here: dict[str, Any], value: Any) -> None:
        while "$ref" in schema_here:
            schema_here = schema["$defs"][schema_here["$ref"].rpartition("/")[2]]
        if schema_here.get("type") != "object" or "properties" not in schema_here:
            return
        assert schema_here["additionalProperties"] is False, place
        for name, below in schema_here["properties"].items():
            if place == "" and name == "global":
                continue
            if name in value:
                compare(f"{place}.{name}", below, value[name])
            else:
                assert re.search(r"resources|tolerations|Strategy|securityContext|seLinux", place), f"{place}.{name}"

    compare("", schema, values)


def test_the_chart_has_the_version_of_the_program() -> None:
    """A chart of another version would install another image."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert chart["version"] == chart["appVersion"] == project["version"]
