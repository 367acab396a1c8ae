"""Renders the OpenAPI description of the API as one HTML page without scripts, at /docs."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any

from litestar import Litestar, Request
from litestar.enums import MediaType
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin
from litestar.routes import HTTPRoute
from msgspec import inspect

Schema = Mapping[str, Any]

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
        _say_closed(request.app, openapi_schema)
        return "\n".join(_page(openapi_schema)).encode()


class Json(JsonRenderPlugin):
    """Renders the description for programs."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The document."""
        _say_closed(request.app, openapi_schema)
        return super().render(request, openapi_schema)


def _say_closed(app: Litestar, schema: dict[str, Any]) -> None:
    """Say which objects of bodies take no other fields than theirs, since the framework does not."""
    for route in app.routes:
        for handler in route.route_handlers if isinstance(route, HTTPRoute) else ():
            if body := handler.parsed_fn_signature.parameters.get("data"):
                for name in _closed(inspect.type_info(body.annotation)):
                    schema["components"]["schemas"][name]["additionalProperties"] = False


def _closed(kind: inspect.Type) -> Iterator[str]:
    """The names of the types in a body that take no other fields."""
    match kind:
        case inspect.StructType():
            if kind.forbid_unknown_fields:
                yield kind.cls.__name__
            for field in kind.fields:
                yield from _closed(field.type)
        case inspect.UnionType():
            for part in kind.types:
                yield from _closed(part)
        case inspect.ListType() | inspect.VarTupleType():
            yield from _closed(kind.item_type)
        case inspect.Metadata():
            yield from _closed(kind.type)


def _page(schema: Schema) -> Iterator[str]:
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


def _operation(method: str, path: str, operation: Schema) -> Iterator[str]:
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


def _named(name: str, schema: Schema) -> Iterator[str]:
    yield f'<h3 id="{escape(name)}"><code>{_short(name)}</code></h3>\n<p>{_text(schema.get("description", ""))}</p>'
    required = schema.get("required", ())
    yield _table(
        (
            f"<code>{escape(field)}</code>",
            _type(described),
            "required" if field in required else "only read" if described.get("readOnly") else "",
            _text(described.get("description", "")),
        )
        for field, described in schema.get("properties", {}).items()
    )


def _table(rows: Iterable[tuple[str, ...]]) -> str:
    cells = ("<td>".join(row) for row in rows)
    return f"<table>{''.join(f'<tr><td>{row}' for row in cells)}</table>"


def _content(described: Schema) -> Schema:
    contents: Mapping[str, Schema] = described.get("content", {})
    return next((content.get("schema", {}) for content in contents.values()), {})


def _type(schema: Schema) -> str:
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
