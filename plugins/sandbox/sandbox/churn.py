"""Changes a population: a fraction of its people joins, leaves, changes identifiers or merges."""

from dataclasses import dataclass, field

from msgspec.structs import replace

from sandbox import dirt
from sandbox.dice import Dice, weighted
from sandbox.people import Population, make_person
from sandbox.people_data import BY_CODE
from sandbox.person import Entry, Person

_AUDIENCE = "cart_abandoners_7d"
_CHANGES = weighted(flip=65, create=12, email=8, phone=8, delete=7)


@dataclass
class Churn:
    """What happened: the population before and after and, by kind, the `person_id`s concerned.

    `merged` holds pairs (kept, gone); a changed person is in `changed` as they are now, whatever the kind of change;
    `gone` holds the profiles that no longer exist.
    """

    before: Population
    population: Population
    left: list[str] = field(default_factory=list)
    joined: list[str] = field(default_factory=list)
    created: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    changed_email: list[str] = field(default_factory=list)
    changed_phone: list[str] = field(default_factory=list)
    merged: list[tuple[str, str]] = field(default_factory=list)
    changed: dict[str, Person] = field(default_factory=dict)
    gone: dict[str, Person] = field(default_factory=dict)

    def summary(self) -> dict[str, int]:
        """How many people each kind of change concerned."""
        kinds = ("left", "joined", "created", "deleted", "changed_email", "changed_phone", "merged")
        return {kind: len(getattr(self, kind)) for kind in kinds}


def churn(population: Population, fraction: float, seed: int) -> Churn:
    """Change about `fraction` of the people, and merge the first pair of profiles of one human that was left alone."""
    happened = Churn(population, population)
    dice = Dice(seed)
    count = round(len(population) * fraction)
    for person in dice.sample(population.people, min(count, len(population))):
        _change(happened, dice, person)
    _merge_one(happened, population)
    newcomers = happened.created
    for number in range(population.next_number, population.next_number + len(newcomers)):
        person = make_person(dice, population.seed, number)
        newcomers[number - population.next_number] = person.person_id
        happened.changed[person.person_id] = person
    happened.population = _after(population, happened)
    return happened


def _change(happened: Churn, dice: Dice, person: Person) -> None:
    match dice.pick(_CHANGES):
        case "flip":
            _flip(happened, person)
        case "create":
            happened.created.append("")
        case "email" if person.emails and not person.suppressed:
            happened.changed_email.append(person.person_id)
            _swap(happened, person, "email")
        case "phone" if person.phones:
            happened.changed_phone.append(person.person_id)
            _swap(happened, person, "phone")
        case _:
            happened.deleted.append(person.person_id)
            happened.gone[person.person_id] = person


def _flip(happened: Churn, person: Person) -> None:
    member = not person.memberships.get(_AUDIENCE)
    (happened.joined if member else happened.left).append(person.person_id)
    happened.changed[person.person_id] = replace(person, memberships={**person.memberships, _AUDIENCE: member})


def _swap(happened: Churn, person: Person, kind: str) -> None:
    entries = person.emails if kind == "email" else person.phones
    true = f"moved.{entries[0].true}" if kind == "email" else _next_number(entries[0].true)
    entry = Entry(true, true, "e164" if kind == "phone" else "plain", True)
    changed = (entry, *entries[1:])
    traits = {**person.traits, kind: entry.raw}
    if kind == "email":
        happened.changed[person.person_id] = replace(person, emails=changed, traits=traits)
    else:
        happened.changed[person.person_id] = replace(person, phones=changed, traits=traits)


def _next_number(phone: str) -> str:
    return f"{phone[:-5]}{(int(phone[-5:]) + 51_239) % 100_000:05d}"


def _merge_one(happened: Churn, population: Population) -> None:
    untouched = (p for p in population if p.person_id not in happened.changed and p.person_id not in happened.gone)
    known = {person.person_id: person for person in untouched}
    for gone in known.values():
        kept = known.get(gone.human_id)
        if kept is not None and kept is not gone:
            happened.merged.append((kept.person_id, gone.person_id))
            happened.changed[kept.person_id] = _merged(kept, gone)
            happened.gone[gone.person_id] = gone
            return


def _merged(kept: Person, gone: Person) -> Person:
    named = kept if "country" in kept.traits else gone
    country = BY_CODE[named.true.country] if dirt.is_readable(named.traits.get("country")) else None
    return replace(
        kept,
        merged_segment_ids=(*kept.merged_segment_ids, gone.segment_id, *gone.merged_segment_ids),
        emails=_union(kept.emails, gone.emails),
        phones=tuple(dirt.beside(entry, country) for entry in _union(kept.phones, gone.phones)),
        mobile_ids=_union(kept.mobile_ids, gone.mobile_ids),
        traits={**gone.traits, **kept.traits},
        memberships={**gone.memberships, **kept.memberships},
    )


def _union(kept: tuple[Entry, ...], gone: tuple[Entry, ...]) -> tuple[Entry, ...]:
    return tuple({entry.raw: entry for entry in (*gone, *kept)}.values())


def _after(population: Population, happened: Churn) -> Population:
    people = [happened.changed.get(p.person_id, p) for p in population if p.person_id not in happened.gone]
    people += (happened.changed[person_id] for person_id in happened.created)
    return Population(people, population.seed, population.next_number + len(happened.created))
