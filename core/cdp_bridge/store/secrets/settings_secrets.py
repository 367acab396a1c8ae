"""Moves the secrets in settings that people send into the store, and leaves references in their place."""

from __future__ import annotations

import copy
import functools
import operator
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from cdp_bridge import settings
from cdp_bridge.errors import TransientError
from cdp_bridge.secrets import Secret
from cdp_bridge.store.secrets.secrets import SCHEME, Secrets

Settings = dict[str, Any]


@contextmanager
def moved_secrets(
    store: Secrets,
    owner: str,
    json_schema: Mapping[str, Any],
    raw: Settings,
    is_reference: Callable[[str], bool],
) -> Iterator[Settings]:
    """The settings with references, for a block that saves them.

    Each secret is stored, without surrounding blanks, under the name `OWNER.` with random digits. `is_reference` says
    which values are no secrets. If the block raises, the new secrets are deleted; a TransientError deletes none: the
    settings may have been saved.
    """
    referring, made = copy.deepcopy(raw), set[str]()
    for path, value in settings.secrets(dict(json_schema), raw).items():
        if not is_reference(value):
            *outer, last = path
            name = f"{owner}.{secrets.token_hex(8)}"
            functools.reduce(operator.getitem, outer, referring)[last] = store.put(name, Secret(value.strip()))
            made.add(name)
    try:
        yield referring
    except TransientError:
        raise
    except BaseException:
        for name in made:
            store.drop(name)
        raise


def referenced(scheme: str, raw: Any) -> set[str]:
    """The names behind all references of a scheme in settings, of whatever connector."""
    if isinstance(raw, str):
        return {raw.partition(":")[2]} if raw.startswith(f"{scheme}:") else set()
    parts = raw.values() if isinstance(raw, Mapping) else raw if isinstance(raw, list | tuple) else ()
    return {name for part in parts for name in referenced(scheme, part)}


def owned(owner: str, raw: Settings) -> set[str]:
    """The names behind references in settings to secrets that were stored for that owner."""
    return {name for name in referenced(SCHEME, raw) if name.startswith(f"{owner}.")}
