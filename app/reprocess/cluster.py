"""The servers that hold a version."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from app.kafka.client import client_config
from app.kafka.registry import SchemaRegistry
from app.kafka.topic_reader import TopicReader
from app.provision.topic_admin import TopicAdmin
from app.settings import Settings


@dataclass(frozen=True, slots=True)
class Cluster:
    """The clients of the servers that hold a version."""

    settings: Settings
    admin: TopicAdmin
    reader: TopicReader
    registry: SchemaRegistry


@contextlib.contextmanager
def open_cluster(settings: Settings) -> Iterator[Cluster]:
    """The servers that the settings name."""
    with SchemaRegistry.from_settings(settings) as registry, TopicReader(settings) as reader:
        yield Cluster(settings, TopicAdmin(client_config(settings)), reader, registry)
