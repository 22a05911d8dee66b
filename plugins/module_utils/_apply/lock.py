# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run at a time on a host, and nobody kept out should it be killed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
import typing as t

from .. import _places as places
from . import credential_files, files
from .actions import ApplyError

WAIT_SECONDS = 60.0
"""For how long a run waits for another one."""


@contextlib.contextmanager
def exclusive(wait: float) -> t.Iterator[float]:
    """Hold the lock of this host; enters with the seconds that took.

    Raises ApplyError where another run does not end within the seconds of `wait`.
    """
    started = time.monotonic()
    while True:
        descriptor = _open(places.LOCK)
        if _is_taken(descriptor) and _is_at(descriptor, places.LOCK):
            break
        holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
        renewed = _strangers_hold(descriptor) and _renew(descriptor)
        os.close(descriptor)
        if not renewed:
            if time.monotonic() - started > wait:
                raise ApplyError(
                    f"another run of fleet.auth (process {holder}) is changing this host, and holds "
                    f"{places.LOCK}. Nothing was changed. Wait for it to end, and run again."
                )
            # flock(2) waits for ever, or not at all.
            time.sleep(0.1)
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode("ascii"))
        with _survivor():
            yield time.monotonic() - started
    finally:
        os.close(descriptor)


def _open(path: str) -> int:
    """Open a file of locks, which nobody but root may, whoever has made it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    os.fchown(descriptor, 0, 0)
    os.fchmod(descriptor, 0o600)
    return descriptor


def _is_taken(descriptor: int) -> bool:
    """Take the lock on an open file, if nobody has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(descriptor: int, path: str) -> bool:
    """Whether an open file still has this name."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _strangers_hold(descriptor: int) -> bool:
    """Whether the lock is held, and by nobody who is root: opened by somebody else while the file had another mode."""
    inode = os.fstat(descriptor).st_ino
    try:
        with open("/proc/locks", encoding="ascii") as file:
            locks = [line.split() for line in file]
    except OSError:
        return False
    # proc_locks(5): number, FLOCK, ADVISORY, READ or WRITE, process, device:inode; those that wait have an arrow.
    holders = [one[4] for one in locks if one[1] == "FLOCK" and one[5].rpartition(":")[2] == str(inode)]
    return bool(holders) and all(map(_is_stranger, holders))


def _is_stranger(process: str) -> bool:
    """Whether a process has no rights of root's. One that is gone, or that cannot be seen, may have had them."""
    try:
        with open(f"/proc/{process}/status", encoding="utf-8", errors="replace") as file:
            (ids,) = (line.split()[1:] for line in file if line.startswith("Uid:"))
    except (OSError, ValueError):
        return False
    return "0" not in ids


def _renew(blocked: int) -> bool:
    """Put another file in place of one whose lock a stranger holds; returns whether that was done.

    Of runs that do so at once, one has the lock of the new file; the others find that the old one is gone.
    """
    path = files.staged(places.LOCK, "new")
    new = _open(path)
    try:
        if not (_is_taken(new) and _is_at(new, path)):
            return False
        if not _is_at(blocked, places.LOCK):
            files.unlink(path)
            return False
        os.rename(path, places.LOCK)
        return True
    finally:
        os.close(new)


@contextlib.contextmanager
def _survivor() -> t.Iterator[None]:
    """Have a second process that removes our locks on credentials should this one be killed.

    While such a lock is there, no code of its user is right. The second process reads from a pipe that only this one
    writes to: a byte says that all is well, the end of the pipe without one that this process has died. By the
    descriptor that it inherits it holds the lock of the host too, so the next run waits until it has ended.
    """
    reader, writer = os.pipe()
    survivor = os.fork()
    if survivor == 0:
        try:
            os.setsid()
            os.close(writer)
            if not os.read(reader, 1):
                credential_files.free()
        finally:
            os._exit(0)
    os.close(reader)
    try:
        yield
    finally:
        with contextlib.suppress(BrokenPipeError):
            os.write(writer, b".")
        os.close(writer)
        os.waitpid(survivor, 0)
