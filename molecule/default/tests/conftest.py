# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The people that prepare.yml made, on the hosts that Molecule started."""

from __future__ import annotations

import json
import typing as t

import pytest

import hosts
from hosts.docker import STATE
from login import sheets
from login.people import Person

_FLEET = "molecule"
_KEPT = STATE / _FLEET


@pytest.fixture(scope="module")
def machine(host: t.Any) -> hosts.Host:
    """The host of the current testinfra connection, as a `Host` of the login library."""
    return next(machine for machine in hosts.running(_FLEET) if machine.name == host.backend.host)


@pytest.fixture
def enrolled(machine: hosts.Host) -> t.Callable[[str], Person]:
    """Return a person with the secret of the enrolment sheet. There is one sheet, made when it was first turned on."""

    def person(name: str) -> Person:
        entry = sheets.totp(_KEPT / "enrolment" / f"{name}@{machine.name}.html")
        return Person(name, machine, machine.key, secret=entry.secret)

    return person


@pytest.fixture
def before(machine: hosts.Host) -> dict[str, hosts.host.Entry]:
    """All of /etc but the credentials, as it was when this fixture was first used."""
    kept = _KEPT / f"before-{machine.name}.json"
    if not kept.exists():
        kept.write_text(json.dumps(machine.snapshot()))
    return {path: tuple(entry) for path, entry in json.loads(kept.read_text()).items()}
