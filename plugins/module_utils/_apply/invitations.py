# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes, uses up and removes invitations. Whoever changes one holds the lock of the host."""

from __future__ import annotations

import contextlib
import os

from .._host.invitations import invited, path_of, read
from .._texts.invitation import Invitation
from . import credential_files, files


def put(user: str, one: Invitation) -> None:
    """Give an account this invitation, in place of the one that it has. Raises OSError."""
    credential_files.add(path_of(user), one.render())


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
        os.unlink(path_of(user))
        files.sync_directory(path_of(user))


def remove_ended(now: float) -> None:
    """Take away those whose time is over. Raises OSError."""
    for user in invited():
        if read(user, now) is None:
            remove(user)
