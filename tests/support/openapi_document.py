"""What callstream serves over HTTP as an OpenAPI 3.1 document, from the endpoint's own limits and the schemas."""

import json
from importlib.metadata import version
from typing import Any, Final

from app.operators.json_text import LENGTHS
from app.serving.access import MIN_TOKEN_CHARS
from app.stages.hot_symbols.endpoint import MAX_QUERY_BYTES, MAX_ROWS, PATH, QUESTION_SECONDS
from app.stages.hot_symbols.query_port import MAX_QUESTIONS
from schemas import records

_NUMBERS: Final = {"long": "integer", "int": "integer", "boolean": "boolean", "string": "string"}
_PROCESS: Final = [
    {
        "url": "http://{address}",
        "description": "Any process, on CALLSTREAM_HTTP_HOST and CALLSTREAM_HTTP_PORT.",
        "variables": {"address": {"default": "127.0.0.1:9464"}},
    }
]
_TABLE: Final = [
    {
        "url": "{scheme}://{address}",
        "description": "A hot-symbols worker, on CALLSTREAM_HOT_SYMBOLS_HOST and CALLSTREAM_HOT_SYMBOLS_PORT.",
        "variables": {
            "scheme": {"default": "http", "enum": ["http", "https"]},
            "address": {"default": "127.0.0.1:9467"},
        },
    }
]


def openapi_document() -> dict[str, Any]:
    """The document: probes and metrics of every process, and the table of hot symbols."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "callstream",
            "version": version("callstream"),
            "summary": "Probes and metrics of every process, and the table of hot symbols.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": _PROCESS,
        "paths": {
            "/metrics": {"servers": _PROCESS, "get": _metrics()},
            "/healthz": {"servers": _PROCESS, "get": _probe("alive", "Whether the process is worth keeping.")},
            "/readyz": {"servers": _PROCESS, "get": _probe("ready", "Whether the process does its job.")},
            PATH: {"servers": _TABLE, "get": _hot_symbols()},
        },
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The word in CALLSTREAM_HOT_SYMBOLS_TOKEN_FILE, of "
                    f"{MIN_TOKEN_CHARS} characters or more.",
                },
                "certificate": {"type": "mutualTLS", "description": "CALLSTREAM_HOT_SYMBOLS_TLS_CLIENT_CA_FILE."},
            },
            "schemas": {
                "Error": {
                    "type": "object",
                    "properties": {"error": {"type": "string", "description": "One sentence."}},
                    "required": ["error"],
                },
                "Row": _row(),
                "Answer": _of_avro(json.loads(records.schema_text(records.WATCHED_SYMBOL))),
            },
        },
    }


def _metrics() -> dict[str, Any]:
    text = {"schema": {"type": "string"}}
    return {
        "operationId": "metrics",
        "summary": "All metrics of the process, for Prometheus.",
        "security": [],
        "responses": {
            "200": {
                "description": "In Prometheus' text format, or OpenMetrics where Accept names it.",
                "content": {"text/plain": text, "application/openmetrics-text": text},
            }
        },
    }


def _probe(name: str, summary: str) -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": {
            name: {"type": "boolean"},
            "failing": {
                "type": "object",
                "additionalProperties": {"type": "string"},
                "description": "What is wrong, in one sentence for each check.",
            },
            "checked": {"type": "array", "items": {"type": "string"}, "description": "All checks."},
        },
        "required": [name, "failing", "checked"],
    }
    content = {"application/json": {"schema": schema}}
    return {
        "operationId": name,
        "summary": summary,
        "security": [],
        "responses": {
            "200": {"description": "All is well.", "content": content},
            "503": {"description": "At least one check fails.", "content": content},
        },
    }


def _hot_symbols() -> dict[str, Any]:
    rows = {
        "type": "object",
        "properties": {
            "rows": {
                "type": "array",
                "maxItems": MAX_ROWS,
                "items": {"anyOf": [{"$ref": "#/components/schemas/Row"}, {"$ref": "#/components/schemas/Answer"}]},
            }
        },
        "required": ["rows"],
    }
    problems = {
        "400": "The question is not understood, or this Host is not served here.",
        "401": "The token is missing or wrong.",
        "414": f"The query has more than {MAX_QUERY_BYTES} bytes.",
        "421": "A partition that was named is not answered for by this worker.",
        "429": f"More than {MAX_QUESTIONS} questions at once.",
        "503": f"A part of the table is missing, or it took more than {QUESTION_SECONDS:.0f} s; the sentence names it.",
    }
    return {
        "operationId": "hotSymbols",
        "summary": "Rows of the table of hot symbols, or answers to watches.",
        "description": "Any worker answers for all. An answer is whole, or it is an error that names what is missing.",
        "security": [{"token": []}, {"certificate": []}],
        "parameters": _parameters(),
        "responses": {
            "200": {"description": "The rows.", "content": {"application/json": {"schema": rows}}},
            **{
                status: {
                    "description": text,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
                }
                for status, text in problems.items()
            },
        },
    }


def _parameters() -> list[dict[str, Any]]:
    pattern = "May have `*`, `?` and `[...]`."
    texts = {
        "symbol": f"A function, or a symbol id. A full name finds rows under any name of that function. {pattern}",
        "module": f"Path of a file, or its name. {pattern}",
        "namespace": f"Kubernetes namespace in which it ran. {pattern}",
        "image": f"Image in which it ran. {pattern}",
        "since": "Only symbols that ran since then: `90m`, `14d`, or a time in ISO 8601 with a zone.",
    }
    found = [_parameter(name, text, {"type": "string"}) for name, text in texts.items()]
    top = {"type": "integer", "minimum": 1, "maximum": MAX_ROWS, "default": 20}
    found.append(_parameter("top", "How many rows, those with most hits first.", top))
    found.append(_parameter("watched", "Answers to watches in place of rows.", {"type": "boolean", "default": False}))
    numbers = {"type": "array", "items": {"type": "integer", "minimum": 0}}
    found.append(_parameter("partition", "Only these partitions; for workers that query each other.", numbers))
    return found


def _parameter(name: str, text: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": text, "schema": schema}


def _row() -> dict[str, Any]:
    row = _of_avro(json.loads(records.schema_text(records.HOT_SYMBOL)))
    said = "Two ingests vouched for a node at once while it ran, so its hits may be counted twice."
    row["properties"]["hits_may_be_doubled"] = {"type": "boolean", "description": said}
    return row


def _of_avro(kind: Any) -> dict[str, Any]:
    """The JSON of an Avro type, with the times that stand beside numbers."""
    match kind:
        case str():
            return {"type": _NUMBERS[kind]}
        case ["null", str(inner)]:
            return {"type": [_NUMBERS[inner], "null"]}
        case ["null", inner]:
            return {"anyOf": [_of_avro(inner), {"type": "null"}]}
        case {"type": "array", "items": inner}:
            return {"type": "array", "items": _of_avro(inner)}
        case {"type": "map", "values": inner}:
            return {"type": "object", "additionalProperties": _of_avro(inner)}
        case {"type": "enum", "symbols": symbols, "doc": doc}:
            return {"type": "string", "enum": symbols, "description": doc}
        case {"type": "record", "fields": fields, "doc": doc}:
            properties: dict[str, Any] = {}
            for field in fields:
                properties[field["name"]] = _of_avro(field["type"]) | {"description": field["doc"]}
                properties |= _beside(field["name"])
            return {"type": "object", "description": doc, "properties": properties, "required": list(properties)}
    raise ValueError(f"OpenAPI has no form for {kind}")


def _beside(name: str) -> dict[str, Any]:
    if not name.endswith("_ns"):
        return {}
    word = name.removesuffix("_ns")
    if name in LENGTHS:
        return {f"{word}_s": {"type": ["number", "null"], "description": f"{name} in seconds."}}
    text = f"{name} in ISO 8601 with nanoseconds; null where there is no such time."
    return {word: {"type": ["string", "null"], "description": text}}
