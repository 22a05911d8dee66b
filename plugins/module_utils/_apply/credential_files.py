# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes credential files without conflict with logins, which write them too, each time a code is used."""

from __future__ import annotations

import contextlib
import glob
import os
import time
import typing as t

from .. import _places as places
from .._backends import backends
from . import files
from .actions import ApplyError

_LOCK_SECONDS = 5.0
_OUR_LOCK = f"{places.CREDENTIAL_LOCK_TEXT}\n"


def rewrite(path: str, lock: str, change: t.Callable[[str], str | None]) -> bool:
    """Change a credential file while no login writes it. Returns whether it was changed.

    `change` gets its text and returns the new text, or None to leave the file. It may be called more than once.
    """
    new = files.staged(path, "new")
    with locked(lock):
        try:
            if not prepare(new, path, change):
                return False
            os.rename(new, path)
        except OSError:
            files.unlink(new)
            raise
        files.sync_directory(path)
    return True


def prepare(new: str, path: str, change: t.Callable[[str], str | None]) -> bool:
    """Write to `new` what `change` makes of the credential at `path`. Returns False if `change` returns None.

    Newer releases of pam_google_authenticator heed no lock. So the credential is read again afterwards; if a login has
    written it in the meantime, `change` is called again.
    """
    text = files.read(path)
    while True:
        changed = change(text)
        if changed is None:
            return False
        write(new, changed)
        seen, text = text, files.read(path)
        if text == seen:
            return True


def add(path: str, text: str) -> None:
    """Give a credential to a user who has none. A directory that is there stays as it is, if only root may write to it.

    Turning two-factor login on sets its mode, and notes what it was.
    """
    directory = os.path.dirname(path)
    if not files.is_of_root(directory):
        files.make_directory(directory, 0o700)
    files.replace(path, text, 0o600)


def write(path: str, text: str) -> None:
    """Create the file, which only root may read, and flush it to disk."""
    create(path, text)
    files.sync(path)


def create(path: str, text: str) -> None:
    """Create the file, which only root may read. Call `files.sync` to flush it to disk."""
    files.create(path, text, 0o600, 0, 0)


@contextlib.contextmanager
def locked(lock: str) -> t.Iterator[None]:
    """Hold the lock of a credential: the file that a login also creates while it writes the credential.

    Our locks have a text of their own. Only one run at a time changes a host. So if a run finds a lock with this text,
    a run that was killed has left it, and it is removed.
    """
    ready = files.staged(lock, "new")
    files.write(ready, _OUR_LOCK, 0o600, 0, 0)
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            os.link(ready, lock)
            break
        except FileExistsError as error:
            with contextlib.suppress(FileNotFoundError):
                if _is_ours(lock) or time.time() - os.stat(lock).st_mtime > places.STALE_LOCK_SECONDS:
                    files.unlink(lock)
                    continue
            if time.monotonic() > deadline:
                raise ApplyError(f"{lock} is held by a login that does not end; run again.") from error
            # A login holds its lock for milliseconds, and nothing notifies us when it releases it.
            time.sleep(0.05)
    try:
        yield
    finally:
        files.unlink(lock)
        files.unlink(ready)


def remove_own_locks() -> None:
    """Remove the locks of runs that were killed."""
    for path in [path for pattern in backends.LOCKS for path in glob.glob(pattern)]:
        with contextlib.suppress(FileNotFoundError):
            if _is_ours(path):
                os.unlink(path)


def _is_ours(lock: str) -> bool:
    """Whether a run has taken this lock, and not a login."""
    with open(lock, "rb") as file:
        return file.read(len(_OUR_LOCK) + 1) == _OUR_LOCK.encode()
