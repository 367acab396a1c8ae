"""Settings that hold secrets themselves, as people send them: the secrets go into the store, references stay."""

from __future__ import annotations

import copy
import functools
import operator
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from .. import settings
from ..errors import TransientError
from ..settings import Secret
from .secrets import SCHEME, Secrets

Settings = dict[str, Any]


@contextmanager
def deposited(
    store: Secrets,
    owner: str,
    json_schema: Mapping[str, Any],
    raw: Settings,
    before: Settings,
    is_reference: Callable[[str], bool],
) -> Iterator[Settings]:
    """The settings with references, for a block that saves them.

    Each secret is kept as `OWNER.` and a number of its own. An exception throws them away again; otherwise those that
    the settings `before` referred to, and these do not, are. `is_reference` says what is no secret.
    """
    kept, made = copy.deepcopy(raw), set[str]()
    for path, value in settings.secrets(dict(json_schema), raw).items():
        if not is_reference(value):
            *outer, last = path
            name = f"{owner}.{secrets.token_hex(8)}"
            functools.reduce(operator.getitem, outer, kept)[last] = store.put(name, Secret(value))
            made.add(name)
    try:
        yield kept
    except TransientError:
        # They may have been saved for all we know.
        raise
    except BaseException:
        _drop(store, made)
        raise
    _drop(store, _owned(owner, json_schema, before) - _owned(owner, json_schema, kept))


def _owned(owner: str, json_schema: Mapping[str, Any], raw: Settings) -> set[str]:
    """The names of the owner's secrets that settings refer to."""
    start = f"{SCHEME}:{owner}."
    found = settings.secrets(dict(json_schema), raw).values()
    return {value.removeprefix(f"{SCHEME}:") for value in found if value.startswith(start)}


def _drop(store: Secrets, names: set[str]) -> None:
    for name in names:
        store.drop(name)
