# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lets one run at a time change a host, and removes its locks on credentials if it is killed."""

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
"""The time for which a run waits for another one."""


@contextlib.contextmanager
def exclusive(wait: float) -> t.Iterator[float]:
    """Hold the lock of this host; enters with the seconds that it took to get the lock.

    Raises ApplyError if another run does not end within `wait` seconds.
    """
    started = time.monotonic()
    while True:
        descriptor = _open(places.LOCK)
        if _try_lock(descriptor) and _is_at(descriptor, places.LOCK):
            break
        holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
        renewed = _only_unprivileged_hold(descriptor) and _renew(descriptor)
        os.close(descriptor)
        if not renewed:
            if time.monotonic() - started > wait:
                raise ApplyError(
                    f"another run of fleet.auth (process {holder}) is changing this host, and holds "
                    f"{places.LOCK}. Nothing was changed. Wait for it to end, and run again."
                )
            # flock(2) has no timeout: it waits for ever, or not at all.
            time.sleep(0.1)
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode("ascii"))
        with _watchdog():
            yield time.monotonic() - started
    finally:
        os.close(descriptor)


def _open(path: str) -> int:
    """Open a lock file, and let only root open it from now on, whoever has created it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    os.fchown(descriptor, 0, 0)
    os.fchmod(descriptor, 0o600)
    return descriptor


def _try_lock(descriptor: int) -> bool:
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


def _only_unprivileged_hold(descriptor: int) -> bool:
    """Whether only processes without root's rights hold the lock: they opened the file while it had another mode."""
    inode = os.fstat(descriptor).st_ino
    try:
        with open("/proc/locks", encoding="ascii") as file:
            locks = [line.split() for line in file]
    except OSError:
        return False
    # proc_locks(5): number, FLOCK, ADVISORY, READ or WRITE, process, device:inode. A process that waits has an arrow.
    holders = [one[4] for one in locks if one[1] == "FLOCK" and one[5].rpartition(":")[2] == str(inode)]
    return bool(holders) and all(map(_is_unprivileged, holders))


def _is_unprivileged(process: str) -> bool:
    """Whether a process runs without root's rights. False if it has ended or cannot be seen: it may have had them."""
    try:
        with open(f"/proc/{process}/status", encoding="utf-8", errors="replace") as file:
            (ids,) = (line.split()[1:] for line in file if line.startswith("Uid:"))
    except (OSError, ValueError):
        return False
    return "0" not in ids


def _renew(blocked: int) -> bool:
    """Replace a lock file whose lock a stranger holds. Returns whether that was done.

    If several runs do this at once, one gets the lock of the new file; the others find that the old file is gone.
    """
    path = files.staged(places.LOCK, "new")
    new = _open(path)
    try:
        if not (_try_lock(new) and _is_at(new, path)):
            return False
        if not _is_at(blocked, places.LOCK):
            files.unlink(path)
            return False
        os.rename(path, places.LOCK)
        return True
    finally:
        os.close(new)


@contextlib.contextmanager
def _watchdog() -> t.Iterator[None]:
    """Start a second process, which removes our locks on credentials if this process is killed.

    As long as such a lock exists, all codes of its user are denied. The second process reads from a pipe to which only
    this one writes: a byte means that all is well; the end of the pipe without a byte means that this process has died.
    Through the file descriptor that it inherits, it holds the lock of the host too, so the next run waits for its end.
    """
    reader, writer = os.pipe()
    watchdog = os.fork()
    if watchdog == 0:
        try:
            os.setsid()
            os.close(writer)
            if not os.read(reader, 1):
                credential_files.remove_own_locks()
        finally:
            os._exit(0)
    os.close(reader)
    try:
        yield
    finally:
        with contextlib.suppress(BrokenPipeError):
            os.write(writer, b".")
        os.close(writer)
        os.waitpid(watchdog, 0)
