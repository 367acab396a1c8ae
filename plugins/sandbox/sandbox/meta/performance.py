"""Made-up results of the ads of an account: the same numbers for the same ad, day and breakdown."""

import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby, product
from typing import Any

from sandbox.meta.config import Account
from sandbox.meta.errors import missing

ADS = 8
IDS = ("account_id", "campaign_id", "adset_id", "ad_id")
NAMES = {"account_name": "account", "campaign_name": "campaign", "adset_name": "adset", "ad_name": "ad"}
COUNTS = {"impressions": 1.0, "reach": 0.95, "clicks": 0.03, "inline_link_clicks": 0.02}
VIDEO = {
    "video_play_actions": 0.4,
    "video_thruplay_watched_actions": 0.2,
    "video_30_sec_watched_actions": 0.15,
    "video_p25_watched_actions": 0.3,
    "video_p50_watched_actions": 0.2,
    "video_p75_watched_actions": 0.12,
    "video_p95_watched_actions": 0.08,
    "video_p100_watched_actions": 0.05,
}
FIELDS = {*IDS, *NAMES, *COUNTS, *VIDEO, "spend", "actions", "date_start", "date_stop"}
BREAKDOWNS = {
    "age": ("18-24", "25-34", "35-44"),
    "gender": ("female", "male"),
    "country": ("DE", "US"),
    "region": ("Berlin", "California"),
    "publisher_platform": ("facebook", "instagram"),
    "platform_position": ("feed", "story"),
    "impression_device": ("android_smartphone", "iphone"),
}


@dataclass(frozen=True)
class Ad:
    """An ad and where it hangs."""

    account_id: str
    campaign_id: str
    adset_id: str
    ad_id: str


@dataclass(frozen=True)
class Query:
    """What a report is about: `increment` is the number of days in one row."""

    account_id: str
    ads: list[Ad]
    level: str
    fields: list[str]
    since: date
    until: date
    increment: int
    breakdowns: list[str]


def ads_of(accounts: Mapping[str, Account], node: str) -> tuple[str, list[Ad]]:
    """The account and the ads below an account, campaign, ad set or ad. Raises GraphError 100/33."""
    for account_id in accounts:
        below = [ad for ad in _tree(account_id) if node in (ad.account_id, ad.campaign_id, ad.adset_id, ad.ad_id)]
        if below:
            return account_id, below
    raise missing("GET", node)


def _tree(account_id: str) -> list[Ad]:
    return [
        Ad(account_id, f"118{account_id}{n // 4}", f"119{account_id}{n // 2}", f"120{account_id}{n}")
        for n in range(ADS)
    ]


def report(query: Query) -> list[dict[str, Any]]:
    """One row for each object, period and breakdown that saw activity; every number is text."""
    depth = IDS.index(f"{query.level}_id")
    groups = groupby(query.ads, key=lambda ad: tuple(getattr(ad, name) for name in IDS[: depth + 1]))
    objects = [(ids, list(ads)) for ids, ads in groups]
    found = []
    for (ids, ads), (first, last) in product(objects, _periods(query)):
        for shares in product(*(BREAKDOWNS[name] for name in query.breakdowns)):
            impressions = _impressions(ads, first, last, shares)
            if impressions:
                found.append(_row(query, ids, impressions, (first, last), shares))
    return found


def _periods(query: Query) -> Iterator[tuple[date, date]]:
    first = query.since
    while first <= query.until:
        last = min(query.until, first + timedelta(days=query.increment - 1))
        yield first, last
        first = last + timedelta(days=1)


def _impressions(ads: list[Ad], first: date, last: date, shares: tuple[str, ...]) -> int:
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    return sum(_of_a_day(ad, day, shares) for ad in ads for day in days)


def _of_a_day(ad: Ad, day: date, shares: tuple[str, ...]) -> int:
    """About one ad-day in eight has no activity at all."""
    seed = zlib.crc32(f"{ad.ad_id}/{day}/{shares}".encode())
    return 0 if seed % 8 == 0 else 200 + seed % 1500


def _row(
    query: Query, ids: tuple[str, ...], impressions: int, period: tuple[date, date], shares: tuple[str, ...]
) -> dict[str, Any]:
    known: dict[str, Any] = dict(zip(IDS, ids, strict=False))
    known |= {name: f"{kind} {known[f'{kind}_id']}" for name, kind in NAMES.items() if f"{kind}_id" in known}
    known |= {name: str(count) for name, count in _counts(impressions, COUNTS).items()}
    videos = _counts(impressions, VIDEO).items()
    known |= {name: [{"action_type": "video_view", "value": str(count)}] for name, count in videos}
    clicks = known.get("inline_link_clicks")
    known |= {"spend": f"{impressions * 0.007:.2f}"}
    known |= {"actions": [{"action_type": "link_click", "value": clicks}]} if clicks else {}
    row = {name: known[name] for name in query.fields if name in known}
    dates = {"date_start": str(period[0]), "date_stop": str(period[1])}
    return row | dict(zip(query.breakdowns, shares, strict=True)) | dates


def _counts(impressions: int, shares: dict[str, float]) -> Counter[str]:
    """Metrics above zero: one without activity is left out."""
    return +Counter({name: int(impressions * share) for name, share in shares.items()})
