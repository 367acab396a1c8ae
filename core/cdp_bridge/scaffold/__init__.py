"""A new connector package from our templates: complete, and green under the conformance kit the minute it is made."""

from __future__ import annotations

import keyword
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from cdp_bridge.errors import ConfigError
from cdp_bridge.model import Kind

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
MAX_NAME = 25
"""Characters of a name with which no line of the templates grows longer than 120."""
SUFFIX = ".jinja"
_TEMPLATES = Path(__file__).parent
_TWIN = _TEMPLATES.parent / "testing" / "vendor.py"


def create(kind: Kind, name: str, folder: Path) -> Path:
    """Write `folder/KIND-NAME`, with a twin to turn into the vendor's, and return it.

    ConfigError if the name will not do, if the folder is there already or cannot be written, or without Jinja2.
    """
    _check_name(kind, name)
    target = folder / f"{kind}-{name}"
    files = {path: text for template in ("common", kind) for path, text in _rendered(template, _variables(kind, name))}
    try:
        target.mkdir(parents=True)
        for path, text in files.items():
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            (target / path).write_text(text, encoding="utf-8")
        shutil.copyfile(_TWIN, target / "tests" / "vendor.py")
    except FileExistsError:
        raise ConfigError("is there already", place=str(target), remedy="Choose another name or folder") from None
    except OSError as error:
        problem = f"cannot be written: {error.strerror}"
        raise ConfigError(problem, place=str(target), remedy="Choose another folder with --in") from None
    return target


def _rendered(template: str, variables: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Path and text of each file that a template folder makes: variables stand in both."""
    try:
        import jinja2
    except ImportError:
        raise ConfigError("Jinja2 is not installed", remedy='pip install "cdp-bridge[author]"') from None
    # Code and JSON, so nothing is escaped as in HTML.
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)  # noqa: S701
    root = _TEMPLATES / template
    for file in sorted(root.rglob(f"*{SUFFIX}")):
        path = file.relative_to(root).as_posix().removesuffix(SUFFIX)
        text = file.read_text(encoding="utf-8")
        yield environment.from_string(path).render(variables), environment.from_string(text).render(variables)


def _check_name(kind: Kind, name: str) -> None:
    if name.startswith(("source-", "destination-")):
        word, _, rest = name.partition("-")
        raise ConfigError("begins with what it is already", place=name, remedy=f"cdp-bridge new {word} {rest}")
    if not NAME.fullmatch(name) or keyword.iskeyword(name) or len(name) > MAX_NAME:
        raise ConfigError(
            f"cannot be the name of a {kind}",
            place=name,
            remedy="Use lower-case letters, digits and single hyphens, a letter first, at most "
            f"{MAX_NAME} characters, and no Python keyword; for example acme-crm",
        )


def _variables(kind: Kind, name: str) -> dict[str, str]:
    title = name.replace("-", " ").title()
    summaries = {
        "source": f"Reads the people of segments at {title}",
        "destination": f"Keeps lists at {title} in sync with segments",
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
    }
