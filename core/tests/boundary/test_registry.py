"""A plugin that is wrong in any way is named with the reason, and harms nobody else."""

import pytest
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.errors import ConfigError

from .conftest import Site

HEAD = """
from msgspec import Struct
from cdp_bridge.sdk import *
class Settings(Struct): pass
def made(name, **more):
    return Connector(**{"name": name, "kind": "source", "settings": Settings, "load": "nothing", **more})
"""
CONNECTORS = HEAD + "@hookimpl\ndef bridge_connectors():\n "

BROKEN = {
    "is no Python": ("def (", "cannot be used: SyntaxError"),
    "ends the process": ("raise SystemExit(3)", "cannot be used: SystemExit: 3"),
    "raises its own kind of ending": ("class End(BaseException): pass\nraise End", "cannot be used: End"),
    "needs what is not there": ("import not_installed_anywhere", "cannot be used: ModuleNotFoundError"),
    "shows a secret": (
        "raise ValueError('password=hunter2hunter2\\nmore')",
        "cannot be used: ValueError: password=*** more",
    ),
    "knows another hook": (HEAD + "@hookimpl\ndef bridge_nothing(): pass", "unknown hook bridge_nothing"),
    "takes other arguments": (HEAD + "@hookimpl\ndef bridge_connectors(extra): pass", "PluginValidationError"),
    "is half right": (
        CONNECTORS + "return [made('half-right')]\n@hookimpl\ndef bridge_secret(wrong): pass",
        "PluginValidationError",
    ),
    "wraps": (HEAD + "@hookimpl(wrapper=True)\ndef bridge_connectors():\n return (yield)", "is a wrapper"),
    "implements nothing": ("x = 1", "it implements no hook"),
    "raises in the hook": (CONNECTORS + "raise RuntimeError('no')", "bridge_connectors failed: RuntimeError: no"),
    "ends the process in the hook": (CONNECTORS + "raise SystemExit", "bridge_connectors failed: SystemExit"),
    "returns None": (CONNECTORS + "return None", "bridge_connectors failed: TypeError"),
    "returns a number": (CONNECTORS + "return 5", "bridge_connectors failed: TypeError"),
    "returns names": (CONNECTORS + "return ['a']", "returned a str, not a Connector"),
    "is from the future": (
        CONNECTORS + "return [made('new', api_version=2)]",
        "new is built for API version 2; this core speaks 1",
    ),
    "has no name": (CONNECTORS + "return [made(None)]", "has an unusable name"),
    "has strange fields": (
        CONNECTORS + "return [made('x', kind='both', settings=int, limits=None, delivery='maybe')]",
        "x has an unusable kind, settings, delivery, limits",
    ),
    "functions without a name": (HEAD + "@hookimpl\ndef bridge_functions():\n return {'a b': len}", "not a function"),
    "functions that are none": (HEAD + "@hookimpl\ndef bridge_functions():\n return {'a': 1}", "not a function"),
    "functions as a number": (HEAD + "@hookimpl\ndef bridge_functions():\n return 1", "bridge_functions failed"),
}


def reasons(registry: Registry, plugin: str) -> list[str]:
    return [failure.reason for failure in registry.failures if failure.plugin == plugin]


@pytest.mark.parametrize(("text", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_plugin_that(text: str, reason: str, site: Site) -> None:
    site.install("broken", {"broken": text})
    site.install("fine", {"fine": CONNECTORS + "return [made('fine')]"})
    registry = Registry()
    (found,) = reasons(registry, "broken")
    assert reason in found
    assert "\n" not in found
    assert registry.connector("fine").name == "fine"
    assert not {"half-right", "new", "x"} & set(registry.connectors)
    sorted(registry.connectors)


def test_a_generator_that_raises_midway_keeps_what_it_gave(site: Site) -> None:
    site.install("midway", {"midway": CONNECTORS + "yield made('one')\n raise OSError('gone')"})
    registry = Registry()
    assert registry.connector("one").name == "one"
    assert reasons(registry, "midway") == ["bridge_connectors failed: OSError: gone"]


def test_the_second_connector_of_a_name_is_not_used(site: Site) -> None:
    text = CONNECTORS + "return [made('same', documentation=__name__)]"
    site.install("twins", {"one": text, "two": text})
    registry = Registry()
    (failure,) = [one for one in registry.failures if one.plugin in ("one", "two")]
    assert failure.reason == "a connector named same exists already; this one is not used"
    assert registry.connector("same").documentation != failure.plugin


def test_the_second_function_of_a_name_is_not_used(site: Site) -> None:
    text = HEAD + "@hookimpl\ndef bridge_functions():\n return {'same': str.upper}"
    site.install("twins", {"one": text, "two": text})
    assert [one.reason for one in Registry().failures] == ["a function named same exists already; this one is not used"]


def test_the_second_plugin_of_a_name_is_not_used(site: Site) -> None:
    points = "[cdp_bridge]\nsame = {}\n"
    site.install("first", {"first": CONNECTORS + "return [made('first')]"}, points.format("first"))
    site.install("second", {"second": CONNECTORS + "return [made('second')]"}, points.format("second"))
    registry = Registry()
    assert len({"first", "second"} & set(registry.connectors)) == 1
    assert reasons(registry, "same") == ["cannot be used: a plugin of this name is loaded already"]


def test_one_module_under_two_names_is_used_once(site: Site) -> None:
    points = "[cdp_bridge]\na = double\nb = double\n"
    site.install("double", {"double": CONNECTORS + "return [made('double')]"}, points)
    registry = Registry()
    assert registry.connector("double").name == "double"
    assert any("already registered" in one.reason for one in registry.failures)


def test_a_malformed_list_of_entry_points_hides_only_its_own(site: Site) -> None:
    site.install("garbled", {}, "[cdp_bridge]\nthis line is no entry point\n")
    site.install("fine", {"fine": CONNECTORS + "return [made('fine')]"})
    registry = Registry()
    assert registry.connector("fine").name == "fine"
    assert "its entry points cannot be read" in " ".join(reasons(registry, "garbled"))


def test_what_a_plugin_prints_at_import_stays_out_of_stdout(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.install("chatty", {"chatty": "print('hello')\n" + CONNECTORS + "return [made('chatty')]"})
    Registry()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("body", ["raise SystemExit", "raise ValueError('x')", "import not_installed_anywhere"])
def test_code_that_cannot_be_loaded_is_a_config_error(body: str, site: Site) -> None:
    (site.path / "lazy.py").write_text(body)
    site.install("eager", {"eager": CONNECTORS + "return [made('eager', load='lazy')]"})
    registry = Registry()
    with pytest.raises(ConfigError, match=r"eager: the connector's code cannot be loaded.*Reinstall"):
        registry.load(registry.connector("eager"))


def test_an_attribute_can_do_the_work(site: Site) -> None:
    site.install("object", {"object_": CONNECTORS + "return [made('object', load='object_:made')]"})
    registry = Registry()
    assert registry.load(registry.connector("object")).__name__ == "made"
