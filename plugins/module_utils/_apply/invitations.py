# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of invitations, one for each account that has one. Whoever changes one holds the lock of the host."""

from __future__ import annotations

import contextlib
import os

from .. import _places as places
from .._texts import invitation
from .._texts.invitation import Invitation
from . import credential_files, files


def read(user: str, now: float) -> Invitation | None:
    """The invitation of an account; None where there is none, or its time is over. `now` is seconds since the epoch."""
    try:
        with open(_path(user), encoding="utf-8", errors="replace") as file:
            found = invitation.parse(file.read())
    except FileNotFoundError:
        return None
    return found if now < found.until else None


def put(user: str, one: Invitation) -> None:
    """Give an account this invitation, in the place of the one that it has. Raises OSError."""
    credential_files.add(_path(user), one.render())


def use_try(user: str, typed: str, now: float) -> bool:
    """Whether this is the code of an account's invitation; one that is wrong leaves it a try less. Raises OSError."""
    found = read(user, now)
    if found is None or found.fits(typed):
        return found is not None
    if found.tries:
        put(user, found._replace(tries=found.tries - 1))
    return False


def remove(user: str) -> None:
    """Take the invitation of an account away, if it has one. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(_path(user))
        files.sync_directory(_path(user))


def remove_ended(now: float) -> None:
    """Take away those whose time is over. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        for user in os.listdir(places.INVITATIONS):
            if read(user, now) is None:
                remove(user)


def _path(user: str) -> str:
    return f"{places.INVITATIONS}/{user}"
