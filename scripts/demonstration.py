"""The demo: twins up, three syncs through the command line, then CDP, ledger and platform compared person by person."""

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
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sandbox
from cdp_bridge.store import Store
from rich.console import Console
from rich.table import Table
from sandbox.churn import churn
from sandbox.meta.directory import Directory
from sandbox.people import Person, Population, generate

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
  - name: meta
    connector: destination-meta
    settings:
      access_token: env:META_TOKEN
      ad_account_id: act_1001
      base_url: {meta}
mappings:
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
    destination: meta
    mapping: people
    consent: [{{purpose: advertising, cdp_field: traits.consent_advertising}}]
"""


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
        with urllib.request.urlopen(urllib.request.Request(url, data)) as answer:
            yield from map(json.loads, filter(None, answer.read().splitlines()))


def main() -> int:
    """Run the demo; 1 if the three sides differ anywhere."""
    options = _options()
    console = Console(stderr=options.json, width=None if sys.stdout.isatty() else 120, emoji=False, highlight=False)
    with ExitStack() as stack:
        stage = _set_up(stack, options, console)
        before = generate(options.people, options.seed)
        syncs = [_sync(stage, console, "create"), _sync(stage, console, "nothing changed")]
        console.print("1 % of the people join, leave, change an address or are merged ...")
        list(stage.ask(f"{stage.twins.segment}/_twin/churn", {"fraction": CHURN, "seed": options.seed}))
        syncs.append(_sync(stage, console, "only the difference"))
        happened = churn(before, CHURN, options.seed)
        directory = Directory(before)
        directory.learn(happened.changed.values())
        matches = [_compare(stage, happened.population, directory, segment) for segment in SEGMENTS]
    report = {"syncs": [entry for entry, _ in syncs], "funnel": syncs[-1][1], "match": matches}
    if options.json:
        print(json.dumps(report))
    else:
        _show(console, report)
    equal = all(
        not match["missing"] and not match["unexpected"] and match["ledger"] == match["eligible"] for match in matches
    )
    return 0 if equal and syncs[1][0]["membership_calls"] == 0 else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--people", type=int, default=50_000, metavar="N", help="profiles in the Segment space (50000)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="other people for another seed (1)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout and nothing else there")
    return parser.parse_args()


def _set_up(stack: ExitStack, options: argparse.Namespace, console: Console) -> Stage:
    console.print(
        f"Starting a Segment workspace with {options.people:,} profiles and a Meta ad account on this machine ..."
    )
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cdp-bridge-demo-")))
    warehouse = f"duckdb:///{folder}/profiles_sync.duckdb"
    twins = stack.enter_context(sandbox.running(people=options.people, seed=options.seed, warehouse=warehouse))
    (folder / "bridge.yaml").write_text(
        BRIDGE.format(segment=twins.segment, meta=twins.meta)
        + "".join(AUDIENCE.format(name=f"meta-{segment.replace('_', '-')}", segment=segment) for segment in SEGMENTS)
    )
    suppressed = generate(options.people, options.seed).suppressed
    (folder / "opted_out.csv").write_text("\n".join(suppressed) + "\n")
    environment = os.environ | {
        "CDP_BRIDGE_STORE": f"sqlite:///{folder}/cdp-bridge.db",
        "SEGMENT_TOKEN": "sandbox-papi-token",
        "SEGMENT_WAREHOUSE": warehouse,
        "META_TOKEN": "sandbox-token",
    }
    stage = Stage(twins, folder, environment)
    stage.bridge("apply", "-f", "bridge.yaml", "--yes")
    console.print("bridge.yaml applied: 1 connection, 1 destination, 3 audiences\n")
    return stage


def _sync(stage: Stage, console: Console, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """One `cdp-bridge sync --all`: what it did in all, and the funnel over all audiences."""
    started = time.monotonic()
    runs = stage.bridge("sync", "--all")
    seconds = time.monotonic() - started
    total = {key: sum(run[key] for run in runs) for key in ("membership_calls", "adds", "changes", "removes")}
    staged = sum(run["funnel"]["in_segment"] for run in runs)
    console.print(
        f"sync: {name:<20} {seconds:5.1f} s  {total['membership_calls']:>4} membership calls  "
        f"+{total['adds']:,} ~{total['changes']:,} -{total['removes']:,}   ({staged / seconds:,.0f} members/s)"
    )
    funnel = _add_up(run["funnel"] for run in runs)
    return {"name": name, "platform": "meta", **total, "seconds": round(seconds, 2)}, funnel


def _add_up(funnels: Iterable[dict[str, Any]]) -> dict[str, Any]:
    counts: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    for funnel in funnels:
        counts.update({key: value for key, value in funnel.items() if isinstance(value, int)})
        dropped.update(funnel["dropped"])
    return {**counts, "dropped": dict(dropped.most_common())}


def _compare(stage: Stage, population: Population, directory: Directory, segment: str) -> dict[str, Any]:
    """CDP against ledger and against what the platform says it holds, person by person.

    The platform holds accounts, the CDP profiles: two profiles of one human, or a household's phone, may be one
    account. A profile is held when one of its accounts is; an account that belongs to nobody eligible is unexpected.
    """
    eligible = [person for person in population.members(segment) if _is_eligible(person)]
    with Store.open(stage.environment["CDP_BRIDGE_STORE"]) as store:
        name = f"meta-{segment.replace('_', '-')}"
        ref = store.audience_ref(name)
        ledger = {member.user_id for chunk in store.ledger.members(name) for member in chunk}
    if ref is None:
        sys.exit(f"the audience {name} was never made")
    accounts_held = set(stage.ask(f"{stage.twins.meta}/_twin/audiences/{ref.id}/people"))
    accounts = {person.segment_id: _accounts(directory, person) for person in eligible}
    found = sum(1 for reachable in accounts.values() if reachable & accounts_held)
    strangers = len(accounts_held.difference(*accounts.values()))
    return {
        "platform": "meta",
        "segment": segment,
        "eligible": len(eligible),
        "ledger": len(ledger),
        "held": found + strangers,
        "accounts_held": len(accounts_held),
        "missing": len(eligible) - found + len(accounts.keys() - ledger),
        "unexpected": strangers + len(ledger - accounts.keys()),
        "accuracy": round(found / len(eligible), 6) if eligible else 1.0,
    }


def _is_eligible(person: Person) -> bool:
    return bool(person.consent and not person.suppressed and person.identifiable_by)


def _accounts(directory: Directory, person: Person) -> set[str]:
    """The platform's accounts that a person's recoverable identifiers belong to, by none of the bridge's own rules."""
    columns = {
        "EMAIL": [_sha256(entry.true) for entry in person.emails if entry.recoverable],
        "PHONE": [_sha256(entry.true.lstrip("+")) for entry in person.phones if entry.recoverable],
        "MADID": [entry.true for entry in person.mobile_ids if entry.recoverable],
    }
    return {directory.ids[number] for number in directory.everyone(columns)}


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _show(console: Console, report: dict[str, Any]) -> None:
    funnel = dict(report["funnel"])
    people = Table("step", "members", title="\nWhere everybody is (all three audiences)")
    for step in ("in_segment", "mapped", "valid", "consented", "not_suppressed", "identifiable", "sent", "accepted"):
        people.add_row(step.replace("_", " "), f"{funnel[step]:,}")
    reasons = Table("why not", "members", title="\nWhy the others are not")
    for reason, count in funnel["dropped"].items():
        reasons.add_row(reason, f"{count:,}")
    match = Table("segment", "eligible", "ledger", "held", "as accounts", "missing", "unexpected", "accuracy")
    match.title = "\nCDP, ledger and platform, person by person"
    for row in report["match"]:
        counts = (row[key] for key in ("eligible", "ledger", "held", "accounts_held", "missing", "unexpected"))
        match.add_row(row["segment"], *(f"{count:,}" for count in counts), f"{row['accuracy']:.2%}")
    for table in (people, reasons, match):
        console.print(table)


if __name__ == "__main__":
    sys.exit(main())
