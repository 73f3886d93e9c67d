"""The Helm chart rendered with the values of a shape, and the schemas that Kubernetes would hold it to."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from jsonschema import Draft202012Validator, ValidationError
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from tests.support import tools

ROOT: Final = Path(__file__).resolve().parents[2]
CHART: Final = ROOT / "deploy" / "helm" / "callstream"
SHAPES: Final = {path.stem: path for path in sorted((ROOT / "tests" / "support" / "chart_values").glob("*.yaml"))}
NAMESPACE: Final = "obs"
Manifest = dict[str, Any]

NEEDS_HELM: Final = pytest.mark.skipif(
    None in {tools.helm(), tools.kubernetes_schemas(), tools.crds()},
    reason="Helm and the schemas of Kubernetes are not here: `make chart` installs them",
)


class _UniqueKeys(yaml.CSafeLoader):
    """Refuses a key that stands twice in one mapping: Kubernetes does, and yaml takes the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping of a node."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"a key stands twice: {keys}"
        return super().construct_mapping(node, deep)


def helm(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the pinned Helm, which must be installed."""
    program = tools.helm()
    assert program is not None
    return subprocess.run([program, *arguments], check=False, capture_output=True, text=True)


@cache
def rendered(shape: str) -> tuple[Manifest, ...]:
    """Everything that the chart makes in a shape."""
    done = helm("template", "rel", CHART, "--namespace", NAMESPACE, "--values", SHAPES[shape])
    assert done.returncode == 0, done.stderr
    return tuple(one for one in yaml.load_all(done.stdout, _UniqueKeys) if one)


def of_kind(shape: str, *kinds: str) -> list[Manifest]:
    """Manifests of some kinds."""
    return [one for one in rendered(shape) if one["kind"] in kinds]


@dataclass(frozen=True, slots=True)
class PodTemplate:
    """What a manifest makes pods of."""

    owner: Manifest
    labels: Mapping[str, str]
    spec: Manifest

    @property
    def component(self) -> str:
        """Which process it is."""
        return self.labels["app.kubernetes.io/component"]

    @property
    def containers(self) -> list[Manifest]:
        """All containers, those that run first among them."""
        return [*self.spec.get("initContainers", ()), *self.spec["containers"]]


def pods(shape: str) -> list[PodTemplate]:
    """Every pod that a shape makes."""
    found = [PodTemplate(one, one["metadata"]["labels"], one["spec"]) for one in of_kind(shape, "Pod")]
    for one in of_kind(shape, "DaemonSet", "StatefulSet", "Job", "Deployment"):
        template = one["spec"]["template"]
        found.append(PodTemplate(one, template["metadata"]["labels"], template["spec"]))
    return found


def settings_of(container: Manifest) -> dict[str, str]:
    """The literal environment of a container, with what Kubernetes puts in for other variables of it."""
    known = {"NODE_ADDRESS": "10.0.0.7", "POD_NAME": "rel-callstream-hot-symbols-0", "POD_ADDRESS": "10.1.0.9"}
    found = {}
    for one in container.get("env", ()):
        if one["name"].startswith("CALLSTREAM_"):
            value = one["value"]
            for name, put in known.items():
                value = value.replace(f"$({name})", put)
            found[one["name"]] = value
    return found


def problems(manifest: Manifest, version: str) -> list[str]:
    """What Kubernetes of a version would refuse in a manifest: fields that it does not know, wrong types and values."""
    group, _, api_version = manifest["apiVersion"].rpartition("/")
    folder = tools.kubernetes_schemas()
    assert folder is not None
    if group.endswith(("coreos.com", "keda.sh")):
        validator = _custom_validator(group, manifest["kind"], api_version)
    else:
        short = group.split(".")[0] if group else ""
        name = "-".join(filter(None, (manifest["kind"].lower(), short, api_version)))
        validator = _validator(folder / f"v{version}", f"{name}.json")
    return [_words(error) for error in validator.iter_errors(manifest)]


def _words(error: ValidationError) -> str:
    return f"{'/'.join(map(str, error.absolute_path))}: {error.message[:300]}"


@cache
def _validator(folder: Path, name: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"local:///{name}"}, registry=_schemas_of(folder))


@cache
def _schemas_of(folder: Path) -> "Registry[Any]":
    def read(uri: str) -> Resource[Any]:
        document = json.loads((folder / uri.rpartition("/")[2]).read_text(encoding="utf-8"))
        return Resource.from_contents(document, default_specification=DRAFT202012)

    return Registry(retrieve=read)  # type: ignore[call-arg]


@cache
def _custom_validator(group: str, kind: str, version: str) -> Draft202012Validator:
    folder = tools.crds()
    assert folder is not None
    for path in folder.glob(f"{group}_*.yaml"):
        definition = yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)
        if definition["spec"]["names"]["kind"] == kind:
            (schema,) = [
                one["schema"]["openAPIV3Schema"] for one in definition["spec"]["versions"] if one["name"] == version
            ]
            strict = {**_strict(schema), "additionalProperties": False}
            strict["properties"]["metadata"] = {"type": "object"}
            return Draft202012Validator(strict)
    raise AssertionError(f"no definition of {group} {kind}")


def _strict(schema: Any) -> Any:
    """The schema, as a server that refuses fields that it does not know reads it."""
    if isinstance(schema, list):
        return [_strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _strict(value) for key, value in schema.items()}
    if schema.get("x-kubernetes-int-or-string"):
        made.pop("type", None)
    if (
        isinstance(schema.get("properties"), dict)
        and schema.get("type") == "object"
        and "additionalProperties" not in schema
        and not schema.get("x-kubernetes-preserve-unknown-fields")
    ):
        made["additionalProperties"] = False
    return made


def named_ports(pod: PodTemplate) -> dict[str, int]:
    """Ports of a pod's containers by name."""
    return {port["name"]: port["containerPort"] for one in pod.containers for port in one.get("ports", ())}


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector of Kubernetes selects labels."""
    wanted = selector.get("matchLabels", {})
    rest = selector.get("matchExpressions", ())
    assert all(one["operator"] == "In" for one in rest)
    return wanted.items() <= labels.items() and all(labels.get(one["key"]) in one["values"] for one in rest)


def places_of_secrets(shape: str) -> Iterator[tuple[PodTemplate, str, str]]:
    """Each pod, with the paths of its files with secrets, and the Secrets; none for a token of its account."""
    for pod in pods(shape):
        for volume in pod.spec.get("volumes", ()):
            for source in volume.get("projected", {}).get("sources", ()):
                if "serviceAccountToken" in source:
                    yield pod, f"/etc/callstream/secrets/{source['serviceAccountToken']['path']}", ""
                    continue
                for item in source["secret"]["items"]:
                    yield pod, f"/etc/callstream/secrets/{item['path']}", source["secret"]["name"]
