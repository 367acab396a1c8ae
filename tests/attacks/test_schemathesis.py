"""Requests that schemathesis makes from the OpenAPI document, right and wrong: no 5xx, only answers that it describes.

`core/tests/server/test_server_hostile_requests.py` has what is wrong in each single place, on both databases.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from cdp_bridge.store import Store
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import GenerationConfig, ProjectConfig, ProjectsConfig, SchemathesisConfig
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from .conftest import NAMES, SYNC, Target, attacked, furnish

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
KNOWN = {
    "cdp_provider": "source-file",
    "connector": "destination-file",
    "mapping": "people",
    "audience": "vip",
    "profile": "meta",
    **SYNC,
}
"""What a field of that name holds in a right body, so that it is judged by what is configured, too."""
MARK = "@mark@"
RAW = {
    "NUL": rb'"a\u0000b"',
    "not UTF-8": b'"\xff\xfe"',
    "a surrogate in UTF-8": b'"\xed\xa0\x80"',
    "half a surrogate pair": rb'"\ud800"',
    "a huge integer": b"9" * 5_000,
    "a huge number": b"1e400",
    "not a number": b"NaN",
}
"""JSON, or nearly, that is refused wherever it stands."""


@dataclass
class Fuzzed:
    """A server with one of everything, and how it has answered."""

    target: Target
    folder: Path
    statuses: Counter[int] = field(default_factory=Counter)

    def operations(self) -> Iterator[Any]:
        """Every operation but the stream of events, which has no end of its own; each on a furnished store."""
        # `test_access_matrix.py` judges other credentials.
        generation = GenerationConfig(with_security_parameters=False)
        config = SchemathesisConfig(projects=ProjectsConfig(default=ProjectConfig(generation=generation)))
        schema = schemathesis.openapi.from_url(f"{self.target.url}/docs/openapi.json", config=config)
        for described in schema.get_all_operations():
            assert isinstance(described, Ok)
            operation = described.ok()
            if not operation.path.endswith("/events"):
                self._prepare()
                yield operation

    def _prepare(self) -> None:
        store = self.target.store
        furnish(store, self.folder)
        self._run = store.requests.add("vip", "test").id
        self._spare = store.api_keys.create("spare", "viewer")[0].id
        # The rate of a key is limited.
        self.headers = {"Authorization": f"Bearer {store.api_keys.create('fuzz', 'admin', sees_hashes=True)[1]}"}

    def parameters(self, path: str) -> dict[str, str] | None:
        """The parameters of a path with which it leads to something that is there."""
        kind = path.split("/")[2] if path.count("/") > 1 else ""
        there = {"name": NAMES.get(kind, ""), "run_id": self._run, "key_id": self._spare}
        return {name: value for name, value in there.items() if f"{{{name}}}" in path} or None

    def send(self, case: Any) -> None:
        """Send a request, and compare the answer with the description."""
        answer = case.call_and_validate(checks=CHECKS, headers=self.headers)
        self.statuses[answer.status_code] += 1

    def share(self, *statuses: int) -> float:
        """The share of answers of these statuses, 0 to 1."""
        assert not {401, 403, 429} & set(self.statuses), "it is the key that is judged"
        return sum(self.statuses[status] for status in statuses) / self.statuses.total()

    def send_raw(self, case: Any, body: bytes) -> int:
        """Send the request of a case with other bytes as its body: the status of the answer."""
        headers = {**self.headers, "Content-Type": "application/json", "If-Match": "*"}
        url = f"{self.target.url}{case.operation.path.format(**case.path_parameters or {})}"
        status = requests.request(case.method, url, data=body, headers=headers).status_code
        self.statuses[status] += 1
        return status


def each(examples: int, **strategies: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], None]:
    """Call a function with as many examples, the same ones each time."""

    def run(function: Callable[..., None]) -> None:
        settings(
            max_examples=examples,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )(given(**strategies)(function))()

    return run


def with_known(body: Any) -> Any:
    """A body with names of what is configured."""
    return {**body, **{name: KNOWN[name] for name in body if name in KNOWN}} if isinstance(body, dict) else body


@pytest.fixture
def fuzzed(store: Store, tmp_path: Path) -> Iterator[Fuzzed]:
    with attacked(store, allowed=(str(tmp_path),)) as target:
        yield Fuzzed(target, tmp_path)


def test_right_requests(fuzzed: Fuzzed) -> None:
    for operation in fuzzed.operations():
        there = operation.as_strategy(GenerationMode.POSITIVE, path_parameters=fuzzed.parameters(operation.path))

        @each(12, case=there)
        def _(case: Any) -> None:
            case.body = with_known(case.body)
            if case.method == "PUT":
                case.headers = {**(case.headers or {}), "If-Match": "*"}
            fuzzed.send(case)

    # Refused is what the document does not exclude: mostly fields that are not known, page tokens and old ETags.
    assert fuzzed.statuses.total() > 300
    assert fuzzed.share(200, 201, 202, 204) > 0.25


def test_wrong_requests(fuzzed: Fuzzed) -> None:
    for operation in fuzzed.operations():
        if not (operation.body or operation.query or operation.headers):
            continue
        there = operation.as_strategy(GenerationMode.NEGATIVE, path_parameters=fuzzed.parameters(operation.path))

        @each(12, case=there)
        def _(case: Any) -> None:
            fuzzed.send(case)

    assert fuzzed.statuses.total() > 200
    assert fuzzed.share(400, 415, 422) > 0.9


def test_bodies_that_cannot_be_stored(fuzzed: Fuzzed) -> None:
    for operation in fuzzed.operations():
        if not operation.body:
            continue
        there = operation.as_strategy(GenerationMode.POSITIVE, path_parameters=fuzzed.parameters(operation.path))

        @each(20, case=there, data=st.data())
        def _(case: Any, data: st.DataObject) -> None:
            name = data.draw(st.sampled_from(sorted(case.body) or ["name"]))
            raw = data.draw(st.sampled_from(sorted(RAW.values())))
            body = json.dumps({**case.body, name: MARK}).encode().replace(json.dumps(MARK).encode(), raw)
            assert fuzzed.send_raw(case, body) == 400

    assert fuzzed.statuses.total() > 300
