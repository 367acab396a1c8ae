"""docs/sdk.md: every name that a connector may import, from its docstring, signature and fields."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import itertools
import pkgutil
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_origin

import msgspec
from cdp_bridge import hooks, model, sdk

FILE = Path("docs/sdk.md")

INTRODUCTION = """\
# The sdk

`scripts/specs` writes this page from the code. A connector imports from `cdp_bridge.sdk`, and nothing else of the core.
How the parts go together: [Writing a connector](writing-a-connector.md). What is checked:
[What a connector must do](connector-spec.md).
"""
HOOKS = tuple(name for name, value in vars(hooks).items() if hasattr(value, f"{hooks.PROJECT}_spec"))
LINE = 120


class Section(NamedTuple):
    """A heading with the names below it."""

    title: str
    names: tuple[str, ...]
    about: str = ""
    module: Any = sdk


SECTIONS = (
    Section("Announcing", ("Connector", "Limits", "OAuth", "hookimpl", "run")),
    Section("Settings", ("option", "Secret")),
    Section("Checking", ("Probe", "run_probes")),
    Section("Discovering", ("Catalog", "Stream")),
    Section("Reading", ("ReadRequest", "Page", "Checkpoint")),
    Section(
        "Writing", ("Audience", "AudienceRef", "Batch", "Conversion", "Item", "Outcome", "Inventory", "find_or_create")
    ),
    Section("Errors", ("ConfigError", "TransientError", "RejectedError", "ErrorTable", "ErrorRule")),
    Section("HTTP", ("Client", "Token")),
    Section(
        "Contracts",
        ("Source", "Destination", "Writer"),
        "What a connector fulfils. Nothing to import and nothing to inherit: a module with these functions will do.",
        model,
    ),
    Section(
        "Hooks",
        (*HOOKS, *(name for name in hooks.__all__ if name not in (*HOOKS, "hookimpl"))),
        "What a plugin may do: each function decorated with `hookimpl`. Their types are in `cdp_bridge.hooks`.",
        hooks,
    ),
)


def page() -> str:
    """The whole of docs/sdk.md."""
    return written(INTRODUCTION, SECTIONS)


def written(introduction: str, sections: Sequence[Section]) -> str:
    """A page: an introduction, a table of the sections, and each name with its docstring, signature and fields."""
    rows = [f"| [{each.title}](#{_anchor(each.title)}) | `{'` `'.join(each.names)}` |" for each in sections]
    parts = [introduction, "\n".join(["| for | names |", "| --- | --- |", *rows])]
    for section in sections:
        parts += [f"## {section.title}", section.about]
        parts += [_entry(name, getattr(section.module, name)) for name in section.names]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _entry(name: str, thing: Any) -> str:
    if inspect.isfunction(thing):
        return f"### `{name}`\n\n{_function(name, thing)}"
    if not inspect.isclass(thing):
        return f"### `{name}`\n\n{_constant(name)}"
    parts = [f"### `{name}`", inspect.getdoc(thing) or ""]
    if issubclass(thing, msgspec.Struct) or dataclasses.is_dataclass(thing):
        parts.append(_fields(thing))
    elif inspect.isfunction(start := vars(thing).get("__init__")) and start.__module__ == thing.__module__:
        parts.insert(1, _code(name + _signature(start, hides=1, returns=False)))
    return "\n\n".join([*parts, *_methods(thing)])


def _fields(kind: type) -> str:
    """The fields as the source has them: to resolve them would import all that they name."""
    (declared,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(declared, ast.ClassDef)
    calls = [one.keywords for one in declared.decorator_list if isinstance(one, ast.Call)]
    words = [word.arg for words in (declared.keywords, *calls) for word in words]
    about = _texts(declared)
    titles = [f"field{', by keyword only' * ('kw_only' in words)}", "type", "default", *["meaning"] * bool(about)]
    rows = [
        [f"`{name}`", _cell(_spelt_out(ast.unparse(field.annotation))), _cell(_default(field))]
        + [about.get(name, "")] * bool(about)
        for field in declared.body
        if isinstance(field, ast.AnnAssign)
        for name in [ast.unparse(field.target)]
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in [titles, ["---"] * len(titles), *rows])


def _texts(declared: ast.ClassDef) -> dict[str, str]:
    """The texts below the fields of a class, in one line each."""
    texts = {}
    for field, below in itertools.pairwise(declared.body):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(ast.Constant(str(text))):
                texts[name] = " ".join(text.split()).replace("|", "\\|")
    return texts


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


def _default(declared: ast.AnnAssign) -> str:
    text = ast.unparse(declared.value) if declared.value else ""
    return str(getattr(model, text, text)).replace("field(default_factory=dict)", "{}")


def _methods(kind: type) -> Iterator[str]:
    for name, value in vars(kind).items():
        function = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        if inspect.isfunction(function) and not name.startswith(("_", "test_")):
            hides = 0 if isinstance(value, staticmethod) else 1
            yield f"#### `{kind.__name__}.{name}`\n\n{_function(name, function, hides=hides)}"


def _function(name: str, function: Callable[..., Any], *, hides: int = 0) -> str:
    return f"{_code(name + _signature(function, hides=hides))}\n\n{inspect.getdoc(function) or ''}"


def _signature(function: Callable[..., Any], *, hides: int = 0, returns: bool = True) -> str:
    """The parameters but for the first `hides` (self, cls), with annotations as the source has them."""
    signature = inspect.signature(function)
    parameters = [one.replace(annotation=_Plain(one.annotation)) for one in signature.parameters.values()]
    result = _Plain(signature.return_annotation) if returns else inspect.Signature.empty
    return str(signature.replace(parameters=parameters[hides:], return_annotation=result))


class _Plain:
    """An annotation that `inspect` prints without quotes."""

    def __init__(self, annotation: Any) -> None:
        self._text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)

    def __repr__(self) -> str:
        return _spelt_out(self._text)


def _spelt_out(annotation: str) -> str:
    """An annotation with the choices in place of their names, which connectors do not import."""
    choices = {name: value for name, value in vars(model).items() if get_origin(value) is Literal}
    return re.sub(r"\w+", lambda word: str(choices.get(word[0], word[0])).removeprefix("typing."), annotation)


def _constant(name: str) -> str:
    """What is assigned to a name, and the text below: a value has no docstring that `inspect` finds."""
    modules = pkgutil.iter_modules(model.__path__, f"{model.__name__}.")
    for module in (hooks, *(importlib.import_module(each.name) for each in modules)):
        body = ast.parse(inspect.getsource(module)).body
        for statement, following in itertools.pairwise(body):
            match statement, following:
                case ast.Assign(targets=[ast.Name(id=found)]), ast.Expr(ast.Constant(str(text))) if found == name:
                    return f"{_code(ast.unparse(statement))}\n\n{inspect.cleandoc(text)}"
    raise LookupError(f"{name} has no text below its assignment")


def _code(text: str) -> str:
    """A block; what is too long gets a line for each parameter."""
    if len(text) > LINE:
        text = re.sub(r", (?=\*|\w+:)|\((?=\w+:)", lambda comma: f"{comma[0].strip()}\n    ", text)
    return f"```python\n{text}\n```"


def _cell(text: str) -> str:
    return "`{}`".format(text.replace("|", "\\|")) if text else ""
