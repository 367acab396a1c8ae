"""The pages that scripts/specs writes: current, complete, and told when they are not."""

from __future__ import annotations

import dataclasses
import inspect
import re
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from cdp_bridge import hooks, model, sdk, testing
from cdp_bridge.cli import author

from scripts.generated import connectors, kit, packages, reference

ROOT = Path(__file__).parents[2]
SDK, TABLE = ((ROOT / page).read_text(encoding="utf-8") for page in (reference.FILE, connectors.FILE))
HOOKS = [name for name, value in vars(hooks).items() if hasattr(value, f"{hooks.PROJECT}_spec")]
VALUES = [
    name for name in sdk.__all__ if inspect.isclass(kind := getattr(sdk, name)) and issubclass(kind, msgspec.Struct)
]


def entry(name: str) -> str:
    """What stands below the heading of a name, up to the next one of its rank."""
    found = re.search(rf"^### `{name}`$\n(.*?)(?=^##? |^### |\Z)", SDK, re.MULTILINE | re.DOTALL)
    assert found, f"{name} has no heading in {reference.FILE}"
    return found[1]


@pytest.mark.parametrize("name", [*sdk.__all__, *HOOKS, "Source", "Destination", "Writer"])
def test_every_public_name_is_explained(name: str) -> None:
    prose = re.sub(r"```.*?```|^[|#].*?$", "", entry(name), flags=re.MULTILINE | re.DOTALL)
    assert len(prose.split()) >= 5


def test_nothing_else_is_offered_for_import() -> None:
    headings = set(re.findall(r"^### `(\w+)`$", SDK.partition("## Contracts")[0], re.MULTILINE))
    assert headings == set(sdk.__all__)


@pytest.mark.parametrize("name", VALUES)
def test_every_field_is_listed(name: str) -> None:
    kind = getattr(sdk, name)
    assert re.findall(r"^\| `(\w+)` \|", entry(name), re.MULTILINE) == list(kind.__struct_fields__)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("Batch", "| `operation` | `Literal['add', 'remove', 'track']` |  |"),
        ("Connector", "| `delivery` | `Literal['idempotent', 'upsert', 'append']` | `'idempotent'` |"),
        ("Outcome", "| `rejected` | `Mapping[bytes, str]` | `{}` |"),
        ("Probe", "| field | type | default |"),
        ("Limits", "| field, by keyword only | type | default |"),
        ("ConfigError", "ConfigError(problem: str, *, place: str = '', remedy: str = '')"),
        ("Probe", "of(name: str, finding: Callable[[], str]) -> Probe"),
        ("Client", "retry_after(response: requests.Response) -> float | None"),
        ("bridge_secret", "bridge_secret(reference: str) -> Secret | None"),
    ],
)
def test_types_defaults_and_signatures_are_those_of_the_source(name: str, line: str) -> None:
    assert line in entry(name).splitlines()


@pytest.mark.parametrize("name", ["Client", "Secret", "Catalog", "Probe", "Source", "Destination", "Writer"])
def test_every_public_method_is_explained(name: str) -> None:
    kind = getattr(sdk, name, None) or getattr(model, name)
    methods = [
        method
        for method, value in vars(kind).items()
        if not method.startswith("_")
        and callable(getattr(kind, method))
        and method not in getattr(kind, "__struct_fields__", ())
    ]
    assert re.findall(rf"^#### `{name}\.(\w+)`$", entry(name), re.MULTILINE) == methods != []


@pytest.mark.parametrize("twin", [testing.SourceTwin, testing.DestinationTwin])
def test_every_field_of_a_twin_is_explained(twin: type[testing.SourceTwin | testing.DestinationTwin]) -> None:
    entry = kit.page().partition(f"### `{twin.__name__}`")[2].partition("\n### ")[0]
    meanings = dict(re.findall(r"^\| `(\w+)` \| .* \| (.*?) \|$", entry, re.MULTILINE))
    assert list(meanings) == [field.name for field in dataclasses.fields(twin)]
    assert all(meanings.values())


def test_the_page_of_the_kit_has_all_that_tests_import_from_it() -> None:
    assert set(testing.__all__) <= set(re.findall(r"^### `(\w+)`$", kit.page(), re.MULTILINE))


def test_every_connector_has_a_row() -> None:
    rows = re.findall(r"^\| \[([\w-]+)\]\((.*?)\) \| (\w+) \|", TABLE, re.MULTILINE)
    expected = {
        (one.name, f"../plugins/{folder.name}/README.md", one.kind)
        for folder, found in packages.packages()
        for one in found
    }
    assert set(rows) == expected
    assert len(rows) == len(expected)


def test_a_row_says_limits_delivery_and_identifiers() -> None:
    (row,) = [line for line in TABLE.splitlines() if line.startswith("| [destination-meta]")]
    for words in ("idempotent", "10,000 members, 1,000,000 bytes, 190,000 requests in 3,600 s", "`email`", "of `meta`"):
        assert words in row
    (row,) = [line for line in TABLE.splitlines() if line.startswith("| [source-segment]")]
    assert "`audience_members`" in row


@pytest.mark.parametrize(
    ("outcomes", "words"),
    [
        ([(1, "passed"), (2, "passed")], "2 passed"),
        ([(1, "passed"), (3, "skipped"), (2, "skipped")], "1 passed, 2 not applicable (2, 3)"),
        ([(1, "passed"), (1, "skipped")], "1 passed"),
    ],
)
def test_a_suite_is_counted_in_musts(outcomes: list[tuple[int, str]], words: str) -> None:
    tests = [
        author.Test(connector="one", must=must, name="", rule="", outcome=outcome, reason="")
        for must, outcome in outcomes
    ]
    assert connectors.summaries(tests) == {"one": words}


def test_a_page_gives_its_results_back() -> None:
    results = {one.name: "3 passed, 2 not applicable (2, 13)" for _, found in packages.packages() for one in found}
    assert connectors.results_in(connectors.page(results)) == results


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """What scripts/specs reads and writes of the repository, to be changed."""
    for name in ("scripts/generated", "connector_specs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "docs").mkdir()
    for page in (reference.FILE, kit.FILE, connectors.FILE):
        shutil.copy(ROOT / page, tmp_path / page)
    for project in ROOT.glob("plugins/*/pyproject.toml"):
        (tmp_path / "plugins" / project.parent.name).mkdir(parents=True)
        shutil.copy(project, tmp_path / "plugins" / project.parent.name)
    for manifest in ROOT.glob("plugins/*/*/connectors.json"):
        (tmp_path / manifest.relative_to(ROOT)).parent.mkdir()
        shutil.copy(manifest, tmp_path / manifest.relative_to(ROOT))
    return tmp_path


def check(folder: Path) -> tuple[int, str]:
    command = [sys.executable, "-m", "scripts.generated", "--check"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def test_a_stale_file_is_named(copy: Path) -> None:
    assert check(copy) == (0, "")
    (copy / reference.FILE).write_text(SDK.replace("`delivery`", "`promise`"))
    (copy / kit.FILE).write_text("")
    (copy / connectors.FILE).write_text(TABLE.replace("idempotent", "append"))
    (copy / "connector_specs" / "source-gone.json").write_text("{}")
    (copy / "connector_specs" / "source-file.json").unlink()
    (copy / "plugins" / "source-file" / "source_file" / "connectors.json").write_text("[]")
    code, said = check(copy)
    assert code == 1
    assert sorted(line.split()[0] for line in said.splitlines()) == [
        "connector_specs/source-file.json",
        "connector_specs/source-gone.json",
        "docs/connectors.md",
        "docs/kit.md",
        "docs/sdk.md",
        "plugins/source-file/source_file/connectors.json",
    ]
