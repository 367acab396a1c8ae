"""Breaches of what every connector must do (MUST 01 to 16), shown on sources where both kinds can break the rule."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from typing import Any

import requests
from cdp_bridge.sdk import (
    Batch,
    Catalog,
    Checkpoint,
    Client,
    ConfigError,
    Page,
    Probe,
    ReadRequest,
    RejectedError,
    TransientError,
)

from hostile.accounts import ContactAccount, NarrowAccount, OpenAccount, PlainAccount, UntitledAccount
from hostile.breaches.table import breaks
from hostile.destination import GoodDestination, GoodWriter, Json
from hostile.heavy import HeavyAccount
from hostile.settings import Account
from hostile.source import PEOPLE, GoodSource

log = logging.getLogger(__name__)


@breaks(1, settings=OpenAccount)
class TakesUnknownSettings(GoodSource):
    """A misspelt setting has no effect, and nobody says so."""


@breaks(1, settings=UntitledAccount)
class HasUntitledSettings(GoodSource):
    """A form shows a field without a label."""


@breaks(2, settings=PlainAccount)
class HasAPlainToken(GoodSource):
    """The token is a text like any other, so forms and logs show it."""

    @classmethod
    def connected(cls, settings: Any) -> Client:
        """With the token as it is."""
        return cls.client(settings.base_url, headers={"Authorization": f"Bearer {settings.token}"})


@breaks(2, settings=ContactAccount)
class HasAPlainAddress(GoodSource):
    """Somebody's address is a setting like any other."""


@breaks(3, settings=NarrowAccount, committed=Account)
class NarrowsSettings(GoodSource):
    """An update refuses a token that worked the day before."""


@breaks(4, settings=HeavyAccount)
class LoadsTheClientEarly(GoodSource):
    """The HTTP client is imported beside the settings, though only the work needs it."""


@breaks(5)
class NamesAProbeTwice(GoodSource):
    """Two findings under one name: nobody knows which one failed."""

    @classmethod
    def check(cls, settings: Account) -> list[Probe]:
        """The same question twice."""
        return super().check(settings) * 2


@breaks(6)
class SaysNoRemedy(GoodSource):
    """A wrong token is "401": the user is left alone with it."""

    @classmethod
    def authorised(cls, settings: Account) -> str:
        """What is wrong, and not what to do."""
        try:
            return super().authorised(settings)
        except ConfigError as error:
            raise ConfigError(error.problem) from None


@breaks(6)
class ChecksNothing(GoodSource):
    """Settings that look right pass for settings that work."""

    @classmethod
    def authorised(cls, settings: Account) -> str:
        """Whatever the vendor thinks of the token."""
        try:
            return super().authorised(settings)
        except ConfigError:
            return "a token is set"


@breaks(7)
class TakesAnOutageForSuccess(GoodSource):
    """A vendor that cannot be asked passes for one that said yes."""

    @classmethod
    def authorised(cls, settings: Account) -> str:
        """Only a clear no counts."""
        try:
            return super().authorised(settings)
        except TransientError:
            return "not refused"


@breaks(7)
class RaisesInCheck(GoodSource):
    """What the author did not think of leaves `check` as an exception."""

    @classmethod
    def check(cls, settings: Account) -> list[Probe]:
        """Only a wrong token was thought of."""
        try:
            return [Probe("token", True, cls.authorised(settings))]
        except ConfigError as error:
            return [Probe("token", False, error.problem, error.remedy)]


@breaks(8)
class OffersAStreamTwice(GoodSource):
    """Two streams of one name: a catalog cannot choose between them."""

    @classmethod
    def discover(cls, settings: Account) -> Catalog:
        """One stream, two entries."""
        return Catalog((PEOPLE, PEOPLE))


@breaks(8)
class DiscoversByNetwork(GoodDestination):
    """Nobody can write a mapping while the platform is down."""

    @classmethod
    def discover(cls, settings: Account) -> Catalog:
        """What never changes, after a look at the platform."""
        cls.authorised(settings)
        return super().discover(settings)


@breaks(9)
class LogsPeople(GoodSource):
    """A log line for the developer holds what it is about."""

    @classmethod
    def page(cls, client: Client, request: ReadRequest, params: Json) -> dict[str, Any]:
        """A page, and a word about it."""
        answer = super().page(client, request, params)
        log.debug("read %s", answer["members"])
        return answer


@breaks(9)
class PutsTheTokenIntoTheUrl(GoodDestination):
    """URLs are logged by every proxy on the way."""

    @classmethod
    def connected(cls, settings: Account) -> Client:
        """The token where the vendor also takes it."""
        token = settings.token.reveal()
        headers = {"Authorization": f"Bearer {token}"}
        return cls.client(settings.base_url, headers=headers, params={"access_token": token})


class _FollowingSession(requests.Session):
    def request(self, *request: Any, **more: Any) -> requests.Response:
        return super().request(*request, **(more | {"allow_redirects": True}))


class _FollowingClient(Client):
    def __init__(self, base_url: str, **more: Any) -> None:
        super().__init__(base_url, **more)
        headers, self._session = self._session.headers, _FollowingSession()
        self._session.headers.update(headers)


@breaks(10)
class FollowsRedirects(GoodSource):
    """As HTTP clients do unless they are told not to."""

    client = _FollowingClient


class _InsistingClient(Client):
    def send(self, method: str, path: str, **request: Any) -> requests.Response:
        try:
            return super().send(method, path, **request)
        except ConfigError:
            return super().send(method, path, **request)


@breaks(11)
class InsistsOnARefusedToken(GoodSource):
    """A token that was refused is tried once more, as if it had been refreshed."""

    client = _InsistingClient


@breaks(12)
class BehavesUnderTest(GoodSource):
    """What a test process has loaded, set or patched is not there in the executable."""

    @classmethod
    def page(cls, client: Client, request: ReadRequest, params: Json) -> dict[str, Any]:
        """People have cities only under test."""
        answer = super().page(client, request, params)
        if "pytest" in sys.modules:
            return answer
        return answer | {"members": [person | {"city": ""} for person in answer["members"]]}


def _impatient(response: requests.Response) -> Any:
    error = Client.by_status(response)
    return TransientError(error.problem) if isinstance(error, TransientError) else error


class _ImpatientClient(Client):
    def __init__(self, base_url: str, **more: Any) -> None:
        super().__init__(base_url, interpret=_impatient, **more)


@breaks(13)
class IgnoresRetryAfter(GoodSource):
    """It waits as long as it likes, not as long as it was asked to."""

    client = _ImpatientClient


def _final(response: requests.Response) -> Any:
    error = Client.by_status(response)
    return RejectedError(str(error), reason="vendor:500") if response.status_code == 500 else error


class _FinalClient(Client):
    def __init__(self, base_url: str, **more: Any) -> None:
        super().__init__(base_url, interpret=_final, **more)


@breaks(14)
class TakesA500ForFinal(GoodSource):
    """One error of an overloaded server ends the run."""

    client = _FinalClient


class _TrustingClient(Client):
    @staticmethod
    def decode(response: requests.Response, *, type: Any = None) -> Any:
        return response.json()


@breaks(14)
class TrustsEachAnswerToBeJson(GoodSource):
    """A page of a proxy, or half an answer, is a ValueError."""

    client = _TrustingClient


class _ForgetfulWriter(GoodWriter):
    """Row keys that were given to members whose connection broke; the rows sent before are never touched again."""

    _given: dict[tuple[str, str], str] = {}  # noqa: RUF012 - it is the platform's memory, not a writer's

    def send(self, batch: Batch) -> Json:
        rows = self.rows(batch)
        for row in rows:
            row["key"] = self._given.get((batch.audience.account + batch.audience.id, row["key"]), row["key"])
        try:
            answer: Json = self._client.call("POST", self.path(batch), json={"members": rows})
        except TransientError as error:
            if "failed" in error.problem and batch.operation == "add":
                self._give(batch)
            raise
        return answer

    def _give(self, batch: Batch) -> None:
        for key in batch.keys:
            self._given[batch.audience.account + batch.audience.id, key.hex()] = key[::-1].hex()


@breaks(15)
class TriesAgainUnderAnotherKey(GoodDestination):
    """A new idempotency key for each try: what the lost answer was about is there twice, and one of it stays."""

    writer = _ForgetfulWriter


@breaks(16)
class BlamesAnOutageOnTheUser(GoodSource):
    """A vendor that is down for long seems to be a matter of settings, and nobody tries again."""

    @classmethod
    def read(cls, settings: Account, request: ReadRequest) -> Iterator[Page | Checkpoint]:
        """As long as the vendor is there."""
        try:
            yield from super().read(settings, request)
        except TransientError as error:
            raise ConfigError(error.problem, remedy="Check the settings") from None
