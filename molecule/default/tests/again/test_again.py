# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host on which two-factor login was turned on a second time."""
# ruff: noqa: S101

from __future__ import annotations

import typing as t

from login import fresh_step
from login.people import Person


def test_code_of_the_same_secret_gets_in(enrolled: t.Callable[[str], Person]) -> None:
    fresh_step()
    alice = enrolled("alice")
    assert not alice.by_password().ok
    login = alice.by_password(alice.code())
    assert login.ok, login.reason
