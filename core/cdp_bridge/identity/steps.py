"""The vocabulary of the profiles: SQL templates over one value `{x}` and the person's country `{country}`.

The country is an alpha-2 code, empty if the one given was refused, NULL if none is given.

A step turns text into text, or into a refusal (`refusal.py`). A check is a predicate over the normalised text.
A part is what one output column holds of it. NULL in gives NULL out, everywhere.
"""

from cdp_bridge.identity.country import country_codes
from cdp_bridge.identity.phone import NO_COUNTRY, UNAMBIGUOUS
from cdp_bridge.identity.refusal import MARK, refusal

EMPTY_DIGEST = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

# Characters that nobody sees, in none of the classes below: all that Unicode calls default-ignorable (variation
# selectors, fillers, also those to come), and the braille pattern without dots.
_INVISIBLE = (
    r"\x{034F}\x{115F}\x{1160}\x{17B4}\x{17B5}\x{180B}-\x{180F}\x{2065}\x{2800}\x{3164}\x{FE00}-\x{FE0F}\x{FFA0}"
    r"\x{FFF0}-\x{FFF8}\x{E0000}-\x{E0FFF}"
)
# White space, controls and invisible characters, which exports leave around values.
_SPACES = r"\s\pZ\pC"
_BLANKS = _SPACES + _INVISIBLE
_SPACE = f"[{_SPACES}]+"
_BLANK = f"[{_BLANKS}]+"
# What exports write when there is nothing, and nobody is called.
_NO_NAME = (
    r"undefined|unknown|not available|not provided|n/a|n\.a\.|\\N|[-\x{2010}-\x{2015}.?_*]+"
    r"|#(n/a|null|ref|value|name|num|div/0)[!?]?"
    r"|[(<\[{](null|none|nan|na|n/a|undefined|unknown|empty|blank|not set)[)>\]}]"
)
# ... and what names people and places too. Left out on purpose: "na" (Namibia; a surname) and "nil" (a given name).
_NOTHING = f"null|none|nan|{_NO_NAME}"
_PLACEHOLDER = "(test|none|no|na|null|noemail|email|unknown|asdf|qwerty|abc|a|aa|aaa|x|xx|xxx)"
_NOBODY = "(no[._-]?e?mail|no[._-]?reply|do[._-]?not[._-]?reply)"
# Characters of an e-mail address, told by what they are not: a class of all letters costs milliseconds to prepare.
_MAILBOX = rf"[^\x00- \"(),:;<>@\[\\\]\x7F{_BLANKS}]"
_LABEL = rf"[^\x00-/:-@\[-`{{-\x7F{_BLANKS}]"
_TOP_LABEL = rf"[^\x00-@\[-`{{-\x7F{_BLANKS}]"
_MALE = "m|male|man|boy|mr|männlich|mann|herr|homme|masculin|hombre|masculino|maschio|uomo|homem|mannelijk"
_FEMALE = (
    "f|female|woman|girl|ms|mrs|w|weiblich|frau|femme|féminin|mujer|femenino|femmina|donna|feminino|mulher"
    "|vrouwelijk|vrouw"
)
_GENERATION = r"(jr|sr)\.?|2nd|3rd|ii|iii|iv|v|vi"
_DEGREE = "cpa|dc|dds|vm|jd|md|phd"


def literal(value: str) -> str:
    """A SQL string; control characters are spelled with chr() so that the statement stays readable."""
    quoted = "'" + value.replace("'", "''") + "'"
    return quoted.replace(f"'{MARK}", f"chr({ord(MARK)}) || '")


def refuse(reason: str) -> str:
    """The SQL string of a refusal."""
    return literal(refusal(reason))


IS_REFUSAL = f"starts_with({{x}}, chr({ord(MARK)}))"
IS_DIGEST = "(strlen({x}) = 64 AND regexp_full_match({x}, '[0-9A-Fa-f]{64}'))"
_IS_DAMAGED = "contains({x}, chr(65533))"
# Without what follows a "+" and without dots.
_PLAIN_ADDRESS = (
    "replace(split_part(split_part({x}, '@', 1), '+', 1), '.', '') || '@' || split_part({x}, '@', 2) ELSE {x} END"
)

_IS_E164 = f"strlen({{x}}) BETWEEN 11 AND 16 AND regexp_full_match({{x}}, '{UNAMBIGUOUS}')"
_PHONE_COUNTRY = f"coalesce({{country}}, '{NO_COUNTRY}')"

STEPS: dict[str, str] = {
    # Every field begins with these two; names begin with `html`, `trim`, `no_name`.
    "trim": f"CASE WHEN regexp_matches({{x}}, '^{_BLANK}|{_BLANK}$') "
    f"THEN regexp_replace({{x}}, '^{_BLANK}|{_BLANK}$', '', 'g') ELSE {{x}} END",
    "nothing": f"CASE WHEN regexp_full_match({{x}}, '(?i){_NOTHING}') THEN '' ELSE {{x}} END",
    # What shops keep as HTML (O&#039;Neill).
    "html": "CASE WHEN contains({x}, '&') THEN html_text({x}) ELSE {x} END",
    "no_name": f"CASE WHEN regexp_full_match({{x}}, '(?i){_NO_NAME}') THEN '' ELSE {{x}} END",
    # As the platforms' own helpers do (str.lower, toLowerCase); SQL's function differs for these two letters only.
    "lower": "CASE WHEN strlen({x}) <> length({x}) AND regexp_matches({x}, '[İΣ]') "
    "THEN lower_case({x}) ELSE lower({x}) END",
    # The engine's function ends at a NUL, and with it would the name.
    "nfc": "nfc_normalize(replace({x}, chr(0), ''))",
    "remove_spaces": f"CASE WHEN regexp_matches({{x}}, '{_SPACE}') "
    f"THEN regexp_replace({{x}}, '{_SPACE}', '', 'g') ELSE {{x}} END",
    # Marks stay: they carry the vowels of Indic scripts.
    "letters_and_digits": f"CASE WHEN regexp_full_match({{x}}, '[a-z]+') THEN {{x}} "
    f"WHEN {_IS_DAMAGED} THEN {refuse('damaged')} ELSE regexp_replace({{x}}, '[\\pP\\pS{_BLANKS}]+', '', 'g') END",
    "gmail": r"CASE WHEN regexp_full_match({x}, '[^@]+@(gmail|googlemail)\.com') THEN " + _PLAIN_ADDRESS,
    "plain_local_part": "CASE WHEN regexp_full_match({x}, '[^@]+@[^@]+') THEN " + _PLAIN_ADDRESS,
    "name_prefix": rf"regexp_replace({{x}}, '^((mr|mrs|ms|dr)(\.[{_BLANKS}]*|{_BLANK}))+', '')",
    "name_suffix": f"regexp_replace({{x}}, '([,{_BLANKS}]+({_GENERATION}|{_DEGREE}))*[,{_BLANKS}]*$', '')",
    "gender": f"CASE WHEN regexp_full_match({{x}}, '{_MALE}') THEN 'm' "
    f"WHEN regexp_full_match({{x}}, '{_FEMALE}') THEN 'f' WHEN {{x}} = '' THEN '' ELSE {refuse('unknown')} END",
    # Without a country only the form ZIP+4 tells that a code is American.
    "us_zip5": "CASE WHEN regexp_full_match({x}, '[0-9]{5}-[0-9]{4}') AND coalesce(nullif({country}, ''), 'US') = 'US' "
    "OR regexp_full_match({x}, '[0-9]{9}') AND {country} = 'US' THEN left({x}, 5) ELSE {x} END",
    "remove_dashes": r"regexp_replace({x}, '[\p{Pd}\x{2212}]+', '', 'g')",
    # Digits behind the last bracket, or behind a dot, may be no part of the number.
    "join_phone": r"CASE WHEN "
    r"regexp_full_match({x}, '\+([0-9]+[ -][0-9 -]*|[0-9]{1,3} ?\([1-9][0-9]*\)[0-9 -]*[0-9])') "
    "THEN regexp_replace({x}, '[ ()-]+', '', 'g') ELSE {x} END",
    # What the functions would give back unchanged, but for the plus, need not go through Python.
    "phone": f"CASE WHEN {_IS_E164} THEN {{x}} WHEN {{x}} = '' THEN '' ELSE phone_e164({{x}}, {_PHONE_COUNTRY}) END",
    "phone_digits": f"CASE WHEN {_IS_E164} THEN substr({{x}}, 2) WHEN {{x}} = '' THEN '' "
    f"ELSE phone_digits({{x}}, {_PHONE_COUNTRY}) END",
    "country": f"CASE WHEN regexp_full_match({{x}}, '(?i){'|'.join(country_codes())}') THEN upper({{x}}) "
    "WHEN {x} = '' THEN '' ELSE country_code({x}) END",
    # To ISO 3166 they are places of Saint Helena. Kosovo has no code there; XK is what the platforms use.
    "iso_country": "CASE WHEN {x} IN ('AC', 'TA') THEN 'SH' ELSE {x} END",
    "subdivision": "CASE WHEN {x} = '' THEN '' ELSE subdivision_code({x}, coalesce({country}, '')) END",
    "date": "CASE WHEN {x} = '' THEN '' ELSE birth_date({x}) END",
}

CHECKS: dict[str, str] = {
    "intact": f"NOT {_IS_DAMAGED}",
    "email": f"strlen({{x}}) <= 254 AND regexp_full_match({{x}}, "
    f"'{_MAILBOX}+@({_LABEL}(({_LABEL}|-)*{_LABEL})?\\.)+({_TOP_LABEL}{{2,}}|xn--[a-z0-9-]+)')",
    "real_email": f"NOT regexp_full_match({{x}}, '{_PLACEHOLDER}@{_PLACEHOLDER}\\.[a-z.]+|{_NOBODY}@.*')",
    "real_phone": "CASE WHEN regexp_matches({x}, '(0{8,}|1{8,}|2{8,}|3{8,}|4{8,}|5{8,}|6{8,}|7{8,}|8{8,}|9{8,}"
    "|1234567890|0123456789|9876543210)$') THEN real_phone({x}) = {x} ELSE TRUE END",
    "has_letter": rf"regexp_matches({{x}}, '[^\PL{_INVISIBLE}]')",
    "a_to_z": "regexp_full_match({x}, '[a-z]+')",
    "postal_code": "regexp_full_match({x}, '[0-9A-Za-z][0-9A-Za-z -]{1,8}[0-9A-Za-z]')",
    "us_zip": "coalesce({country}, '') <> 'US' OR regexp_full_match({x}, '[0-9]{5}(-[0-9]{4})?')",
    "real_postal_code": "NOT regexp_full_match({x}, '0+|9{5,}')",
    "uuid": "regexp_full_match({x}, '(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}')",
    "real_uuid": "NOT regexp_full_match({x}, '[0-]+')",
}

PARTS: dict[str, str] = {
    "whole": "{x}",
    "initial": "left({x}, 1)",
    "full_date": "CASE WHEN strlen({x}) = 8 THEN {x} END",
    "year": "left({x}, 4)",
    "month": "nullif(substr({x}, 5, 2), '')",
    "day": "nullif(substr({x}, 7, 2), '')",
}
