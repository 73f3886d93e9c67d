"""Who may write the topics that the stages keep for themselves: forged records there look like true ones."""

from collections.abc import Iterator
from typing import Final

from app.doctor.findings import CheckFinding, ok, warn
from app.kafka.client import KafkaUnreachableError, KafkaUnusableError, client_config
from app.provision.rights import Rule
from app.provision.rights_admin import AccessAdmin
from app.settings import Settings
from app.streaming.foreign import is_internal
from schemas.topics import TOPICS

_WRITING: Final = frozenset({"WRITE", "ALL"})
_FILE: Final = "deploy/kafka/acls.toml"
_EVERYBODY: Final = "the brokers have no authorizer: whoever reaches them may write every topic, and forge any count"
_AUTHORIZE: Final = f"set authorizer.class.name on the brokers, then run: callstream topics allow {_FILE}"


def check_writers(settings: Settings, *, is_local: bool) -> Iterator[CheckFinding]:
    """Whether the brokers say who may write there, and which topics more than one user may write.

    On a broker that only this host reaches (`is_local`), it is not a fault that everybody may.
    """
    names = [settings.name(topic.name) for topic in TOPICS if is_internal(topic.name)]
    try:
        admin = AccessAdmin(client_config(settings))
        if not admin.has_authorizer():
            yield ok(_EVERYBODY) if is_local else warn(_EVERYBODY, _AUTHORIZE)
            return
        by_topic = {name: writers(admin.on_topics([name])) for name in names}
    except (KafkaUnreachableError, KafkaUnusableError) as error:
        yield warn(f"who may write the stages' own topics cannot be read: {error}", "ask as a user who may read ACLs")
        return
    for name, users in by_topic.items():
        if len(users) > 1:
            yield warn(
                f"{name} may be written by {', '.join(users)}: a forged record there ends the stage, or is counted",
                f"leave it to the stage alone: callstream topics allow {_FILE} --revoke",
            )
    alone = sorted({users[0] for users in by_topic.values() if len(users) == 1})
    if alone and all(len(users) < 2 for users in by_topic.values()):
        yield ok(f"the stages' own topics may be written by {', '.join(alone)} only, besides super users")


def writers(rules: frozenset[Rule]) -> list[str]:
    """Users whom the rules let write, sorted."""
    return sorted({rule.user for rule in rules if rule.operation in _WRITING})
