"""Every vector that stands beside a profile, through the API of the command line and through a page."""

import hashlib
from typing import Any

import msgspec
import pytest
from cdp_bridge.identity import Question, compile_profile, explain_many, installed

from .conftest import Run


def vectors(profile: str) -> list[dict[str, Any]]:
    return msgspec.json.decode(installed().vectors[profile].read_bytes(), type=list[dict[str, Any]])


def test_every_profile_of_ours_has_vectors() -> None:
    assert installed().vectors.keys() == installed().profiles.keys()


@pytest.mark.parametrize("profile", installed().vectors)
def test_every_vector_is_explained_as_published(profile: str) -> None:
    published = vectors(profile)
    questions = [Question(v["field"], v["raw"], v.get("country")) for v in published]
    for vector, answer in zip(published, explain_many(profile, questions), strict=True):
        expected = (vector["normalised"], vector.get("value"), vector.get("rejected"))
        assert (answer.normalised, answer.value, answer.rejected) == expected, vector


@pytest.mark.parametrize("profile", installed().vectors)
def test_every_vector_holds_in_a_page_of_lists(profile: str, run: Run) -> None:
    for vector in vectors(profile):
        field, page = vector["field"], {vector["field"]: [[vector["raw"]]]}
        if field not in compile_profile(profile).profile.fields:
            continue
        if "country" in vector:
            page["country"] = [[vector["country"]]]
        if set(page) & set(compile_profile(profile).profile.all_or_none):
            continue  # held back when alone: see test_google_address_is_sent_whole_or_not_at_all
        answer = run(profile, page)
        if "rejected" in vector:
            assert answer["refused"] == [[f"{field}:{vector['rejected']}"]]
            continue
        hashed = compile_profile(profile).profile.fields[field].send == "hash"
        sent = [answer[output][0][0] for output in compile_profile(profile).profile.outputs(field) if answer[output][0]]
        assert (sent[0].hex() if hashed else sent[0]) == vector["value"], vector


def test_hashed_values_are_the_digest_of_the_normalised_text() -> None:
    for profile in installed().vectors:
        for vector in vectors(profile):
            rule = compile_profile(profile).profile.fields.get(vector["field"])
            if "value" in vector and rule and rule.send == "hash":
                assert vector["value"] == hashlib.sha256(vector["normalised"].encode()).hexdigest(), vector


def test_parts_of_a_name_and_of_a_date_of_birth_at_meta(run: Run) -> None:
    answer = run("meta", {"first_name": [["Liam"]], "date_of_birth": [["1997-2-16"]]})
    published = {
        "first_initial": "acac86c0e609ca906f632b0e2dacccb2b77d22b0621f20ebece1a4835b93f6f0",
        "birth_year": "0985b889a1fe4f4e1fb925061ac6fb2247f10875f5fcbe63eec2ab55ed68970e",
        "birth_month": "a953f09a1b6b6725b81956e9ad0b1eb49e3ad40004c04307ef8af6246a054116",
        "birth_day": "b17ef6d19c7a5b1ee83b907c595526dcb1eb06db8227d650d5dda0a9f4ce8cd9",
    }
    assert {name: answer[name][0][0].hex() for name in published} == published


def test_a_year_alone_gives_the_year_alone(run: Run) -> None:
    answer = run("meta", {"date_of_birth": [["1997"]]})
    assert [len(answer[name][0]) for name in ("date_of_birth", "birth_year", "birth_month", "birth_day")] == [
        0,
        1,
        0,
        0,
    ]
