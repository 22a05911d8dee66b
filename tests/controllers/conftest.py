# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

import hosts
from hosts import Host
from login.backends import OATH
from login.people import furnish, inventory_path
from login.policy import off

_HOSTS = 20


@pytest.fixture(scope="session")
def twenty(worker_id: str) -> Iterator[list[Host]]:
    """Twenty hosts, on which alice and bob log in."""
    fleet = hosts.of_this_checkout(f"twenty-{worker_id}")
    releases = {f"web{number:02}": ("debian12", "debian13")[number % 2] for number in range(_HOSTS)}
    *machines, _ntp = hosts.up(fleet, releases, recreate=True)
    hosts.inventory(machines, inventory_path(fleet))
    furnish(machines, "alice", "bob", packages=[OATH.package])
    yield machines
    hosts.down(fleet)


@pytest.fixture
def machines(twenty: list[Host]) -> list[Host]:
    """The twenty hosts, with two-factor login off."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(off, twenty))
    return twenty
