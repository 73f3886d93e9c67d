"""The topics as an AsyncAPI 3 document, from the table of topics, the pipeline's picture and the schemas."""

import json
from importlib.metadata import version
from typing import Any

from schemas import records
from schemas.topics import TOPICS, Topic
from tests.support.topic_words import WORDS, stage_readers, writers

AVRO = "application/vnd.apache.avro;version=1.9.0"


def asyncapi_document() -> dict[str, Any]:
    """The document. Topics that are the pipeline's own are in it, too, without a schema."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "callstream",
            "version": version("callstream"),
            "description": "Runtime events of Cilium Tetragon as calls, and what follows from them, on Apache Kafka. "
            "Every topic's name begins with the prefix of the deployment, which may be empty.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/vnd.apache.avro",
        "servers": {
            "kafka": {
                "host": "{bootstrap}",
                "protocol": "kafka",
                "description": "The brokers, with TLS and SASL as the deployment has them.",
                "variables": {"bootstrap": {"default": "localhost:9092", "description": "An address of a broker."}},
            }
        },
        "channels": {_name(topic): _channel(topic) for topic in TOPICS},
        "operations": dict(_operation(topic, action) for topic in TOPICS for action in ("send", "receive")),
        "components": {"messages": {_name(topic): _message(topic) for topic in TOPICS}},
    }


def _name(topic: Topic) -> str:
    """A key that AsyncAPI takes: letters, digits, dots, hyphens."""
    return topic.name


def _channel(topic: Topic) -> dict[str, Any]:
    words = WORDS[topic.name]
    options: dict[str, Any] = {
        "cleanup.policy": ["compact"] if topic.compacted else ["delete"],
        "max.message.bytes": topic.max_message_bytes,
    }
    if topic.retention_ms is not None:
        options["retention.ms"] = topic.retention_ms
    return {
        "address": "{prefix}" + topic.name,
        "title": topic.name,
        "description": f"{words.holds} Key: {words.key} For: {words.readers}.",
        "parameters": {"prefix": {"default": "", "description": "CALLSTREAM_TOPIC_PREFIX of the deployment."}},
        "messages": {"record": {"$ref": f"#/components/messages/{_name(topic)}"}},
        "bindings": {"kafka": {"topicConfiguration": options, "bindingVersion": "0.5.0"}},
        "x-restricted": topic.restricted,
    }


def _operation(topic: Topic, action: str) -> tuple[str, dict[str, Any]]:
    who = writers(topic.name) if action == "send" else [*stage_readers(topic.name), WORDS[topic.name].readers]
    verb = "Written by" if action == "send" else "Read by"
    return f"{action}-{topic.name}", {
        "action": action,
        "channel": {"$ref": f"#/channels/{_name(topic)}"},
        "summary": f"{verb}: {', '.join(who)}.",
        "messages": [{"$ref": f"#/channels/{_name(topic)}/messages/record"}],
    }


def _message(topic: Topic) -> dict[str, Any]:
    words = WORDS[topic.name]
    kafka: dict[str, Any] = {"key": {"type": "string", "description": words.key}, "bindingVersion": "0.5.0"}
    found: dict[str, Any] = {"title": topic.name, "summary": words.holds}
    if topic.value_schema is None:
        return found | {
            "contentType": "application/octet-stream",
            "payload": {"type": "string", "format": "binary", "description": words.value},
            "bindings": {"kafka": kafka},
        }
    schema = json.loads(records.schema_text(topic.value_schema))
    kafka |= {"schemaIdLocation": "payload", "schemaIdPayloadEncoding": "confluent"}
    kafka["schemaLookupStrategy"] = "TopicNameStrategy"
    return found | {
        "name": schema["name"],
        "payload": {"schemaFormat": AVRO, "schema": schema},
        "bindings": {"kafka": kafka},
    }
