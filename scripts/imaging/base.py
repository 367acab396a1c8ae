"""A base image of Debian's packages, for where no registry can be reached: what distroless/python3-debian12 has too."""

from __future__ import annotations

import compileall
import io
import os
import py_compile
import shutil
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from .layers import digest, kept, pack, run

TAG = "cdp-bridge-debian"
LIBRARIES = ("lib", "lib64", "usr/lib/x86_64-linux-gnu")
_PACKAGES = "python3,ca-certificates,libstdc++6,tzdata"
_KEPT = (
    *LIBRARIES,
    "usr/bin/python3",
    "usr/bin/python3.11",
    "usr/lib/python3",
    "usr/lib/python3.11",
    "usr/lib/ssl",
    "usr/share/ca-certificates",
    "usr/share/zoneinfo",
    "etc/python3.11",
    "etc/ssl",
    "etc/ld.so.conf.d",
)
_DROPPED = (
    "lib/systemd",
    "usr/lib/python3.11/test",
    "usr/lib/x86_64-linux-gnu/perl",
    "usr/lib/x86_64-linux-gnu/perl-base",
    # GNU Readline is under the GPL, Berkeley DB under a licence much like it. No program here imports their modules.
    *(f"usr/lib/python3.11/lib-dynload/{module}.*" for module in ("_dbm", "nis", "readline")),
    *(f"**/{library}.so*" for library in ("libdb-5.3", "libhistory", "libreadline")),
    # Of the module nis.
    *(f"**/{library}.so*" for library in ("libcom_err", "libgssapi_krb5", "libk5crypto", "libkeyutils", "libkrb5*")),
    *("**/libnsl.so.2*", "**/libtirpc.so*", "usr/lib/x86_64-linux-gnu/krb5"),
    # Of dpkg and tar, which are not here.
    *(f"**/{library}.so*" for library in ("libacl", "libmd", "libpcre2-8", "libselinux")),
)
STATUS = "var/lib/dpkg/status.d"
"""The folder where published images without a package manager, too, have one file for each Debian package in them."""


def image() -> str:
    """The name of the image, made if it is not there."""
    tar = kept("base", digest([Path(__file__)]), _make)
    return imported(f"{TAG}:{tar.name}", tar)


def imported(tag: str, tar: Path, *changes: str) -> str:
    """The image of that tar file, with changes in the words of a Dockerfile."""
    try:
        run("docker", "image", "inspect", tag)
    except SystemExit:
        run("docker", "import", *(f"--change={change}" for change in changes), tar, tag)
    return tag


def unpack(packages: str, parts: Sequence[str], dropped: Sequence[str], root: Path) -> None:
    """Those parts of Debian's packages and of what they need, without what is dropped, into a folder.

    With them comes every notice of copyright, and which packages they are of.
    """
    with tempfile.TemporaryDirectory() as place:
        everything, archives = Path(place) / "everything", Path(place) / "archives"
        archives.mkdir()
        keep = f'--extract-hook=cp "$1"/var/cache/apt/archives/*.deb {archives}'
        # Unpacks packages and runs none of their scripts, so there is no shell, no user list and no package database.
        run("mmdebstrap", "--variant=extract", f"--include={packages}", keep, "bookworm", everything)
        for part in parts:
            if (everything / part).is_dir():
                shutil.copytree(everything / part, root / part, symlinks=True)
            elif (everything / part).exists():
                (root / part).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(everything / part, root / part, follow_symlinks=False)
        for path in [path for pattern in dropped for path in root.glob(pattern)]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for archive in sorted(archives.iterdir()):
            _note(archive, root)
        for notice in everything.glob("usr/share/doc/*/copyright"):
            (root / notice.parent.relative_to(everything)).mkdir(parents=True)
            shutil.copy2(notice, root / notice.relative_to(everything))


def _note(archive: Path, root: Path) -> None:
    """Write down a package if a file of it is there."""
    with tarfile.open(fileobj=io.BytesIO(run("dpkg-deb", "--fsys-tarfile", archive))) as files:
        if any(os.path.lexists(root / member.name) for member in files if not member.isdir()):
            (root / STATUS).mkdir(parents=True, exist_ok=True)
            (root / STATUS / archive.name.partition("_")[0]).write_bytes(run("dpkg-deb", "--field", archive))


def _make(path: Path) -> None:
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "root"
        unpack(_PACKAGES, _KEPT, _DROPPED, root)
        _trust(root)
        unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
        library = root / "usr/lib/python3.11"
        compileall.compile_dir(library, quiet=2, stripdir=root, prependdir="/", invalidation_mode=unchecked)
        pack(root, path)


def _trust(root: Path) -> None:
    """The certificates of all authorities in one file, as Debian's own script would have put them."""
    authorities = sorted((root / "usr/share/ca-certificates").rglob("*.crt"))
    text = "".join(one.read_text().strip() + "\n" for one in authorities)
    (root / "etc/ssl/certs/ca-certificates.crt").write_text(text)
