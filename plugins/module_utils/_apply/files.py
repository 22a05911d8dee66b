# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that readers see whole, as they were or as they are, and that a loss of power does not take back."""

from __future__ import annotations

import contextlib
import os
import typing as t

_FEW = 8
_AT_ONCE = 8


def staged(path: str, what: int | str) -> str:
    """The name under which a content is laid ready on the same file system: that of a step by its number."""
    directory, _slash, name = path.rpartition("/")
    return f"{directory}/.{name}.fleet-auth-{what}"


def write(path: str, content: bytes, mode: int, uid: int, gid: int) -> None:
    """Make a file that nobody reads yet, and have it on the disk."""
    lay(path, content, mode, uid, gid)
    sync(path)


def lay(path: str, content: bytes, mode: int, uid: int, gid: int) -> None:
    """Make a file that nobody reads yet. It is on the disk once it was given to `sync`."""
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    unlink(path)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchown(file.fileno(), uid, gid)
            os.fchmod(file.fileno(), mode)
    except OSError as error:
        # For a person who has to make room.
        error.filename = path
        raise


def sync(path: str) -> None:
    """Have the content of a file on the disk, or the names in a directory."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        error.filename = path
        raise
    finally:
        os.close(descriptor)


def sync_all(paths: t.Sequence[str]) -> None:
    """Have the contents of many files on the disk, several at a time: a disk writes them together then."""
    if len(paths) < _FEW:
        for path in paths:
            sync(path)
        return
    # Its import takes longer than what it saves where there are few.
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_AT_ONCE) as workers:
        for _done in workers.map(sync, paths):
            pass


def replace(path: str, content: bytes, mode: int) -> None:
    """Readers see the old file or the new one, and so does a host that loses its power."""
    temporary = staged(path, "new")
    try:
        write(temporary, content, mode, 0, 0)
        os.rename(temporary, path)
    except OSError:
        unlink(temporary)
        raise
    sync_directory(path)


def make_directory(path: str, mode: int) -> None:
    """Make a directory of root's, or give it its mode."""
    os.makedirs(path, mode=0o755, exist_ok=True)
    set_rights(path, mode, 0, 0)


def set_rights(path: str, mode: int, uid: int, gid: int) -> None:
    """Give a directory a mode and an owner."""
    os.chown(path, uid, gid)
    os.chmod(path, mode)


def sync_directory(path: str) -> None:
    """Have the names in the directory of this path on the disk."""
    sync(os.path.dirname(path))


def unlink(path: str) -> None:
    """Remove a file that may be gone already."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
