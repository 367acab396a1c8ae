"""People for the benches: unique, seeded, with telephone numbers that are valid in 20 countries, as a Parquet file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import duckdb


class Plan(NamedTuple):
    """How a country writes a mobile number: `+code prefix` and six free digits, and the same at home.

    In `local`, `{0}` to `{5}` are the free digits.
    """

    country: str
    code: str
    prefix: str
    local: str


# Prefixes after which all six free digits give a number that libphonenumber knows as valid.
PLANS = (
    Plan("US", "1", "2125", "(212) 5{0}{1}-{2}{3}{4}{5}"),
    Plan("GB", "44", "7400", "07400 {0}{1}{2}{3}{4}{5}"),
    Plan("DE", "49", "15112", "0151 12{0}{1}{2}{3}{4}{5}"),
    Plan("FR", "33", "612", "06 12 {0}{1} {2}{3} {4}{5}"),
    Plan("ES", "34", "612", "612 {0}{1} {2}{3} {4}{5}"),
    Plan("IT", "39", "3124", "312 4{0}{1} {2}{3}{4}{5}"),
    Plan("NL", "31", "612", "06-12{0}{1}{2}{3}{4}{5}"),
    Plan("BE", "32", "470", "0470 {0}{1} {2}{3} {4}{5}"),
    Plan("CH", "41", "781", "078 1{0}{1} {2}{3} {4}{5}"),
    Plan("AT", "43", "664", "0664 {0}{1}{2}{3}{4}{5}"),
    Plan("PL", "48", "512", "512 {0}{1}{2} {3}{4}{5}"),
    Plan("SE", "46", "701", "070-1{0}{1} {2}{3} {4}{5}"),
    Plan("DK", "45", "26", "26 {0}{1} {2}{3} {4}{5}"),
    Plan("NO", "47", "40", "40{0} {1}{2} {3}{4}{5}"),
    Plan("AU", "61", "412", "0412 {0}{1}{2} {3}{4}{5}"),
    Plan("BR", "55", "11961", "(11) 961{0}{1}-{2}{3}{4}{5}"),
    Plan("MX", "52", "2221", "222 1{0}{1} {2}{3}{4}{5}"),
    Plan("IN", "91", "8122", "08122{0} {1}{2}{3}{4}{5}"),
    Plan("JP", "81", "9012", "090-12{0}{1}-{2}{3}{4}{5}"),
    Plan("ZA", "27", "711", "071 1{0}{1} {2}{3}{4}{5}"),
)
FIRST = [
    *("Anna", "José", "Zoë", "Liam", "Noah", "Emma", "Mia", "Ben", "Luca", "Léa", "Hugo", "Sofía", "Mateo", "Sven"),
    *("Åsa", "Ravi", "Aiko", "Thabo", "Zanele", "João", "Ella", "Finn"),
]
LAST = [
    *("Smith", "O'Brien", "Müller", "García", "Rossi", "Jansen", "Peeters", "Keller", "Nowak", "Nilsson", "Hansen"),
    *("Dubois", "Silva", "Kumar", "Sato", "Nkosi", "Meyer"),
]
CITIES = ["London", "Berlin", "New York", "Paris", "Madrid", "Rome", "Mexico City", "Osaka", "Durban", "Lyon", "Warsaw"]
MAX_PEOPLE = 1_000_000 * len(PLANS)

_QUERY = """
    COPY (
      WITH lists AS (SELECT $plans AS plans, $firsts AS firsts, $lasts AS lasts, $cities AS cities),
      person AS (
        SELECT i, plans[1 + i % len(plans)] AS plan,
               lpad((((i // len(plans)) * 7919 + {seed} * 104729) % 1000000)::VARCHAR, 6, '0') AS free,
               firsts[1 + (i * 31 + {seed}) % len(firsts)] AS first, lasts[1 + (i // 7) % len(lasts)] AS last,
               cities[1 + i % len(cities)] AS city
        FROM range({people}) AS r(i), lists)
      SELECT 'u-{seed}-' || i AS id,
             CASE WHEN i % 10 = 0 THEN ' P' ELSE 'p' END || 'erson.' || i || '.{seed}@Example.com' AS email_address,
             {phone} AS telephone, first AS given_name, last AS family_name,
             city AS town, (10000 + i % 89999)::VARCHAR AS postcode,
             plan.country AS country_code
      FROM person ORDER BY i)
    TO '{path}' (FORMAT parquet, ROW_GROUP_SIZE 20480)"""
_INTERNATIONAL = "'+' || plan.code || CASE WHEN i % 7 = 0 THEN ' ' ELSE '' END || plan.prefix || free"


def write(path: Path, people: int, seed: int = 1, *, local: bool = False) -> None:
    """Write up to `MAX_PEOPLE` people; phones are written with + and country code, or `local`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    query = _QUERY.format(seed=seed, people=people, path=part, phone=_local() if local else _INTERNATIONAL)
    lists = {"plans": [plan._asdict() for plan in PLANS], "firsts": FIRST, "lasts": LAST, "cities": CITIES}
    with duckdb.connect() as connection:
        connection.execute(query, lists).fetchall()
    part.replace(path)


def _local() -> str:
    phone = "plan.local"
    for place in range(6):
        phone = f"replace({phone}, '{{{place}}}', free[{place + 1}])"
    return phone


if __name__ == "__main__":
    where, number, kind = sys.argv[1:]
    write(Path(where), int(number), local=kind == "local")
