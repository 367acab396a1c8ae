"""A new connector package from our template: complete, and green under the conformance kit the minute it is made."""

from __future__ import annotations

import keyword
import re
import shutil
from pathlib import Path

from ..errors import ConfigError
from ..model import Kind

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST_NAME = 25
_TEMPLATES = Path(__file__).parent
_VENDOR = _TEMPLATES.parent / "testing" / "vendor.py"
_LONGEST_IN_ONE_LINE = 22
"""Characters of a name with which the template's widest line still has no more than 120."""


def create(kind: Kind, name: str, folder: Path, *, twin: bool) -> Path:
    """Write `folder/KIND-NAME` and return it; with `twin` it gets a copy of the made-up vendor to work on.

    ConfigError if the name will not do, if the folder is there already or cannot be written, or without copier.
    """
    _check_name(kind, name)
    target = folder / f"{kind}-{name}"
    try:
        import copier
    except ImportError:
        raise ConfigError("copier is not installed", remedy='pip install "cdp-bridge[author]"') from None
    try:
        target.mkdir(parents=True)
        for template in ("common", kind):
            source, answers = str(_TEMPLATES / template), _answers(kind, name, twin=twin)
            copier.run_copy(source, target, answers, defaults=True, quiet=True, skip_tasks=True)
        if twin:
            (target / "tests" / "__init__.py").touch()
            shutil.copyfile(_VENDOR, target / "tests" / "vendor.py")
    except FileExistsError:
        raise ConfigError("is there already", place=str(target), remedy="Choose another name or folder") from None
    except OSError as error:
        problem = f"cannot be written: {error.strerror}"
        raise ConfigError(problem, place=str(target), remedy="Choose another folder with --in") from None
    return target


def _check_name(kind: Kind, name: str) -> None:
    if name.startswith(("source-", "destination-")):
        word, _, rest = name.partition("-")
        raise ConfigError("begins with what it is already", place=name, remedy=f"cdp-bridge new {word} {rest}")
    if not NAME.fullmatch(name) or keyword.iskeyword(name) or len(name) > LONGEST_NAME:
        raise ConfigError(
            f"cannot be the name of a {kind}",
            place=name,
            remedy="Use lower-case letters, digits and single hyphens, a letter first, at most "
            f"{LONGEST_NAME} characters, and no Python keyword; for example acme-crm",
        )


def _answers(kind: Kind, name: str, *, twin: bool) -> dict[str, str | bool]:
    """What the template's variables are."""
    title = name.replace("-", " ").title()
    summaries = {
        "source": f"Reads the people of segments at {title}",
        "destination": f"Keeps lists at {title} equal to segments",
    }
    return {
        "kind": kind,
        "name": name,
        "connector": f"{kind}-{name}",
        "package": f"{kind}_{name}".replace("-", "_"),
        "camel": f"{kind} {title}".title().replace(" ", ""),
        "title": title,
        "summary": summaries[kind],
        "variable": f"{name}_token".replace("-", "_").upper(),
        "base_url": f"https://{name}.example",
        "wide": len(name) > _LONGEST_IN_ONE_LINE,
        "twin": twin,
    }
