# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The invitations that a host has, one file for each account. `now` is in seconds since the epoch."""

from __future__ import annotations

import os
import time

from .. import _places as places
from .._texts import invitation
from .._texts.invitation import Invitation
from .._wanted.bounds import is_account_name


def path_of(user: str) -> str:
    """The path of the invitation of an account, whether it has one or not."""
    return f"{places.INVITATIONS}/{user}"


def read(user: str, now: float) -> Invitation | None:
    """The invitation of an account; None if there is none, or if it has expired."""
    try:
        with open(path_of(user), encoding="utf-8", errors="replace") as file:
            found = invitation.parse(file.read())
    except FileNotFoundError:
        return None
    return found if now < found.until else None


def end_of(one: Invitation) -> str:
    """The time at which it expires, for people and for other programs: ISO 8601, in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(one.until))


def invited() -> list[str]:
    """The names of the files of invitations, expired or not."""
    try:
        return sorted(os.listdir(places.INVITATIONS))
    except FileNotFoundError:
        return []


def open_invitations(now: float) -> dict[str, Invitation]:
    """The invitations that have not expired, by account. Staged files that were left behind are not among them."""
    found = {user: read(user, now) for user in invited() if is_account_name(user)}
    return {user: one for user, one in found.items() if one is not None}
