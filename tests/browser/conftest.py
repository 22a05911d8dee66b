# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Playwright

import hosts
from browser import chromium
from hosts import Host
from login.people import inventory_path


@pytest.fixture(scope="module")
def cockpits(worker_id: str) -> Iterator[dict[str, Host]]:
    """The Cockpit hosts, one per release, by release. Each test module has its own, which no other removes."""
    fleet = hosts.of_this_checkout(f"browser-{worker_id}")
    machines = hosts.up(fleet, {f"web{release[6:8]}": release for release in hosts.WITH_COCKPIT})
    hosts.inventory(machines, inventory_path(fleet))
    yield {machine.release: machine for machine in machines}
    hosts.down(fleet)


@pytest.fixture(scope="module")
def neighbour(cockpits: dict[str, Host], playwright: Playwright) -> Iterator[Browser]:
    """A browser in the network of these hosts."""
    with chromium(playwright, cockpits["ntp"]) as started:
        yield started
