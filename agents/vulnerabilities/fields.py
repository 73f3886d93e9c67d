"""Reads fields of a document that anybody may have written: of the right type and size, or refused with their place."""

from typing import Any, Final

from agents.vulnerabilities.advisory import MAX_NAMED, MAX_TEXT_CHARS, AdvisoryFault, AdvisoryRefusal

_MAX_SUMMARY_CHARS: Final = 512


class RefusedFieldError(Exception):
    """A field cannot be used; readers turn it into its refusal."""

    def __init__(self, fault: AdvisoryFault, where: str) -> None:
        """Takes what is wrong, and where."""
        super().__init__(where)
        self.refusal = AdvisoryRefusal(fault, where)


class Fields:
    """An object of a document, and the place where it stands in it."""

    def __init__(self, value: Any, where: str) -> None:
        """Raises RefusedFieldError unless the value is an object."""
        if not isinstance(value, dict):
            raise RefusedFieldError(AdvisoryFault.FIELD_TYPE, where or "the document")
        self._value = value
        self._where = where

    def place(self, name: str) -> str:
        """Where a field of it stands."""
        return f"{self._where}.{name}" if self._where else name

    def text(self, name: str, default: str | None = None) -> str:
        """A text; without a default it must be there."""
        value = self._value.get(name, default)
        if value is None:
            raise RefusedFieldError(AdvisoryFault.FIELD_MISSING, self.place(name))
        return _text(value, self.place(name))

    def summary(self, name: str) -> str:
        """A text for people, cut where it is long."""
        value = self._value.get(name, "")
        if not isinstance(value, str):
            raise RefusedFieldError(AdvisoryFault.FIELD_TYPE, self.place(name))
        return value[:_MAX_SUMMARY_CHARS]

    def flag(self, name: str) -> bool:
        """A truth value; it must be there."""
        value = self._value.get(name)
        if not isinstance(value, bool):
            raise RefusedFieldError(AdvisoryFault.FIELD_TYPE, self.place(name))
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts; empty where it is not there."""
        return tuple(_text(one, self.place(name)) for one in self._list(name))

    def objects(self, name: str) -> "list[Fields]":
        """A list of objects; empty where it is not there."""
        return [Fields(one, f"{self.place(name)}[{at}]") for at, one in enumerate(self._list(name))]

    def inner(self, name: str) -> "Fields":
        """An object; an empty one where it is not there."""
        value = self._value.get(name)
        return Fields({} if value is None else value, self.place(name))

    def names(self) -> list[str]:
        """The names of its fields."""
        return [_text(name, self._where) for name in self._value]

    def has(self, name: str) -> bool:
        """Whether it has a field that is not null."""
        return self._value.get(name) is not None

    def _list(self, name: str) -> list[Any]:
        value = self._value.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise RefusedFieldError(AdvisoryFault.FIELD_TYPE, self.place(name))
        if len(value) > MAX_NAMED:
            raise RefusedFieldError(AdvisoryFault.TOO_LARGE, self.place(name))
        return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise RefusedFieldError(AdvisoryFault.FIELD_TYPE, where)
    if len(value) > MAX_TEXT_CHARS:
        raise RefusedFieldError(AdvisoryFault.TOO_LARGE, where)
    return value
