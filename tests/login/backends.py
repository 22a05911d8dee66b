# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The backend with which a host asks for codes, and what tests have to know about it."""

from __future__ import annotations

import dataclasses

from hosts import Host
from hosts.host import Entry


@dataclasses.dataclass(frozen=True)
class Backend:
    """A backend, its package on Debian, and its credentials."""

    name: str
    package: str
    directory: str
    left_behind: tuple[str, ...]
    """Suffixes of files that an interrupted login may leave behind beside a credential."""
    modes: frozenset[int]
    """The modes of a credential, before and after a login."""


OATH = Backend("oath", "libpam-oath", "/etc/oath", (".lock", ".new"), frozenset({0o600}))
GOOGLE = Backend(
    "google_authenticator",
    "libpam-google-authenticator",
    "/etc/google-authenticator",
    ("~", "~V8lWsh"),
    frozenset({0o600, 0o400}),
)

_of: dict[str, Backend] = {}


def use(host: Host, backend: Backend) -> None:
    """From now on, runs on this host use this backend unless they name another one."""
    _of[host.container] = backend


def backend_of(host: Host) -> Backend:
    """The backend that runs on this host use."""
    return _of.get(host.container, OATH)


def credentials(host: Host) -> dict[str, Entry]:
    """A snapshot of the directory of credentials and all that is in it."""
    return host.snapshot([backend_of(host).directory])
