"""Makes sure of the audience at the platform in every run, with one read, and notices what others did to it."""

from __future__ import annotations

import hashlib
from datetime import timedelta

from msgspec.structs import replace

from cdp_bridge.delivery.sender import Sender
from cdp_bridge.entities import Activation
from cdp_bridge.errors import BridgeError
from cdp_bridge.model import Audience, AudienceRef
from cdp_bridge.store import Ensured
from cdp_bridge.sync.context import RunContext
from cdp_bridge.sync.extract import digest_of

PROCESSING = timedelta(days=3)
"""For so long a size may still fall because of people whom the bridge removed; platforms say two days at most."""
MAX_RUNS = 1_000


class LostAudienceError(BridgeError):
    """The platform does not hold what the ledger says: the ledger has been emptied or put in doubt, so that the same
    run can send everybody again.
    """


def ensure(run: RunContext, sender: Sender, activation: Activation) -> AudienceRef:
    """The audience as the platform has it now.

    Raises LostAudienceError when it is another one than before, or when somebody has emptied it.
    """
    before, last = run.store.audience_ref(run.name), run.store.ensured(run.name)
    account, target = run.setup.account, run.setup.target.name
    digest = digest_of(account.connector, account.settings, target)
    name = activation.audience_name or activation.segment
    rename = last.wanted_name not in (None, name)
    ref = sender.ensure(Audience(marker=_marker(run), name=name, ref=before, object=target, rename=rename))
    if before is not None and before.id not in ("", ref.id):
        _forget_ledger(run)
        _save(run, ref, Ensured(settings_digest=digest, wanted_name=name, given_name=ref.name, shown_size=None))
        is_same = last.settings_digest == digest
        why = "the platform has lost the audience" if is_same else "the destination's settings lead to another audience"
        raise LostAudienceError(f"{why}, so everybody in the segment is sent again")
    if is_emptied := _is_emptied(run, last, ref):
        _doubt_ledger(run)
    ensured = _named(Ensured(settings_digest=digest, shown_size=_shown(last, ref)), last, ref, name)
    _save(run, ref, ensured)
    if is_emptied:
        raise LostAudienceError(
            f"the platform shows at most {ref.upper_bound} people in the audience, {last.shown_size} before, and the "
            "bridge removed too few for that: somebody has emptied it, so everybody in the segment is sent again"
        )
    run.note(_difference_in_name(ensured, ref, name))
    return ref


def _marker(run: RunContext) -> str:
    """Unique to this bridge and activation, so that nobody else's audience is ever taken for ours."""
    return hashlib.sha256(run.store.key("marker") + run.name.encode()).hexdigest()[:20]


def _save(run: RunContext, ref: AudienceRef, ensured: Ensured) -> None:
    with run.transaction() as transaction:
        transaction.save_audience(run.name, ref, ensured)


def _forget_ledger(run: RunContext) -> None:
    for chunk in run.store.ledger.fingerprints(run.name):
        with run.transaction() as transaction:
            transaction.drop_members(run.name, [key for key, _ in chunk])


def _doubt_ledger(run: RunContext) -> None:
    for chunk in run.store.ledger.fingerprints(run.name):
        with run.transaction() as transaction:
            transaction.mark_in_doubt(run.name, [key for key, _ in chunk])


def _shown(last: Ensured, ref: AudienceRef) -> int | None:
    """The size that the next run compares with; platforms hide it for a while after each change."""
    return last.shown_size if ref.lower_bound is None else ref.lower_bound


def _is_emptied(run: RunContext, last: Ensured, ref: AudienceRef) -> bool:
    """Whether less than half of the people are left whom the platform showed, without those whom the bridge removed.

    Sizes are estimates that lag behind and are rounded, so less tells nothing. A false alarm costs one delivery of
    people who are there already, and no second one, since the size has fallen then.
    """
    if last.shown_size is None or ref.upper_bound is None or 2 * ref.upper_bound >= last.shown_size:
        return False
    since = run.log.sync_timestamp - PROCESSING
    runs = run.store.runs(run.name, MAX_RUNS)
    removed = sum(earlier.removes + earlier.changes for earlier in runs if earlier.sync_timestamp > since)
    return 2 * ref.upper_bound < last.shown_size - removed


def _named(ensured: Ensured, last: Ensured, ref: AudienceRef, name: str) -> Ensured:
    """With the names that hold from now on: those of before, unless the platform has followed a change of `name`."""
    is_renamed = name != last.wanted_name and ref.name != last.given_name
    if is_renamed or not (last.given_name and ref.name):
        return replace(ensured, wanted_name=name, given_name=ref.name)
    return replace(ensured, wanted_name=last.wanted_name, given_name=last.given_name)


def _difference_in_name(ensured: Ensured, ref: AudienceRef, name: str) -> str:
    """What to say when the platform has not followed a change of the name, or somebody there has changed it."""
    if ensured.wanted_name != name:
        return (
            f"the platform still calls the audience {ref.name!r}, since the bridge cannot rename it. Rename it there, "
            f"or set audience_name back to {ensured.wanted_name!r}"
        )
    if ref.name and ref.name != ensured.given_name:
        return (
            f"somebody has renamed the audience at the platform from {ensured.given_name!r} to {ref.name!r}. "
            "Rename it there, or set audience_name"
        )
    return ""
