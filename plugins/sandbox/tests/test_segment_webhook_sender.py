"""The webhook sender of the Segment twin: row 36 of the contract, and every misbehaviour it must be able to show."""

import asyncio
import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

import pytest
import requests
from aiohttp import web
from sandbox.people import Population, generate
from sandbox.segment import create_app

SECRET = "shared"
CART = "cart_abandoners_7d"


class Receiver:
    """A webhook endpoint that keeps what it gets and answers what it is told, slowly where told."""

    def __init__(self, serve: Callable[[web.Application], str]) -> None:
        self.bodies: list[bytes] = []
        self.signatures: list[str | None] = []
        self.answers: list[int] = []
        self.seconds: list[float] = []
        app = web.Application(client_max_size=2**24)
        app.router.add_post("/hook", self.take)
        self.url = serve(app) + "/hook"

    async def take(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.read())
        self.signatures.append(request.headers.get("X-Signature"))
        await asyncio.sleep(self.seconds.pop(0) if self.seconds else 0)
        return web.Response(status=self.answers.pop(0) if self.answers else 200)

    def messages(self) -> list[dict[str, Any]]:
        decoded = [json.loads(body) for body in self.bodies]
        return [message for body in decoded for message in (body if isinstance(body, list) else [body])]


@pytest.fixture
def population() -> Population:
    return generate(200, 3)


@pytest.fixture
def receiver(serve: Callable[[Any], str]) -> Receiver:
    return Receiver(serve)


class Send(Protocol):
    """Let the twin send webhooks."""

    def __call__(self, **order: Any) -> dict[str, Any]: ...


@pytest.fixture
def send(serve: Callable[[Any], str], population: Population, receiver: Receiver) -> Send:
    url = serve(create_app(population))
    requests.post(f"{url}/_twin/clock", json={"set": "2026-03-10T12:00:00Z"}).raise_for_status()

    def run(**order: Any) -> dict[str, Any]:
        wanted = {"url": receiver.url, "audience_key": CART, "secret": SECRET} | order
        answer = requests.post(f"{url}/_twin/send", json=wanted)
        assert answer.ok, answer.text
        return dict(answer.json())

    return run


def signature(body: bytes) -> str:
    return hmac.new(SECRET.encode(), body, hashlib.sha1).hexdigest()


def first_element(body: bytes) -> bytes:
    text = body.decode()
    return text[1 : 1 + json.JSONDecoder().raw_decode(text[1:])[1]].encode()


def test_row_36_a_refused_signature_is_not_sent_again(send: Send, receiver: Receiver) -> None:
    receiver.answers = [401]
    told = send(signature="wrong", limit=5)
    assert [delivery["status"] for delivery in told["deliveries"]] == [401]
    assert len(receiver.bodies) == 1
    assert receiver.signatures[0] not in {signature(receiver.bodies[0]), signature(first_element(receiver.bodies[0]))}


def test_row_36_no_signature_is_sent_without_being_asked_again(send: Send, receiver: Receiver) -> None:
    receiver.answers = [401]
    assert len(send(signature="none", limit=5)["deliveries"]) == 1
    assert receiver.signatures == [None]


@pytest.mark.parametrize("status", [408, 423, 429, 500, 503])
def test_back_pressure_is_sent_again(send: Send, receiver: Receiver, status: int) -> None:
    receiver.answers = [status]
    assert [d["status"] for d in send(limit=1, batch_size=10)["deliveries"]] == [status, 200]


@pytest.mark.parametrize("status", [400, 404, 422, 501])
def test_other_refusals_are_final(send: Send, receiver: Receiver, status: int) -> None:
    receiver.answers = [status]
    assert [d["status"] for d in send(limit=1, batch_size=10)["deliveries"]] == [status]


def test_a_batch_is_signed_over_its_first_element(send: Send, receiver: Receiver) -> None:
    send(limit=5)
    assert receiver.signatures == [signature(first_element(receiver.bodies[0]))]


def test_a_batch_is_signed_over_all_of_it_when_asked(send: Send, receiver: Receiver) -> None:
    send(limit=5, signature="all")
    assert receiver.signatures == [signature(receiver.bodies[0])]


def test_single_messages_are_signed_over_the_body(send: Send, receiver: Receiver) -> None:
    told = send(limit=3, batch_size=0)
    assert len(receiver.bodies) == told["messages"]
    assert receiver.signatures == [signature(body) for body in receiver.bodies]


def test_members_enter_once_for_each_email(send: Send, receiver: Receiver, population: Population) -> None:
    person = next(p for p in population.members(CART) if len(p.emails) == 2 and p.user_id)
    send(person_ids=[person.person_id])
    found = receiver.messages()
    assert [message["traits"]["email"] for message in found] == [entry.raw for entry in person.emails]
    assert all(m["traits"][CART] is True and m["userId"] == person.user_id for m in found)
    assert found[0]["context"]["personas"]["computation_key"] == CART


def test_exits_come_for_all_combinations_of_identifiers(send: Send, receiver: Receiver, population: Population) -> None:
    person = next(p for p in population if len(p.emails) == 2 and p.user_id)
    send(person_ids=[person.person_id], member=False)
    pairs = Counter((m.get("userId"), m.get("anonymousId"), m["traits"].get("email")) for m in receiver.messages())
    emails = [*(entry.raw for entry in person.emails), None]
    assert pairs == Counter(
        [(person.user_id, None, email) for email in emails] + [(None, person.anonymous_id, email) for email in emails]
    )
    assert all(message["traits"][CART] is False for message in receiver.messages())


def test_a_message_can_be_repeated(send: Send, receiver: Receiver) -> None:
    send(limit=3, repeat=2)
    found = [message["messageId"] for message in receiver.messages()]
    assert found[-2:] == found[:2]
    assert len(set(found)) == len(found) - 2


def test_messages_can_come_out_of_order(send: Send, receiver: Receiver) -> None:
    send(limit=5, reverse=True)
    times = [message["timestamp"] for message in receiver.messages()]
    assert times == sorted(times, reverse=True)
    assert times[0] > times[-1]


def test_track_events_can_be_renamed(send: Send, receiver: Receiver) -> None:
    send(limit=1, style={"kind": "track", "entered": "Joined"}, batch_size=10)
    message = receiver.messages()[0]
    assert (message["type"], message["event"]) == ("track", "Joined")
    assert message["properties"] == {"audience_key": CART, CART: True}


def test_legacy_journeys_carry_no_boolean(send: Send, receiver: Receiver) -> None:
    send(limit=1, style={"journey": True, "external_audience_id": "ext-1"})
    message = receiver.messages()[0]
    assert CART not in message["traits"]
    personas = message["context"]["personas"]
    assert (personas["computation_class"], personas["external_audience_id"]) == ("journey_step", "ext-1")


def test_a_time_out_is_retried_with_another_cut(send: Send, receiver: Receiver) -> None:
    receiver.seconds = [3.0]
    told = send(limit=8, timeout_seconds=0.5)
    first, *later = told["deliveries"]
    assert first == {"messages": told["messages"], "status": None, "attempt": 1}
    receiver.bodies.pop(0)
    assert len(receiver.messages()) == told["messages"]
    assert {d["status"] for d in told["deliveries"][1:]} == {200}
    assert later


@pytest.mark.parametrize("cut", [4, 5])
def test_what_is_sent_again_is_half_as_large(send: Send, receiver: Receiver, cut: int) -> None:
    receiver.answers = [503]
    told = send(limit=4, batch_size=cut)
    again = [d["messages"] for d in told["deliveries"] if d["attempt"] == 2]
    assert max(again) <= cut // 2
    assert sum(again) == told["deliveries"][0]["messages"]
