"""Whatever JSON comes, the Meta twin takes it or refuses it with an envelope; it never breaks."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sandbox.meta import capi, graph, payload
from sandbox.meta.calls import Call
from sandbox.meta.directory import Directory
from sandbox.meta.errors import GraphError
from sandbox.meta.payload import KEYS, LDU_KEYS, SINGLE_KEYS, VALUE_KEY
from sandbox.meta.state import Twin

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
ODD = st.sampled_from(["", "f" * 64, "F" * 64, "²", ["LDU"], [], 0, 1, 1000, "aebe52e7-03ee-455a-b3c4-e57283966239"])
ANYTHING = st.recursive(SCALARS | ODD, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner))
A_KEY = st.sampled_from([*KEYS, *LDU_KEYS, VALUE_KEY])


OPTIONS = st.sampled_from([[], ["LDU"]])
SCHEMAS = st.lists(A_KEY, min_size=1, max_size=4, unique=True) | st.just(["EMAIL", *LDU_KEYS])


@st.composite
def nearly_good(draw: st.DrawFn) -> object:
    """A payload of the right shape with odd cells, or with one part replaced by anything."""
    schema = draw(SCHEMAS | st.sampled_from(sorted(SINGLE_KEYS)))
    keys = [schema] if isinstance(schema, str) else schema
    rows = st.tuples(*(OPTIONS if key == LDU_KEYS[0] else ODD | SCALARS for key in keys)).map(list)
    made = {"schema": schema, "data": draw(st.lists(rows, min_size=1, max_size=4)), "app_ids": ["1"], "page_ids": ["1"]}
    spoilt = draw(st.none() | st.sampled_from(sorted(made)))
    return made if spoilt is None else made | {spoilt: draw(ANYTHING)}


@settings(max_examples=250, deadline=None)
@given(nearly_good() | ANYTHING)
def test_any_payload_is_read_or_refused(wanted: Any) -> None:
    with suppress(GraphError):
        upload = payload.parse(wanted)
        assert upload.received == len(upload.rows) + upload.invalid


EVENT = {"event_name": "Lead", "event_time": 1, "action_source": "email", "user_data": {"em": "f" * 64}}
EVENT_KEYS = [*EVENT, "custom_data", "data_processing_options", "data_processing_options_country", "event_id"]


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(EVENT_KEYS), ANYTHING, max_size=2), ANYTHING)
def test_any_event_is_taken_or_refused(changes: Any, anything: Any) -> None:
    twin = Twin(Directory())
    twin.clock.offset = 2.0 - twin.clock.now()
    for data in ([EVENT | changes], anything):
        with suppress(GraphError):
            answer = capi.receive(twin, Call("POST", ("2001", "events"), {"data": data}, ""), "2001")
            assert answer["events_received"] == len(twin.events)


@pytest.mark.parametrize("path", ["act_1001/customaudiences", "act_1001/insights", "act_1001", "oauth/access_token"])
@settings(max_examples=40, deadline=None)
@given(method=st.sampled_from(["GET", "POST", "DELETE"]), params=st.data())
def test_any_parameter_is_answered(path: Any, method: Any, params: Any) -> None:
    names = [
        "fields",
        "limit",
        "after",
        "name",
        "subtype",
        "retention_days",
        "breakdowns",
        "time_range",
        "level",
        "code",
    ]
    drawn = params.draw(st.dictionaries(st.sampled_from(names), ANYTHING, max_size=3))
    call = Call(method, tuple(path.split("/")), drawn | {"access_token": "sandbox-token"}, "")
    reply = graph.answer(Twin(Directory()), call)
    assert (reply.status == 200) == ("error" not in reply.body)
