"""The schemas of the topics in the registry: which are registered, which would be refused, and registering them.

Every schema is checked before the first is registered. The registry then holds each subject to full compatibility with
all its versions, because a consumer may read today's events with last year's schema and the other way round.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from app.kafka.registry import Fault, RegistryError, SchemaRegistry
from schemas.records import schema_text
from schemas.topics import Topic, subject

LEVEL: Final = "FULL_TRANSITIVE"


@dataclass(frozen=True, slots=True)
class Registered:
    """The subject has this schema."""

    subject: str
    schema_id: int
    new: bool


@dataclass(frozen=True, slots=True)
class MissingSubject:
    """The subject does not have our schema and would take it."""

    subject: str


@dataclass(frozen=True, slots=True)
class SubjectRefusal:
    """The registry does not take our schema, for its own reason."""

    subject: str
    reason: str

    def __str__(self) -> str:
        return f"subject {self.subject}: {self.reason}"


SubjectState = Registered | MissingSubject | SubjectRefusal


def inspect(registry: SchemaRegistry, topics: Iterable[Topic], prefix: str) -> tuple[SubjectState, ...]:
    """The state of every topic's schema; changes nothing. Raises RegistryError if the registry does not answer."""
    return tuple(_inspect(registry, name, schema) for name, schema in _schemas(topics, prefix).items())


def _schemas(topics: Iterable[Topic], prefix: str) -> dict[str, str]:
    """Text of every topic's schema by full subject name, in the topics' order."""
    return {prefix + subject(topic.name): schema_text(topic.value_schema) for topic in topics if topic.value_schema}


def _inspect(registry: SchemaRegistry, name: str, schema: str) -> SubjectState:
    try:
        schema_id = registry.id_of(name, schema)
        if schema_id is not None:
            return Registered(name, schema_id, new=False)
        reasons = registry.incompatibilities(name, schema)
    except RegistryError as error:
        if error.fault is Fault.SCHEMA_REFUSED:
            return SubjectRefusal(name, _reason(error))
        raise
    if reasons is None:
        return MissingSubject(name)
    why = "; ".join(reasons) or "the registry does not say why"
    return SubjectRefusal(name, f"the schema is not compatible with the versions that the registry has: {why}")


def register(registry: SchemaRegistry, topics: Iterable[Topic], prefix: str) -> tuple[Registered | SubjectRefusal, ...]:
    """Register every topic's schema. If some are refused, register none, and return the refused ones.

    Raises RegistryError if the registry does not answer.
    """
    schemas = _schemas(topics, prefix)
    for name in schemas:
        if registry.compatibility(name) != LEVEL:
            registry.set_compatibility(name, LEVEL)
    states = {name: _inspect(registry, name, schema) for name, schema in schemas.items()}
    refused = [name for name, state in states.items() if isinstance(state, SubjectRefusal)]
    # a registry may give its reason only for a request to register, which changes nothing if it refuses
    chosen = refused or list(schemas)
    return tuple(_register(registry, name, schemas[name], states[name]) for name in chosen)


def _register(registry: SchemaRegistry, name: str, schema: str, state: SubjectState) -> Registered | SubjectRefusal:
    if isinstance(state, Registered):
        return state
    try:
        return Registered(name, registry.register(name, schema), new=True)
    except RegistryError as error:
        if error.fault is Fault.SCHEMA_REFUSED:
            return SubjectRefusal(name, _reason(error))
        raise


def _reason(error: RegistryError) -> str:
    """The error's text without the subject, which `SubjectRefusal` adds."""
    return str(error).partition(": ")[2]
