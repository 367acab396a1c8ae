"""Finding or creating: never a second object, however a create ends."""

import time

import pytest
from cdp_bridge.errors import ConfigError, TransientError
from cdp_bridge.find_or_create import PAUSES, find_or_create


class Vendor:
    """Lists that show a new object after `lag` more searches, and creates that fail as often as told."""

    def __init__(self, failures: int = 0, *, works: bool = False, lag: int = 0, retry_after: float | None = None):
        self.failures, self.works, self.lag, self.retry_after = failures, works, lag, retry_after
        self.searches = 0
        self.objects: list[str] = []

    def find(self) -> str | None:
        self.searches += 1
        if self.objects and self.lag:
            self.lag -= 1
            return None
        return self.objects[0] if self.objects else None

    def create(self) -> str:
        if self.failures:
            self.failures -= 1
            if self.works:
                self.objects.append("accepted")
            raise TransientError("no answer", retry_after=self.retry_after)
        self.objects.append("new")
        return "new"


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses, which take no time."""
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    return pauses


def ensure(vendor: Vendor) -> str:
    return find_or_create(vendor.find, vendor.create)


def test_what_is_there_is_found_and_nothing_made(slept: list[float]) -> None:
    vendor = Vendor()
    vendor.objects = ["old"]
    assert (ensure(vendor), vendor.objects, slept) == ("old", ["old"], [])


def test_what_is_not_there_is_made_at_once(slept: list[float]) -> None:
    vendor = Vendor()
    assert (ensure(vendor), vendor.searches, slept) == ("new", 1, [])


def test_a_create_without_an_answer_that_worked_is_found(slept: list[float]) -> None:
    vendor = Vendor(1, works=True)
    assert (ensure(vendor), vendor.objects, slept) == ("accepted", ["accepted"], [1.0])


def test_a_create_that_failed_is_tried_again_after_a_pause_and_a_search(slept: list[float]) -> None:
    vendor = Vendor(2, retry_after=2.0)
    assert (ensure(vendor), vendor.searches, slept) == ("new", 3, [2.0, 4.0])


def test_the_last_error_is_raised(slept: list[float]) -> None:
    vendor = Vendor(99)
    with pytest.raises(TransientError, match="no answer"):
        ensure(vendor)
    assert (vendor.searches, vendor.failures, slept) == (4, 95, list(PAUSES))


def test_what_a_person_must_mend_is_not_tried_again(slept: list[float]) -> None:
    def refuse() -> str:
        raise ConfigError("no permission")

    with pytest.raises(ConfigError):
        find_or_create(lambda: None, refuse)
    assert slept == []
