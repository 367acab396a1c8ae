"""One test a hook, and one that finds a hook without."""

import inspect
import re
from pathlib import Path

import pytest
from cdp_bridge import hooks
from cdp_bridge.connectors import registry
from cdp_bridge.connectors.launch.local import LocalLauncher
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.errors import ConfigError
from cdp_bridge.model import Connector, LifecycleEvent

from .conftest import Site

EVENT = LifecycleEvent(name="run.finished", subject="vips", details={"status": "succeeded"})
CONNECTOR = Connector(name="source-moon", kind="source", settings=LifecycleEvent, load="moon")
NOTING = """def bridge_event(event):
    from pathlib import Path
    Path({!r}).write_text(event.name + event.subject)
"""
HEAD = "from cdp_bridge.sdk import *\n"


def plugin(body: str) -> str:
    return HEAD + "@hookimpl\n" + body


def test_every_hook_has_a_test() -> None:
    specified = {name for name, value in vars(hooks).items() if hasattr(value, f"{hooks.PROJECT}_spec")}
    tested = {name.removeprefix("test_hook_") for name in globals() if name.startswith("test_hook_")}
    assert specified == tested != set()


def test_every_hook_is_documented_with_its_arguments() -> None:
    for name in [name for name, value in vars(hooks).items() if hasattr(value, f"{hooks.PROJECT}_spec")]:
        assert inspect.getdoc(getattr(hooks, name)), name


def test_hook_bridge_connectors(shop: Site) -> None:
    found = Registry()
    assert {"source-shop", "destination-shelf"} <= set(found.connectors)
    connector = found.connector("source-shop", "source")
    assert found.version(connector) == "1.2.3"
    assert found.load(connector).CONNECTOR is connector
    with pytest.raises(ConfigError, match="no destination named source-shop is installed"):
        found.connector("source-shop", "destination")


def test_hook_bridge_functions(site: Site) -> None:
    site.install("shouting", {"shouting": plugin("def bridge_functions():\n return {'shout': str.upper}")})
    assert Registry().functions["shout"]("a") == "A"


MADE = """from msgspec import Struct

class Settings(Struct):
    pass

@hookimpl
def bridge_connector(name, kind):
    if name.startswith('moon:'):
        return Connector(name=name, kind=kind or 'source', settings=Settings, load='moon')
"""


def test_hook_bridge_connector(site: Site) -> None:
    odd = HEAD + "@hookimpl(trylast=True)\ndef bridge_connector(name):\n return 7"
    site.install("moon", {"moon": HEAD + MADE, "odd": odd})
    found = Registry()
    assert found.connector("moon:rock").kind == "source"
    assert found.connector("moon:rock", "destination").name == "moon:rock"
    assert found.failures == []
    with pytest.raises(ConfigError, match="no source named mars:rock is installed"):
        found.connector("mars:rock", "source")
    assert [failure.reason for failure in found.failures] == ["bridge_connector returned a int"]


def test_hook_bridge_secret(site: Site) -> None:
    site.install(
        "vault",
        {"vault": plugin("def bridge_secret(reference):\n return Secret('open') if reference == 'vault:a' else None")},
    )
    found = Registry().secret("vault:a")
    assert found is not None
    assert found.reveal() == "open"
    assert Registry().secret("vault:b") is None


def test_secret_plugins_are_asked_until_one_knows(site: Site) -> None:
    broken = plugin("def bridge_secret(reference):\n raise KeyError(reference)")
    rubbish = plugin("def bridge_secret(reference):\n return 'plain-text-secret'")
    useful = HEAD + "@hookimpl(trylast=True)\ndef bridge_secret(reference):\n return Secret('good-enough')"
    site.install("many", {"broken": broken, "rubbish": rubbish, "useful": useful})
    found = Registry()
    secret = found.secret("plain-password")
    assert secret is not None
    assert secret.reveal() == "good-enough"
    reasons = {failure.plugin: failure.reason for failure in found.failures}
    assert reasons == {"broken": "bridge_secret failed: KeyError", "rubbish": "bridge_secret returned a str"}
    found.secret("plain-password")
    assert len(found.failures) == 2, "a long-lived process notes each failure once"


MOON = """from contextlib import contextmanager

class Moon:
    @contextmanager
    def start(self, connector):
        yield self

    def ending(self):
        return 'is on the moon'

@hookimpl
def bridge_launcher(name):
    return Moon() if name == 'moon' else 7 if name == 'seven' else None
"""


def test_hook_bridge_launcher(site: Site) -> None:
    site.install("moon", {"moon": HEAD + MOON})
    found = Registry()
    with found.launcher("moon").start(CONNECTOR) as channel:
        assert channel.ending() == "is on the moon"
    assert isinstance(found.launcher("local"), LocalLauncher)
    for name in ("mars", "seven"):
        with pytest.raises(ConfigError, match=f"no launcher named {name} is installed"):
            Registry().launcher(name)


def test_hook_bridge_event(site: Site, tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    site.install(
        "ears", {"deaf": plugin("def bridge_event():\n raise SystemExit"), "ear": plugin(NOTING.format(str(heard)))}
    )
    found = Registry()
    found.notify(EVENT)
    assert heard.read_text() == "run.finishedvips"
    assert [failure.reason for failure in found.failures] == ["bridge_event run.finished failed: SystemExit"]


def test_an_event_that_hangs_is_left_behind(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    heard = tmp_path / "heard"
    hanging = plugin("import threading\ndef bridge_event(event):\n threading.Event().wait()").replace(
        "@hookimpl\nimport threading\n", "import threading\n@hookimpl\n"
    )
    site.install("slow", {"hanging": hanging, "ear": plugin(NOTING.format(str(heard)))})
    monkeypatch.setattr(registry, "EVENT_SECONDS", 0.05)
    Registry().notify(EVENT)
    assert heard.exists()
    assert re.search("plugin hanging still handles run.finished", caplog.text)
