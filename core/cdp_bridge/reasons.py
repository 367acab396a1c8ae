"""Explains each reason code by which a person, value, event or message is dropped or refused: words and remedy.

A code has parts between colons; a part of a pattern in angle brackets stands for any text. The core names no platform:
codes that several destinations use have a pattern, all others are explained by the page of the connector.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct


class Reason(Struct, frozen=True):
    """A pattern of codes, what it means (its placeholders are filled in by `words`), and what to do about it."""

    pattern: str
    meaning: str
    remedy: str

    def matches(self, code: str) -> bool:
        """Whether the code is one of this pattern."""
        return self._parts(code) is not None

    def words(self, code: str) -> str:
        """What a code of this pattern means."""
        words = self.meaning
        for name, text in (self._parts(code) or {}).items():
            words = words.replace(name, text)
        return words

    def _parts(self, code: str) -> Mapping[str, str] | None:
        names, texts = self.pattern.split(":"), code.split(":", self.pattern.count(":"))
        if len(names) != len(texts):
            return None
        pairs = dict(zip(names, texts, strict=True))
        return pairs if all(name == text or (name[0] == "<" and text) for name, text in pairs.items()) else None


_CDP = "Correct it in the CDP"
_MAP = "Map the field, or correct the mapping"
_VALIDATION = "Correct the value in the CDP or the `validation` of the mapping; `on_invalid` says what becomes of it"
_SPLIT = "Nothing: the batch is divided and sent again"
_WAIT = "Nothing: the next run sends it again. If it stays so, see the page of the connector"

PEOPLE = (
    Reason("no_user_id", "the record has no user id", "Map `user_id` to a field that every record has"),
    Reason("duplicate", "another record of the segment has the same user id", "Nothing: one record a person is used"),
    Reason("left", "the CDP says that the person has left the segment", "Nothing: the person is removed"),
    Reason("no_consent:<purpose>", "no consent for <purpose>", "Nothing; else check field and values of `consent`"),
    Reason("suppressed", "on a suppression list", "Nothing; else take the entry out of the list"),
    Reason("invalid:<field>", "<field> is not valid, and the mapping says drop-record", _VALIDATION),
    Reason("fail:<field>", "<field> is not valid, and the mapping says fail", _VALIDATION),
    Reason("unidentifiable:nothing_given", "no field that identifies the person has a value", _MAP),
    Reason(
        "unidentifiable:<field>:<reason>",
        "no value identifies the person; the first refused is <field> (<reason>)",
        "See the reason under Values",
    ),
)
EVENTS = (
    Reason("incomplete:<field>", "the event has no <field>, or it cannot be read", _MAP),
    Reason("too_old", "the event is older than any platform accepts", "Sync more often, and backfill sooner"),
    Reason("invalid:too_large", "the event is too large", "Map fewer fields into the event"),
)
VALUES = (
    Reason("empty", "nothing is left after normalising", _CDP),
    Reason("empty_hash", "it is the hash of nothing", "Leave the field empty in the CDP where there is no value"),
    Reason(
        "damaged",
        "characters are lost: it was decoded wrongly, or is HTML that is none",
        "Correct the encoding at the source",
    ),
    Reason("invalid", "it does not have the form of this field", _CDP),
    Reason("placeholder", "it is a made-up value, such as test@example.com or 1900-01-01", _CDP),
    Reason("not_a_to_z", "the platform wants letters a to z only, and the value has none", "Nothing"),
    Reason("not_taken", "the platform does not take this field", "Nothing; else take it out of the mapping"),
    Reason("incomplete", "the platform takes name, postal code and country only together", "Map all of them"),
    Reason("unknown", "it is no country, region or gender that is known", "Correct it in the CDP, best to its code"),
    Reason("unsupported_country", "regions of this country are not known", "Nothing"),
    Reason("too_long", "the phone has more digits than any number of its country", _CDP),
    Reason("too_short", "the phone has fewer digits than any number of its country", _CDP),
    Reason(
        "scientific_notation",
        "a spreadsheet has written the phone as 4.9E+12, and digits are lost",
        "Format the column as text before exporting it",
    ),
    Reason(
        "unreadable",
        "the phone has no digits, a calling code or form that no country has, or letters or signs that hide digits",
        _CDP,
    ),
    Reason("no_country", "the phone has no country code, and the person no country", "Map `country`, or add +NN"),
    Reason(
        "unknown_country",
        "the phone has no country code, and the person's country is not understood or has no numbers of its own",
        "Correct the country in the CDP, or add +NN",
    ),
    Reason(
        "ambiguous",
        "it can be read in two ways: a date with day and month exchanged, a phone as two different numbers",
        "Write dates as YYYY-MM-DD, and phones with +, their country code, and no second number",
    ),
    Reason("out_of_range", "the date is before 1900 or in the future", _CDP),
    Reason("not_a_question", "`identity` cannot read the line", 'Write {"field": "email", "raw": "..."}'),
    Reason("unknown_field", "`identity` knows no such identifier", "Use one of those that its error names"),
    Reason("transformation", "the transformation rule makes nothing of the value", "Correct the rule or the value"),
    Reason("not_a_number", "it is not a number", _MAP),
    Reason("not_iso_4217", "it is not a currency code of ISO 4217, such as EUR", _MAP),
    Reason("not_one_for_each_item", "there is not one value for each item", _MAP),
    *(
        Reason(keyword, f"it does not fulfil `{keyword}` of the mapping's validation", _VALIDATION)
        for keyword in ("type", "minLength", "maxLength", "pattern", "enum", "const", "format", "minimum", "maximum")
    ),
    *(
        Reason(keyword, f"it does not fulfil `{keyword}` of the mapping's validation", _VALIDATION)
        for keyword in ("exclusiveMinimum", "exclusiveMaximum")
    ),
)
PLATFORMS = (
    Reason("<platform>:no_identifier", "it has no identifier that <platform> takes", "Map more identifiers"),
    Reason("<platform>:no_url", "<platform> wants the URL of a web event", "Map `url`"),
    Reason("<platform>:no_user_agent", "<platform> wants the user agent of a web event", "Map `user_agent`"),
    Reason("<platform>:no_value", "<platform> wants the value of this event", "Map `value`"),
    Reason("<platform>:no_currency", "<platform> wants the currency of this event", "Map `currency`"),
    Reason("<platform>:event_name", "the destination has no such event name", "Correct `event_name` or the settings"),
    Reason("<platform>:source", "the event did not happen where the destination says", "Use a destination for each"),
    Reason("<platform>:app", "<platform> takes no app events by this connector", "Send them with the platform's SDK"),
    Reason("<platform>:too_old", "the event is older than <platform> accepts", "Sync more often"),
    Reason("<platform>:future", "the event lies in the future", "Correct clock or time zone at the source"),
    Reason("<platform>:invalid_entry", "<platform> does not understand an identifier of the member", _CDP),
    Reason(
        "<platform>:too_small",
        "<platform> removes nobody from an audience that is so small",
        "Nothing: each run tries again. Who must be out at once: delete the audience there, the next run makes another",
    ),
    Reason("<platform>:members", "the batch has too many members", _SPLIT),
    Reason("<platform>:rows", "the batch has too many rows", _SPLIT),
    Reason("<platform>:bytes", "the file is too large", _SPLIT),
    Reason("<platform>:overloaded", "<platform> fails over this batch again and again", _SPLIT),
    Reason("<platform>:change_failed", "<platform> has not changed the audience", _WAIT),
    Reason("<platform>:file_lost", "<platform> has lost the uploaded file", _WAIT),
    Reason("<platform>:no_job", "<platform> does not know the job any more", _WAIT),
    Reason("<platform>:no_such_job", "<platform> does not know the job any more", _WAIT),
    Reason("<platform>:unknown", "<platform> refused it without a reason", _WAIT),
    Reason("http:413", "the request is too large", _SPLIT),
    Reason("http:<status>", "the platform answered with HTTP status <status>", "See the log and the connector's page"),
    Reason(
        "<platform>:<code>",
        "<platform> refused it with its error <code>",
        "See the page of the connector and the platform's documentation of this error",
    ),
)
QUEUE = (
    Reason("malformed", "the message cannot be read", "Find out who writes to the queue besides the bridge"),
    Reason("too_many_attempts", "the message failed too often", "See the log of the workers"),
    Reason("unknown_request", "the store has no such run request", "Nothing; else let all processes use one store"),
    Reason("too_large", "the message is larger than the queue takes", "Report it: the bridge writes no such message"),
)
GROUPS: Mapping[str, tuple[Reason, ...]] = {
    "People": PEOPLE,
    "Conversions": EVENTS,
    "Values": VALUES,
    "Platforms": PLATFORMS,
    "Queues": QUEUE,
}
"""All reasons by heading of the page; in each group the more special pattern comes first."""


def find(code: str) -> Reason | None:
    """The reason of a code of a person, event or platform; None for one that is unknown."""
    return next((reason for reason in (*EVENTS, *PEOPLE, *PLATFORMS) if reason.matches(code)), None)


def find_value(code: str) -> Reason | None:
    """The reason of `field:reason`, the code of a refused value; None for one that is unknown."""
    return next((reason for reason in VALUES if reason.matches(code.partition(":")[2])), None)


def explain(code: str) -> str:
    """What a code of a person, event or platform means; empty for one that is unknown."""
    reason = find(code)
    return reason.words(code) if reason else ""


def explain_value(code: str) -> str:
    """What the code `field:reason` of a refused value means; empty for one that is unknown."""
    reason = find_value(code)
    return reason.words(code.partition(":")[2]) if reason else ""


def explained(counts: Mapping[str, int], *, values: bool = False) -> list[tuple[str, int, str]]:
    """Rows of code, count and meaning for a table; `values`: the codes are those of refused values."""
    meaning = explain_value if values else explain
    return [(code, count, meaning(code)) for code, count in counts.items()]


def page() -> str:
    """The tables of `docs/reasons.md`."""
    parts: list[str] = []
    for heading, reasons in GROUPS.items():
        rows = [f"| `{reason.pattern}` | {_marked(reason.meaning)} | {reason.remedy} |" for reason in reasons]
        parts += [f"## {heading}", "", "| code | meaning | what to do |", "| --- | --- | --- |", *rows, ""]
    return "\n".join(parts).rstrip() + "\n"


def _marked(meaning: str) -> str:
    """A meaning as Markdown, in which a plain `<field>` would be an HTML tag."""
    return re.sub(r"<\w+>", r"`\g<0>`", meaning.replace("<platform>", "the platform"))
