"""The demo: twins up, syncs through the command line, then CDP, ledgers and platforms compared person by person."""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sandbox
from cdp_bridge.store import Store
from rich.console import Console
from rich.table import Table
from sandbox.churn import Churn, churn
from sandbox.google import directory as google
from sandbox.meta import directory as meta
from sandbox.people import Person, Population, generate
from sandbox.person import Entry
from sandbox.tiktok import directory as tiktok

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""The twins are on this machine: no proxy leads there."""
SEGMENTS = ("everyone", "cart_abandoners_7d", "vip_eu")
CHURN = 0.01

BRIDGE = """\
connections:
  - name: segment
    cdp_provider: source-segment
    api_credentials:
      public_api_token: env:SEGMENT_TOKEN
      base_url: {segment}
      warehouse: {{url: env:SEGMENT_WAREHOUSE}}
destinations:
{destinations}mappings:
  people:
    - {{omniads_field: user_id, cdp_field: canonical_segment_id}}
    - {{omniads_field: email, cdp_field: identifiers.email}}
    - {{omniads_field: phone, cdp_field: identifiers.phone}}
    - {{omniads_field: mobile_ad_id, cdp_field: identifiers."ios.idfa", policy: clear}}
    - {{omniads_field: mobile_ad_id, cdp_field: identifiers."android.idfa", policy: clear}}
    - {{omniads_field: first_name, cdp_field: traits.first_name}}
    - {{omniads_field: last_name, cdp_field: traits.last_name}}
    - {{omniads_field: city, cdp_field: traits.city}}
    - {{omniads_field: postal_code, cdp_field: traits.postal_code}}
    - {{omniads_field: country, cdp_field: traits.country}}
suppressions: [opted_out.csv]
audiences:
"""
AUDIENCE = """\
  - name: {name}
    connection: segment
    segment: {segment}
    destination: {platform}
    mapping: people
    consent: [{{purpose: advertising, cdp_field: traits.consent_advertising}}]
"""


Links = dict[str, list[str]]
"""What a platform can know a person by: values by kind."""


@dataclass(frozen=True)
class Platform:
    """How one ad platform is written to, and by what it knows people, told by none of the bridge's own rules.

    Its `directory` says which accounts a person has there; without one, what it holds of each member is looked at.
    """

    destination: str
    links: Callable[[Person], Links]
    directory: type[meta.Directory | tiktok.Directory] | None = None

    def wants(self, person: Person) -> bool:
        """Whether somebody should be in an audience of this platform."""
        return bool(person.consent and not person.suppressed and any(self.links(person).values()))


def _meta(person: Person) -> Links:
    return {
        "EMAIL": [_digest(entry, entry.true) for entry in person.emails if entry.recoverable],
        "PHONE": [_digest(entry, entry.true.lstrip("+")) for entry in person.phones if entry.recoverable],
        "MADID": [entry.true for entry in person.mobile_ids if entry.recoverable],
    }


def _tiktok(person: Person) -> Links:
    emails = [_digest(entry, tiktok.audience_email(entry.true)) for entry in person.emails if entry.recoverable]
    phones = [_digest(entry, entry.true) for entry in person.phones if entry.recoverable]
    return {"EMAIL_SHA256": emails, "PHONE_SHA256": phones, "MAID": _meta(person)["MADID"]}


def _google(person: Person) -> Links:
    # Google's rules take blanks out of the middle, too.
    readable = [one for one in person.emails if one.recoverable or "".join(one.raw.lower().split()) == one.true]
    emails = [_digest(entry, google.normal_email(entry.true)) for entry in readable]
    return {"email": emails, "phone": _tiktok(person)["PHONE_SHA256"]}


def _digest(entry: Entry, value: str) -> str:
    """What is sent: a hash that the CDP has already stays as it is, by whichever rules it was made."""
    return entry.raw.strip().lower() if entry.form == "hashed" else hashlib.sha256(value.encode()).hexdigest()


PLATFORMS = {
    "meta": Platform(
        """\
  - name: meta
    connector: destination-meta
    settings: {{access_token: env:AD_TOKEN, ad_account_id: act_1001, base_url: {url}}}
""",
        _meta,
        meta.Directory,
    ),
    "tiktok": Platform(
        """\
  - name: tiktok
    connector: destination-tiktok
    settings: {{access_token: env:AD_TOKEN, advertiser_id: "7000000000000000001", base_url: {url}}}
""",
        _tiktok,
        tiktok.Directory,
    ),
    # It joins members who share something, so that one account need not stand for each of them.
    "google": Platform(
        """\
  - name: google
    connector: destination-google
    settings:
      credentials: {{type: access_token, access_token: env:AD_TOKEN}}
      operating_account: {{account_id: 123-456-7890}}
      customer_match_terms: true
      ad_user_data: granted
      ad_personalization: granted
      base_url: {url}
""",
        _google,
    ),
}


@dataclass(frozen=True)
class Stage:
    """The running twins, the bridge's folder, and what the commands need to know."""

    twins: sandbox.Sandbox
    folder: Path
    environment: dict[str, str]

    def bridge(self, *arguments: str) -> Any:
        """Run `cdp-bridge` as a user would; its JSON. Exits with its complaint if it fails."""
        command = [str(Path(sys.executable).parent / "cdp-bridge"), *arguments, "--json"]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode not in (0, 3):
            sys.exit(f"cdp-bridge {' '.join(arguments)} failed ({done.returncode}):\n{done.stderr}{done.stdout}")
        return json.loads(done.stdout)

    def ask(self, url: str, body: Any = None) -> Iterator[Any]:
        """The JSON lines that a twin answers with."""
        data = None if body is None else json.dumps(body).encode()
        with _DIRECT.open(urllib.request.Request(url, data)) as answer:
            yield from map(json.loads, filter(None, answer.read().splitlines()))


def main() -> int:
    """Run the demo; 1 if the sides differ anywhere."""
    options = _options()
    console = Console(stderr=options.json, width=None if sys.stdout.isatty() else 120, emoji=False, highlight=False)
    with ExitStack() as stack:
        stage = _set_up(stack, options, console)
        before = generate(options.people, options.seed)
        syncs, _ = _sync(stage, console, "create")
        idle, _ = _sync(stage, console, "nothing changed")
        console.print("1 % of the people join, leave, change an address or are merged ...")
        list(stage.ask(f"{stage.twins.segment}/_twin/churn", {"fraction": CHURN, "seed": options.seed}))
        changes, _ = _sync(stage, console, "only the difference")
        # Google says only later what became of a removal; who is to be put in anew waits for that.
        rest, funnel = _sync(stage, console, "what had to wait")
        happened = churn(before, CHURN, options.seed)
        matches = [match for name in PLATFORMS for match in _compare(stage, before, happened, name)]
    report = {"syncs": [*syncs, *idle, *changes, *rest], "funnel": funnel, "match": matches}
    if options.json:
        print(json.dumps(report))
    else:
        _show(console, report)
    equal = all(
        not match["missing"] and not match["unexpected"] and match["ledger"] == match["eligible"] for match in matches
    )
    return 0 if equal and not any(row["membership_calls"] for row in idle) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--people", type=int, default=20_000, metavar="N", help="profiles in the Segment space (20000)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="other people for another seed (1)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout and nothing else there")
    return parser.parse_args()


def _set_up(stack: ExitStack, options: argparse.Namespace, console: Console) -> Stage:
    console.print(f"Starting a Segment workspace with {options.people:,} profiles and three ad platforms here ...")
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cdp-bridge-demo-")))
    warehouse = f"duckdb:///{folder}/profiles_sync.duckdb"
    twins = stack.enter_context(sandbox.running(people=options.people, seed=options.seed, warehouse=warehouse))
    destinations = "".join(one.destination.format(url=getattr(twins, name)) for name, one in PLATFORMS.items())
    audiences = [
        AUDIENCE.format(name=_audience(platform, segment), segment=segment, platform=platform)
        for segment in SEGMENTS
        for platform in PLATFORMS
    ]
    bridge = BRIDGE.format(segment=twins.segment, destinations=destinations)
    (folder / "bridge.yaml").write_text(bridge + "".join(audiences))
    suppressed = generate(options.people, options.seed).suppressed
    (folder / "opted_out.csv").write_text("\n".join(suppressed) + "\n")
    environment = os.environ | {
        # The twins are on this machine, too.
        "no_proxy": "*",
        "CDP_BRIDGE_STORE": f"sqlite:///{folder}/cdp-bridge.db",
        "SEGMENT_TOKEN": "sandbox-papi-token",
        "SEGMENT_WAREHOUSE": warehouse,
        "AD_TOKEN": "sandbox-token",
    }
    stage = Stage(twins, folder, environment)
    # The real one takes half an hour or more.
    list(stage.ask(f"{twins.google}/_twin/config", {"processing": 0}))
    stage.bridge("apply", "-f", "bridge.yaml", "--yes")
    console.print(f"bridge.yaml applied: 1 connection, {len(PLATFORMS)} destinations, {len(audiences)} audiences\n")
    return stage


def _audience(platform: str, segment: str) -> str:
    return f"{platform}-{segment.replace('_', '-')}"


def _sync(stage: Stage, console: Console, name: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """One `cdp-bridge sync --all`: what it did at each platform, and the funnel over all audiences."""
    reads, started = _reads(stage), time.monotonic()
    runs = stage.bridge("sync", "--all")
    seconds = time.monotonic() - started
    console.print(f"sync: {name}: {len(runs)} audiences from {_reads(stage) - reads} reads in {seconds:.1f} s")
    rows = []
    for platform in PLATFORMS:
        own = [run for run in runs if run["audience"].startswith(f"{platform}-")]
        row = {key: sum(run[key] for run in own) for key in ("membership_calls", "adds", "changes", "removes")}
        took = sum(run["latency"] for run in own)
        console.print(
            f"  {platform:<8} {took:5.1f} s  {row['membership_calls']:>4} membership calls  "
            f"+{row['adds']:,} ~{row['changes']:,} -{row['removes']:,}"
        )
        rows.append({"name": name, "platform": platform, **row, "seconds": round(took, 2)})
    return rows, _add_up(run["funnel"] for run in runs)


def _reads(stage: Stage) -> int:
    """How often Segment was asked which audience to read; the members themselves come from its warehouse."""
    (journal,) = stage.ask(f"{stage.twins.segment}/_twin/requests")
    return sum(count for route, count in journal["routes"].items() if route.endswith("/audiences"))


def _add_up(funnels: Iterable[dict[str, Any]]) -> dict[str, Any]:
    counts: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    for funnel in funnels:
        counts.update({key: value for key, value in funnel.items() if isinstance(value, int)})
        dropped.update(funnel["dropped"])
    return {**counts, "dropped": dict(dropped.most_common())}


def _compare(stage: Stage, before: Population, happened: Churn, name: str) -> Iterator[dict[str, Any]]:
    """CDP against ledger and against what one platform says it holds, person by person, for each segment.

    The platform holds accounts, the CDP profiles: two profiles of one human, or a household's phone, may be one
    account. A profile is held when one of its accounts is; an account that belongs to nobody eligible is unexpected.
    Who has no account there is sent, and unknown.
    """
    platform = PLATFORMS[name]
    known = platform.directory(before.people) if platform.directory else None
    if known:
        known.learn(happened.changed.values())
    for segment in SEGMENTS:
        audience = _audience(name, segment)
        with Store.open(stage.environment["CDP_BRIDGE_STORE"]) as store:
            ref = store.audience_ref(audience)
            ledger = {member.user_id for chunk in store.ledger.members(audience) for member in chunk}
        if ref is None:
            sys.exit(f"the audience {audience} was never made")
        url = f"{getattr(stage.twins, name)}/_twin/audiences/{ref.id}"
        held = (
            [{one} for one in stage.ask(f"{url}/people")] if known else [_flat(row) for row in stage.ask(f"{url}/rows")]
        )
        eligible = [person for person in happened.population.members(segment) if platform.wants(person)]
        accounts = {
            person.segment_id: {known.ids[number] for number in known.everyone(links)} if known else _flat(links)
            for person in eligible
            for links in [platform.links(person)]
        }
        everything, everybody = set().union(*held), set().union(*accounts.values())
        found = sum(1 for reachable in accounts.values() if reachable & everything)
        unknown = sum(1 for reachable in accounts.values() if not reachable)
        strangers = sum(1 for one in held if not one & everybody)
        yield {
            "platform": name,
            "segment": segment,
            "eligible": len(eligible),
            "ledger": len(ledger),
            "held": found + strangers,
            "accounts_held": len(held),
            "unknown": unknown,
            "missing": len(eligible) - found - unknown + len(accounts.keys() - ledger),
            "unexpected": strangers + len(ledger - accounts.keys()),
            "accuracy": round(found / len(eligible), 6) if eligible else 1.0,
        }


def _flat(links: Links) -> set[str]:
    return {f"{kind}:{value}" for kind, values in links.items() for value in values}


def _show(console: Console, report: dict[str, Any]) -> None:
    funnel = dict(report["funnel"])
    people = Table("step", "members", title="\nWhere everybody is (all audiences)")
    for step in ("in_segment", "mapped", "valid", "consented", "not_suppressed", "identifiable", "sent", "accepted"):
        people.add_row(step.replace("_", " "), f"{funnel[step]:,}")
    reasons = Table("why not", "members", title="\nWhy the others are not")
    for reason, count in funnel["dropped"].items():
        reasons.add_row(reason, f"{count:,}")
    match = Table(
        "platform",
        "segment",
        "eligible",
        "ledger",
        "held",
        "as accounts",
        "unknown",
        "missing",
        "unexpected",
        "accuracy",
    )
    match.title = "\nCDP, ledgers and platforms, person by person"
    for row in report["match"]:
        counts = (
            row[key] for key in ("eligible", "ledger", "held", "accounts_held", "unknown", "missing", "unexpected")
        )
        match.add_row(row["platform"], row["segment"], *(f"{count:,}" for count in counts), f"{row['accuracy']:.2%}")
    for table in (people, reasons, match):
        console.print(table)


if __name__ == "__main__":
    sys.exit(main())
