# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes, tries and removes invitations. The caller must hold the lock of the host."""

from __future__ import annotations

import contextlib
import os
import typing as t

from .._host.invitations import invited, path_of, read
from .._texts.invitation import Invitation
from . import credential_files, files


def put(user: str, one: Invitation) -> None:
    """Give an account this invitation, in place of any other. Raises OSError."""
    credential_files.add(path_of(user), one.render())


def try_code(user: str, typed: str, now: float) -> bool:
    """Whether this is the code of an account's invitation. A wrong code takes one of its tries. Raises OSError."""
    found = read(user, now)
    if found is None or found.fits(typed):
        return found is not None
    if found.tries:
        put(user, found._replace(tries=found.tries - 1))
    return False


@contextlib.contextmanager
def used_up(user: str) -> t.Iterator[None]:
    """Use up the invitation of an account, if it has one. If the block fails, it is as good as before. Raises OSError.

    It is moved away first, so that no used invitation is left if this is cut short.
    """
    path, aside = path_of(user), files.staged(path_of(user), "used")
    is_invited = os.path.lexists(path)
    if is_invited:
        os.rename(path, aside)
        files.sync_directory(path)
    try:
        yield
    except Exception:
        # Whatever it was: without the invitation, anybody with the first factor could enrol for the account.
        if is_invited:
            os.rename(aside, path)
        raise
    if is_invited:
        files.unlink(aside)


def remove(user: str) -> None:
    """Remove the invitation of an account, if it has one. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path_of(user))
        files.sync_directory(path_of(user))


def remove_expired(now: float) -> None:
    """Remove the invitations that have expired. Raises OSError."""
    for user in invited():
        if read(user, now) is None:
            remove(user)
