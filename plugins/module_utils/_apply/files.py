# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes files so that readers see either the old file or the new one, and that a power failure undoes nothing."""

from __future__ import annotations

import contextlib
import os
import typing as t

_FEW = 8
_AT_ONCE = 8


def staged(path: str, what: int | str) -> str:
    """The path at which new content for a file is staged, in the same directory; `what` is the number of a step."""
    directory, _slash, name = path.rpartition("/")
    return f"{directory}/.{name}.fleet-auth-{what}"


def read(path: str) -> str:
    """The text of a file, in which any bytes may be."""
    with open(path, "rb") as file:
        return file.read().decode("utf-8", "surrogateescape")


def write(path: str, text: str, mode: int, uid: int, gid: int) -> None:
    """Create a file that nobody reads yet, and flush it to disk."""
    create(path, text, mode, uid, gid)
    sync(path)


def create(path: str, text: str, mode: int, uid: int, gid: int) -> None:
    """Create a file that nobody reads yet. Call `sync` to flush it to disk."""
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    unlink(path)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode("utf-8", "surrogateescape"))
            file.flush()
            os.fchown(file.fileno(), uid, gid)
            os.fchmod(file.fileno(), mode)
    except OSError as error:
        # So that the message says where there is no space.
        error.filename = path
        raise


def sync(path: str) -> None:
    """Flush the content of a file to disk, or the names in a directory."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        error.filename = path
        raise
    finally:
        os.close(descriptor)


def sync_all(paths: t.Sequence[str]) -> None:
    """Flush the contents of many files to disk, several at a time, so that the disk writes them together."""
    if len(paths) < _FEW:
        for path in paths:
            sync(path)
        return
    # For few files, this import takes longer than the time that it saves.
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_AT_ONCE) as workers:
        for _done in workers.map(sync, paths):
            pass


def replace(path: str, text: str, mode: int) -> None:
    """Replace a file. Readers, and a host that loses power, see either the old file or the new one."""
    temporary = staged(path, "new")
    try:
        write(temporary, text, mode, 0, 0)
        os.rename(temporary, path)
    except OSError:
        unlink(temporary)
        raise
    sync_directory(path)


def make_directory(path: str, mode: int) -> None:
    """Make a directory that root owns, or correct its owner and mode."""
    os.makedirs(path, mode=0o755, exist_ok=True)
    set_rights(path, mode, 0, 0)


def is_of_root(directory: str) -> bool:
    """Whether the directory exists, root owns it, and nobody else may write to it."""
    try:
        status = os.stat(directory)
    except FileNotFoundError:
        return False
    return status.st_uid == 0 and not status.st_mode & 0o022


def set_rights(path: str, mode: int, uid: int, gid: int) -> None:
    """Set the mode and the owner of a directory."""
    os.chown(path, uid, gid)
    os.chmod(path, mode)


def sync_directory(path: str) -> None:
    """Flush the names in the directory of this path to disk."""
    sync(os.path.dirname(path))


@contextlib.contextmanager
def same_time(directory: str) -> t.Iterator[None]:
    """Leave a directory its time of change, which shows whether sshd has read what is in it since then."""
    before = os.stat(directory)
    yield
    os.utime(directory, ns=(before.st_atime_ns, before.st_mtime_ns))


def unlink(path: str) -> None:
    """Remove a file, if it exists."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
