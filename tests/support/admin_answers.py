"""What confluent_kafka's admin client answers, for fakes of it."""

from typing import Any


class AdminAnswer:
    """A future: its result, or the exception that it raises."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def result(self) -> Any:
        """The result at once."""
        if isinstance(self._value, Exception):
            raise self._value
        return self._value


def options_answer(options: dict[str, str]) -> AdminAnswer:
    """Options of a topic, by name."""
    return AdminAnswer({name: type("Option", (), {"value": value}) for name, value in options.items()})
