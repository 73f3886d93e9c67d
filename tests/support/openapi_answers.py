"""Whether an answer over HTTP is what docs/openapi.json says."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import jsonschema

from tests.support.reference_pages import ROOT


def openapi_misfits(path: str, status: int, content_type: str, document: Any) -> list[str]:
    """What in an answer the page does not say, or says otherwise; also a field that it lacks."""
    page = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))
    told = page["paths"].get(path, {}).get("get", {}).get("responses", {}).get(str(status))
    if told is None:
        return [f"{path} has no answer {status}"]
    content = told["content"].get(content_type.partition(";")[0])
    if content is None:
        return [f"{path} {status} has no {content_type}"]
    schema = {**_strict(content["schema"]), "components": _strict(page["components"])}
    return list(_problems(schema, document))


def _strict(schema: Any) -> Any:
    """The schema, with no field beyond those that are described."""
    strict = copy.deepcopy(schema)
    for part in _objects(strict):
        part.setdefault("additionalProperties", False)
    return strict


def _objects(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        if schema.get("type") == "object" and "properties" in schema:
            yield schema
        for inner in schema.values():
            yield from _objects(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from _objects(inner)


def _problems(schema: dict[str, Any], document: Any) -> Iterator[str]:
    for error in jsonschema.Draft202012Validator(schema).iter_errors(document):
        best = jsonschema.exceptions.best_match([error])
        yield f"{best.json_path}: {best.message[:300]}"
