"""Reads, makes and removes Kafka's access rules.

Only permissions are made. A denial that somebody else made is left alone, for it takes away and gives nothing. Every
error says what was requested and gives Kafka's reason.
"""

import time
from collections.abc import Collection, Iterable
from typing import Any, Final, TypeVar

from confluent_kafka import KafkaError
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    ConfigResource,
    ResourcePatternType,
    ResourceType,
)

from app.kafka.client import ADMIN_SECONDS, SEEN_SECONDS, AdminConnection, ClientConfig, KafkaUnusableError
from app.provision.rights import Rule

_PRINCIPAL: Final = "User:"

_Form = TypeVar("_Form", AclBinding, AclBindingFilter)


class AccessAdmin:
    """The access rules of one cluster. Every method raises KafkaUnreachableError and KafkaUnusableError."""

    def __init__(self, client: ClientConfig) -> None:
        self._connection = AdminConnection(client)
        self._admin = self._connection.client

    def there(self, rules: Iterable[Rule]) -> frozenset[Rule]:
        """The rules among these that Kafka has."""
        wanted = set(rules)
        found: set[Rule] = set()
        for kind, name in sorted({(rule.kind, rule.name) for rule in wanted}):
            found.update(self._found(ResourceType[kind], name, ResourcePatternType.ANY))
        return frozenset(wanted & found)

    def on_topics(self, names: Iterable[str]) -> frozenset[Rule]:
        """Every permission that reaches one of these topics, by its name, by a prefix of it, or by `*`."""
        return frozenset(
            rule for name in names for rule in self._found(ResourceType.TOPIC, name, ResourcePatternType.MATCH)
        )

    def has_authorizer(self) -> bool:
        """Whether the brokers enforce rules. A broker that does not say is taken to."""
        broker = min(self._connection.metadata(ADMIN_SECONDS).brokers)
        resource = ConfigResource(ConfigResource.Type.BROKER, str(broker))
        answer = self._admin.describe_configs([resource], request_timeout=ADMIN_SECONDS)[resource]
        # Only an authorizer refuses to show options.
        denied = KafkaError.CLUSTER_AUTHORIZATION_FAILED
        options = self._connection.result(answer, "the options of a broker cannot be read", fine=denied)
        return options is None or bool(options["authorizer.class.name"].value)

    def demand_authorizer(self) -> None:
        """Raises KafkaUnusableError if the brokers enforce no rules."""
        if not self.has_authorizer():
            raise KafkaUnusableError("everybody may do everything: set authorizer.class.name on the brokers")

    def add(self, rules: Collection[Rule]) -> None:
        """Make permissions; returns when they are enforced."""
        bindings = [_binding(rule, AclBinding) for rule in sorted(rules)]
        if bindings:
            for binding, answer in self._admin.create_acls(bindings, request_timeout=ADMIN_SECONDS).items():
                rule = _rule(binding)
                what = f"{rule.operation.lower()} {rule.name}"
                self._connection.result(answer, f"user {rule.user} cannot be allowed to {what}")
            self._await(rules, there=True)

    def remove(self, rules: Collection[Rule]) -> None:
        """Take permissions away; returns when they are gone."""
        filters = [_binding(rule, AclBindingFilter) for rule in sorted(rules)]
        if filters:
            for one, answer in self._admin.delete_acls(filters, request_timeout=ADMIN_SECONDS).items():
                self._connection.result(answer, f"the permission of {one.principal} for {one.name} cannot be removed")
            self._await(rules, there=False)

    def _await(self, rules: Iterable[Rule], *, there: bool) -> None:
        """Wait until the brokers enforce the change, which is a little after they have answered."""
        wanted = frozenset(rules)
        deadline = time.monotonic() + SEEN_SECONDS
        while self.there(wanted) != (wanted if there else frozenset()):
            if time.monotonic() > deadline:
                raise KafkaUnusableError(f"rules were changed and this cannot be seen after {SEEN_SECONDS:.0f} s")
            time.sleep(0.05)

    def _found(self, kind: ResourceType, name: str, pattern: ResourcePatternType) -> list[Rule]:
        anybody: Any = None
        wanted = AclBindingFilter(kind, name, pattern, anybody, anybody, AclOperation.ANY, AclPermissionType.ALLOW)
        answer = self._admin.describe_acls(wanted, request_timeout=ADMIN_SECONDS)
        bindings = self._connection.result(answer, f"rules of {name} cannot be read")
        return [_rule(binding) for binding in bindings]


def _binding(rule: Rule, form: type[_Form]) -> _Form:
    """A rule as Kafka's clients have it; a filter is of the same form."""
    pattern = ResourcePatternType.PREFIXED if rule.prefixed else ResourcePatternType.LITERAL
    operation, principal = AclOperation[rule.operation], _PRINCIPAL + rule.user
    return form(ResourceType[rule.kind], rule.name, pattern, principal, "*", operation, AclPermissionType.ALLOW)


def _rule(binding: AclBinding) -> Rule:
    prefixed = binding.resource_pattern_type is ResourcePatternType.PREFIXED
    user, kind, operation = binding.principal.removeprefix(_PRINCIPAL), binding.restype, binding.operation
    assert isinstance(kind, ResourceType)
    assert isinstance(operation, AclOperation)
    return Rule(user, kind.name, binding.name, operation.name, prefixed)
