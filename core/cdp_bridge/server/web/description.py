"""Renders the OpenAPI description of the API as one HTML page without scripts, at /docs."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any

from litestar import Request
from litestar.enums import MediaType
from litestar.openapi.plugins import OpenAPIRenderPlugin

Json = Mapping[str, Any]

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
code { font: 0.9em ui-monospace, monospace; background: #f3f3f3; padding: 0.1em 0.3em; overflow-wrap: anywhere }
h2 { margin-top: 3rem; border-bottom: 1px solid #ccc }
h3 { margin: 2rem 0 0 }
table { border-collapse: collapse; margin: 0.5rem 0 }
td, th { text-align: left; vertical-align: top; padding: 0.2rem 1rem 0.2rem 0; border-bottom: 1px solid #eee }
nav a { margin-right: 1rem }
"""
STYLE_SOURCE = f"'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'"
"""The page's style, as a content security policy names it."""
_HOW = """Send a key with each request, as <code>Authorization: Bearer KEY</code>; <code>cdp-bridge keys create</code>
makes one. Every error is a <a href="#ProblemDetails">ProblemDetails</a>. For programs:
<a href="/docs/openapi.json">openapi.json</a>."""


class Page(OpenAPIRenderPlugin):
    """Renders the description as an HTML page."""

    def __init__(self) -> None:
        super().__init__(path="/", media_type=MediaType.HTML)

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The page."""
        return "\n".join(_page(openapi_schema)).encode()


def _page(schema: Json) -> Iterator[str]:
    title, about = escape(schema["info"]["title"]), _text(schema["info"]["description"])
    sections: dict[str, list[str]] = {}
    for path, item in sorted(schema["paths"].items()):
        for method, operation in item.items():
            sections.setdefault(operation["tags"][0].replace(" ", "-"), []).extend(_operation(method, path, operation))
    yield f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{title}</title>'
    yield f'<meta name="viewport" content="width=device-width">\n<style>{_STYLE}</style>'
    yield f"<h1>{title}</h1>\n<p>{about}</p>\n<p>{_HOW}</p>"
    links = (f'<a href="#{name}">{name}</a>' for name in (*sections, "types"))
    yield f"<nav>{' '.join(links)}</nav>"
    for name, lines in sections.items():
        yield f'<h2 id="{name}">{name}</h2>'
        yield from lines
    yield '<h2 id="types">types</h2>'
    for name, described in sorted(schema["components"]["schemas"].items()):
        yield from _named(name, described)


def _operation(method: str, path: str, operation: Json) -> Iterator[str]:
    yield f"<h3><code>{method.upper()} {escape(path)}</code></h3>\n<p>{_text(operation.get('description', ''))}</p>"
    rows = [
        (
            f"<code>{escape(parameter['name'])}</code>",
            parameter["in"],
            _type(parameter["schema"]),
            _text(parameter.get("description", "")),
        )
        for parameter in operation.get("parameters", ())
    ]
    if "requestBody" in operation:
        rows.append(("", "body", _type(_content(operation["requestBody"])), ""))
    good = {status: response for status, response in operation["responses"].items() if int(status) < 400}
    rows += [("", f"answer {status}", _type(_content(response)), "") for status, response in good.items()]
    yield _table(rows)


def _named(name: str, schema: Json) -> Iterator[str]:
    yield f'<h3 id="{escape(name)}"><code>{_short(name)}</code></h3>\n<p>{_text(schema.get("description", ""))}</p>'
    required = schema.get("required", ())
    yield _table(
        (
            f"<code>{escape(field)}</code>",
            _type(described),
            "required" if field in required else "",
            _text(described.get("description", "")),
        )
        for field, described in schema.get("properties", {}).items()
    )


def _table(rows: Iterable[tuple[str, ...]]) -> str:
    cells = ("<td>".join(row) for row in rows)
    return f"<table>{''.join(f'<tr><td>{row}' for row in cells)}</table>"


def _content(described: Json) -> Json:
    contents: Mapping[str, Json] = described.get("content", {})
    return next((content.get("schema", {}) for content in contents.values()), {})


def _type(schema: Json) -> str:
    """The type of a value as HTML, with links to named types."""
    if name := schema.get("$ref", "").rpartition("/")[2]:
        return f'<a href="#{escape(name)}">{_short(name)}</a>'
    if several := schema.get("oneOf") or schema.get("anyOf"):
        return " or ".join(dict.fromkeys(map(_type, several)))
    if "enum" in schema or "const" in schema:
        return " or ".join(
            f"<code>{escape(str(choice))}</code>" for choice in schema.get("enum", [schema.get("const")])
        )
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {})) or 'anything'}"
    kinds = schema.get("type", "")
    return escape(kinds if isinstance(kinds, str) else " or ".join(kinds))


def _short(name: str) -> str:
    """`Listing[Run]` for the name that the framework gives it."""
    generic, _, argument = name.rstrip("_").rpartition(".")
    return escape(f"{generic.partition('_')[0]}[{argument}]" if generic else name)


def _text(text: str) -> str:
    """A docstring as HTML; code is marked as in Markdown."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
