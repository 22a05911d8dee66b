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

_HOSTS = 12


@pytest.fixture(scope="session")
def fleet(worker_id: str) -> Iterator[list[Host]]:
    """Twelve hosts, on which alice and bob log in."""
    name = hosts.of_this_checkout(f"twelve-{worker_id}")
    releases = {f"web{number:02}": ("debian12", "debian13")[number % 2] for number in range(_HOSTS)}
    *machines, _ntp = hosts.up(name, releases, recreate=True)
    hosts.inventory(machines, inventory_path(name))
    furnish(machines, "alice", "bob", packages=[OATH.package])
    yield machines
    hosts.down(name)


@pytest.fixture
def machines(fleet: list[Host]) -> list[Host]:
    """The twelve hosts, with two-factor login off."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(off, fleet))
    return fleet
