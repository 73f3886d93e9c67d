"""The transport that a stage's Faust app uses, and the schema of its topics.

The only difference to Faust's aiokafka driver is the consumer. `BatchSchema` decodes nothing, so no record can fail
there: stock Faust acknowledges a record that fails to decode, and it is lost.
"""

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from faust.serializers.schemas import Schema
from faust.transport.drivers import aiokafka as driver
from faust.types import AppT, EventT, Message

from app.streaming.consumer import BatchConsumer


class BatchTransport(driver.Transport):
    """Faust's aiokafka transport with our consumer."""

    Consumer: ClassVar[type[BatchConsumer]] = BatchConsumer


class BatchSchema(Schema[Any, Any]):
    """An event's value is the batch itself, and it has no key."""

    def compile(self, app: AppT, **_: Any) -> Callable[..., Awaitable[EventT[Any]]]:
        """Return the decoder that Faust calls for every message."""
        create_event = app.create_event

        async def decode(message: Message, *, propagate: bool = False) -> EventT[Any]:
            del propagate
            return create_event(None, message.value, None, message)

        return decode
