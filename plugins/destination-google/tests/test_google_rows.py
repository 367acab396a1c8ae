"""Members of a request, whatever the batch holds."""

from typing import Any

from cdp_bridge.sdk import AudienceRef, Batch
from cdp_bridge.testing.numbered import digest
from destination_google.members import ADDRESS, CHECKS, MAX_IDENTIFIERS, members_of
from hypothesis import given
from hypothesis import strategies as st

REF = AudienceRef(id="1", account="1")
DIGESTS = st.lists(st.sampled_from([digest(n) for n in range(4)] + ["bad"]), max_size=14)
COLUMNS = {
    "email": DIGESTS,
    "phone": DIGESTS,
    "first_name": DIGESTS,
    "last_name": DIGESTS,
    "country": st.lists(st.sampled_from(["PT", "us", "1A"]), max_size=3),
    "postal_code": st.lists(st.sampled_from(["1229-076", "94045", "?"]), max_size=3),
}
PEOPLE = st.lists(st.fixed_dictionaries(COLUMNS), min_size=1, max_size=5)


@given(PEOPLE)
def test_everybody_is_sent_whole_or_refused_with_a_reason(people: Any) -> None:
    identifiers = {column: [person[column] for person in people] for column in COLUMNS}
    keys = [number.to_bytes(16) for number in range(len(people))]
    sent = members_of(Batch(audience=REF, operation="add", keys=keys, identifiers=identifiers))
    assert sent.refused.keys() | {keys[i] for i in sent.owners} == set(keys)
    assert not sent.refused.keys() & {keys[i] for i in sent.owners}
    for number, person in enumerate(people):
        mine = [one for i, one in zip(sent.owners, sent.identifiers, strict=True) if i == number]
        assert all(1 <= len(one) <= MAX_IDENTIFIERS for one in mine)
        flat = [identifier for one in mine for identifier in one]
        bad = [column for column, values in person.items() if not all(map(CHECKS[column][0], values))]
        has_address = all(person[column] for column in ADDRESS)
        if bad:
            assert sent.refused[keys[number]] in {CHECKS[column][1] for column in bad}
            continue
        wanted = [("email", value) for value in person["email"]] + [("phone", value) for value in person["phone"]]
        assert [one for one in flat if one[0] != "address"] == wanted
        homes = [one[1:] for one in flat if one[0] == "address"]
        assert bool(homes) == has_address
        for position, column in enumerate(ADDRESS if has_address else ()):
            assert {home[position] for home in homes} == set(person[column])
