"""A registry that is away is waited for, for less than a stage may stand still."""

from collections.abc import Collection, Iterable

import pytest

from app.kafka.registry import Fault, RegistryError
from app.stages.hot_symbols.schema_lookup import PATIENCE_SECONDS, meet_patiently
from app.streaming.standstill import StallLimits


class _Schemas:
    """Fails so many times, with one fault, and then meets what it is asked for."""

    def __init__(self, failures: int, fault: Fault = Fault.UNREACHABLE) -> None:
        self.failures, self.fault = failures, fault
        self.met: list[Collection[int]] = []
        self.now = 0.0

    def unmet(self, _values: Iterable[bytes | None]) -> set[int]:
        return set()

    def meet(self, schema_ids: Collection[int]) -> None:
        if self.failures:
            self.failures -= 1
            raise RegistryError(self.fault, "subject s: away")
        self.met.append(schema_ids)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def _meet(schemas: _Schemas) -> None:
    meet_patiently(schemas, {7}, clock=lambda: schemas.now, sleep=schemas.sleep)


def test_a_registry_that_comes_back_is_asked_again() -> None:
    """What it knows then is met."""
    schemas = _Schemas(failures=10)
    _meet(schemas)
    assert schemas.met == [{7}]


def test_a_registry_that_stays_away_ends_the_waiting_before_the_watchdog_does() -> None:
    """The process ends with the reason that is true."""
    schemas = _Schemas(failures=1_000)
    with pytest.raises(RegistryError):
        _meet(schemas)
    assert PATIENCE_SECONDS <= schemas.now < StallLimits().commit


def test_a_refusal_is_not_waited_for() -> None:
    """It does not go away."""
    schemas = _Schemas(failures=1, fault=Fault.NOT_ALLOWED)
    with pytest.raises(RegistryError):
        _meet(schemas)
    assert schemas.now == 0
