# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the fleet of twenty shall be, and what goes wrong on its hosts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from hosts import Host
from login.people import POLICY

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXPJBSWY3DP"
VARIABLES = {f"twofactor_{name}": value for name, value in POLICY.items()}
VARIABLES["twofactor_users"] = [{"name": "alice", "secret": SECRET}, {"name": "bob"}]


@contextlib.contextmanager
def broken_disk(host: Host) -> Iterator[None]:
    """Nothing can be written where the recovery command goes."""
    host.run("mount", "-t", "tmpfs", "-o", "ro", "none", "/usr/local/sbin")
    try:
        yield
    finally:
        host.run("umount", "/usr/local/sbin")
