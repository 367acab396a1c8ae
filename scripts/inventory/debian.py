"""The licences of Debian's packages in the base image, of those of their files that are in it."""

from __future__ import annotations

LICENCES = {
    **dict.fromkeys(
        ["libpython3.11-minimal", "libpython3.11-stdlib", "python3-minimal", "python3.11-minimal"], "PSF-2.0"
    ),
    **dict.fromkeys(["libssl3", "openssl"], "Apache-2.0"),
    # Whatever is compiled by GCC may use these, whatever its own licence: that is what the exception is for.
    **dict.fromkeys(["libgcc-s1", "libstdc++6"], "GPL-3.0-or-later WITH GCC-exception-3.1"),
    # Shared libraries, as Debian made them: they can be replaced by others.
    **dict.fromkeys(["libc6", "libcrypt1"], "LGPL-2.1-or-later"),
    # The certificates; Debian's scripts beside them are not in the image.
    "ca-certificates": "MPL-2.0",
    "libbz2-1.0": "bzip2-1.0.6",
    "libexpat1": "MIT",
    "libffi8": "MIT",
    "liblzma5": "LicenseRef-public-domain",
    "libncursesw6": "MIT",
    "libsqlite3-0": "LicenseRef-public-domain",
    "libtinfo6": "MIT",
    # Only libuuid of util-linux.
    "libuuid1": "BSD-3-Clause",
    "libzstd1": "BSD-3-Clause",
    "tzdata": "LicenseRef-public-domain",
    "zlib1g": "Zlib",
}
"""As SPDX expressions, read in /usr/share/doc/*/copyright."""
