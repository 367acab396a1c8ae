"""Profiles are found in the packages of installed plugins, without running any of their code."""

from __future__ import annotations

import re
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cdp_bridge
import msgspec
import pytest
from cdp_bridge.connectors.registry import Registry
from cdp_bridge.errors import ConfigError
from cdp_bridge.identity import CLEAR, explain, installed, load_profile, variants

EMAIL = {"send": "hash", "steps": ["lower"], "checks": {"email": "invalid"}, "source": "lower-case"}
ACME = {"name": "acme", "version": "1", "source": "acme.example/hashing", "fields": {"email": EMAIL}}
NEVER = "raise AssertionError('imported')\n"
Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """install(profiles by file name, package=..., into=...): a distribution on sys.path; its code must not run."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(files: dict[str, Any], package: str = "acme", into: Path = tmp_path) -> Path:
        name = package.replace(".", "_")
        info = into / f"{name}-1.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[cdp_bridge]\n{name} = {package}.plugin\n")
        folder = into.joinpath(*package.split("."))
        (folder / "profiles").mkdir(parents=True)
        (folder / "__init__.py").write_text(NEVER)
        (folder / "plugin.py").write_text(NEVER)
        for file, content in files.items():
            raw = content if isinstance(content, bytes) else msgspec.json.encode(content)
            (folder / "profiles" / file).write_bytes(raw)
        installed.cache_clear()
        return folder

    yield make
    monkeypatch.undo()
    installed.cache_clear()


def is_found() -> bool:
    return load_profile("acme").source == ACME["source"] and not set(sys.modules) & {"acme", "acme.ads"}


def test_a_package_brings_its_profiles(install: Install) -> None:
    install({"acme.json": ACME, "acme.vectors.json": [], "README.txt": b"not one"})
    assert is_found()
    assert set(installed().vectors) >= {"acme"}
    assert explain("acme", "email", "A@Example.com").normalised == "a@example.com"


def test_so_does_a_package_in_a_namespace(install: Install, tmp_path: Path) -> None:
    install({"acme.json": ACME}, package="acme.ads")
    assert not (tmp_path / "acme" / "__init__.py").exists()
    assert is_found()


def test_so_does_an_editable_install(install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = install({"acme.json": ACME})
    (elsewhere := tmp_path / "clone").mkdir()
    folder.rename(elsewhere / folder.name)
    monkeypatch.syspath_prepend(str(elsewhere))
    installed.cache_clear()
    assert is_found()


def test_so_does_a_zip(install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install({"acme.json": ACME}, into=tmp_path / "unpacked")
    archive = tmp_path / "acme.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        for file in (tmp_path / "unpacked").rglob("*"):
            zipped.write(file, file.relative_to(tmp_path / "unpacked"))
    monkeypatch.syspath_prepend(str(archive))
    installed.cache_clear()
    assert is_found()


def changed(**more: Any) -> dict[str, Any]:
    return ACME | {"fields": {"email": EMAIL | more}}


BROKEN = {
    "is no JSON": (b"{", "truncated"),
    "is no text": (b"\xff", "malformed"),
    "says too much": (ACME | {"colour": 1}, "unknown field `colour`"),
    "says too little": ({"name": "acme"}, "missing required field"),
    "has another name": (ACME | {"name": "other"}, "its name must be that of the file"),
    "names an identifier": (ACME | {"fields": {"shoe": EMAIL}}, "there is no identifier shoe. There are: email, "),
    "needs an identifier": (ACME | {"all_or_none": ["shoe"]}, "there is no identifier shoe"),
    "identifies by nothing": (ACME | {"identifying": ["shoe"]}, "there is no identifier shoe"),
    "names a step": (changed(steps=["upper"]), "there is no email: step upper. There are: trim, "),
    "names a check": (changed(checks={"nice": "x"}), "there is no email: check nice"),
    "has a reason": (changed(checks={"email": "it's"}), "email: it's is no code"),
    "names a part": (changed(outputs={"email": "half"}), "there is no email: part half"),
    "has an output": (changed(outputs={"a b": "whole"}), "email: an output cannot be named a b"),
    "takes an output": (changed(outputs={"user_id": "whole"}), "email: an output cannot be named user_id"),
    "takes another field": (changed(outputs={"phone": "whole"}), "email: an output cannot be named phone"),
}


@pytest.mark.parametrize(("content", "why"), BROKEN.values(), ids=BROKEN)
def test_a_file_is_reported_that(content: Any, why: str, install: Install) -> None:
    install({"acme.json": content, "fine.json": ACME | {"name": "fine"}})
    (failure,) = [failure for failure in Registry([]).failures if failure.plugin == "acme"]
    assert failure.reason.startswith("its profile acme cannot be used: ")
    assert why in failure.reason
    assert load_profile("fine")
    with pytest.raises(
        ConfigError, match=r"no identity profile acme\. There are: clear, fine, .* cdp-bridge connectors"
    ):
        load_profile("acme")


def test_the_second_of_a_name_is_reported(install: Install) -> None:
    install({"acme.json": ACME}, package="acme")
    install({"acme.json": ACME | {"version": "2"}, "clear.json": ACME | {"name": "clear"}}, package="later")
    assert load_profile("acme").version == "1"
    assert len(load_profile(CLEAR).fields) == 12
    reasons = [failure.reason for failure in Registry([]).failures if failure.plugin == "later"]
    assert reasons == [f"a profile named {name} exists already; this one is not used" for name in ("acme", "clear")]


def test_profiles_are_looked_for_once_and_not_by_who_needs_none() -> None:
    installed.cache_clear()
    registry = Registry()
    assert installed.cache_info().currsize == 0, "finding connectors costs nothing"
    assert not registry.failures
    load_profile(CLEAR)
    assert installed.cache_info().misses == 1


def test_an_own_way_of_hashing_is_one_of_suppression(install: Install) -> None:
    install({"acme.json": changed(steps=["remove_spaces"])})
    ways = [profile.fields["email"].steps for profile in variants() if "email" in profile.fields]
    assert ways == [("lower",), ("lower", "remove_spaces", "gmail"), ("lower", "plain_local_part"), ("remove_spaces",)]


def test_the_core_names_no_profile_of_a_plugin() -> None:
    names = re.compile(r"[\"'`](meta|google|tiktok)(-[\w-]+)?[\"'`]|destination[_-](meta|google|tiktok)", re.IGNORECASE)
    root = Path(str(cdp_bridge.__file__)).parent
    found = [
        f"{file.relative_to(root)}: {line.strip()}"
        for file in root.rglob("*")
        if file.suffix in (".py", ".json", ".jinja") and file.name != "trust.py"  # which names our distributions
        for line in file.read_text(encoding="utf-8").splitlines()
        if names.search(line) and '"airbyte_cdk", "google"' not in line  # the names of SDKs that must not be imported
    ]
    assert not found
