# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks at the system of the host: its release, and what may keep a login from writing to the directories it needs."""

from __future__ import annotations

import contextlib
import os

from .. import _places as places
from .._backends import backends
from . import systemd
from .command import Run
from .files import read_file
from .state import WRITTEN_AT_LOGIN

# In Fedora the packages have the same names as in EPEL.
_FAMILIES = {"fedora": "rhel"}


def os_release(backend: str) -> tuple[tuple[str, str], str]:
    """The ID and VERSION_ID of os-release(5), and the family that decides the names of the backend's packages."""
    file = read_file(places.OS_RELEASE)
    return parse_os_release(file.content if file else "", backend)


def parse_os_release(text: str, backend: str) -> tuple[tuple[str, str], str]:
    """The ID, the VERSION_ID and the family from the text of that file."""
    lines = (line.partition("=") for line in text.splitlines())
    fields = {name: value.strip("\"'") for name, _equals, value in lines}
    words = [_FAMILIES.get(word, word) for word in (fields.get("ID", ""), *fields.get("ID_LIKE", "").split())]
    family = next((family for family in backends.BACKENDS[backend].PACKAGES if family in words), "debian")
    return (fields.get("ID", ""), fields.get("VERSION_ID", "")), family


def selinux_types() -> dict[str, str] | None:
    """The SELinux types of the directories that a login writes to, by path: the third part of a context, selinux(8)."""
    enforce = read_file(places.SELINUX_ENFORCES)
    if enforce is None or enforce.content != "1":
        return None
    types = {}
    for path in WRITTEN_AT_LOGIN:
        with contextlib.suppress(FileNotFoundError):
            types[path] = os.getxattr(path, "security.selinux").decode("ascii").split(":")[2]
    return types


def read_only_to_polkit(run: Run, backend: str) -> tuple[str, ...]:
    """The directories that a code of this backend needs, and to which polkit may not write; systemd.exec(5).

    From polkit 127 on, a unit of systemd asks for passwords and codes.
    """
    unit = places.POLKIT_UNIT.replace("@", f"@{systemd.INSTANCE}")
    _code, shown, _error = run(("systemctl", "show", "--property=ProtectSystem,ReadWritePaths", "--", unit))
    properties = next(systemd.blocks(shown))
    protected = {"full": "/etc/", "strict": "/"}.get("".join(properties.get("ProtectSystem", ())))
    writable = [f"{word.lstrip('-+').rstrip('/')}/" for word in " ".join(properties.get("ReadWritePaths", ())).split()]
    needed = (backends.BACKENDS[backend].DIRECTORY, places.RUN_DIRECTORY)
    read_only = (path for path in needed if protected and path.startswith(protected))
    return tuple(path for path in read_only if not f"{path}/".startswith(tuple(writable)))
