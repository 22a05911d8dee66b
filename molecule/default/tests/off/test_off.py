# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host with two-factor login off: as Debian ships it, after check mode, and after it was turned off again."""
# ruff: noqa: S101

from __future__ import annotations

from hosts import Host
from hosts.host import Entry
from login.people import Person


def test_etc_is_as_before(machine: Host, before: dict[str, Entry]) -> None:
    now = {path: entry for path, entry in machine.snapshot().items() if path.split("/")[:3] != ["", "etc", "oath"]}
    assert now == before


def test_password_alone_gets_in(machine: Host) -> None:
    login = Person("alice", machine, machine.key).by_password()
    assert login.ok, login.reason
    assert len(login.prompts) == 1


def test_key_alone_gets_in(machine: Host) -> None:
    login = Person("bob", machine, machine.key).by_key(batch=True)
    assert login.ok, login.reason
