# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host with two-factor login on."""
# ruff: noqa: S101

from __future__ import annotations

import typing as t

from login import fresh_step
from login.people import Person


def test_password_and_code_get_in(enrolled: t.Callable[[str], Person]) -> None:
    fresh_step()
    alice = enrolled("alice")
    assert not alice.by_password().ok
    login = alice.by_password(alice.code(steps=-1))
    assert login.ok, login.reason


def test_key_and_code_get_in_and_key_alone_does_not(enrolled: t.Callable[[str], Person]) -> None:
    fresh_step()
    bob = enrolled("bob")
    assert not bob.by_key().ok
    assert not bob.by_key(batch=True).ok
    login = bob.by_key(bob.code())
    assert login.ok, login.reason


def test_credentials_are_readable_by_root_only(host: t.Any) -> None:
    assert (host.file("/etc/oath").mode, host.file("/etc/oath").user) == (0o700, "root")
    assert (host.file("/etc/oath/alice").mode, host.file("/etc/oath/alice").user) == (0o600, "root")
