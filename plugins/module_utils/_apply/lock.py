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
from . import credential_files
from .actions import ApplyError

_WAIT_SECONDS = 10.0


@contextlib.contextmanager
def exclusive() -> t.Iterator[None]:
    """Hold the lock of this host. Raises ApplyError where another run does not end in time."""
    descriptor = os.open(places.LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        deadline = time.monotonic() + _WAIT_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
                    raise ApplyError(
                        f"another run of fleet.auth (process {holder}) is changing this host, and holds "
                        f"{places.LOCK}. Nothing was changed. Wait for it to end, and run again."
                    ) from error
                time.sleep(0.1)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode("ascii"))
        with _survivor():
            yield
    finally:
        os.close(descriptor)


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
