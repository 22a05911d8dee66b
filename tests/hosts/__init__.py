# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Debian hosts to test on: containers with systemd, sshd and chrony, reached over real ssh.

They are grouped into fleets. Each fleet has its own network, NTP server and key, so several can be up at once:

    web12, web13, ntp = up("demo", {"web12": "debian12", "web13": "debian13"})
    web12.add_user("alice", password="correct horse")
    inventory([web12, web13], Path("build/demo/inventory.yml"))
    down("demo")

``python -m hosts`` does the same from a shell. It needs only the standard library and a Docker engine.
"""

from __future__ import annotations

from .docker import HostError
from .fleet import boot_anew, down, inventory, of_this_checkout, running, up
from .host import PATIENCE, Host
from .images import DIRECTORY, JOINED, OLDER, RELEASES, WITH_COCKPIT, image

__all__ = [
    "DIRECTORY",
    "JOINED",
    "OLDER",
    "PATIENCE",
    "RELEASES",
    "WITH_COCKPIT",
    "Host",
    "HostError",
    "boot_anew",
    "down",
    "image",
    "inventory",
    "of_this_checkout",
    "running",
    "up",
]
