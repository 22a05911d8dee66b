# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What changing a host needs beside its files, and how a change fails."""

from __future__ import annotations

import errno
import os
import typing as t


class ApplyError(RuntimeError):
    """A change failed for a reason that lies on the host. The text says what, and in which state the host is."""


class Actions(t.NamedTuple):
    """How commands are run, and sshd is asked."""

    run: t.Callable[[t.Sequence[str]], tuple[int, str, str]]
    effective: t.Callable[[str, t.Sequence[str]], t.Mapping[str, tuple[str, ...]]]
    """The settings of sshd's files for a login as `sshd -T -C` is told of it, where sshd is started with these words.

    Raises ApplyError where sshd does not tell them.
    """


def describe(error: Exception) -> str:
    """An error in words for a person."""
    if isinstance(error, OSError) and error.errno is not None:
        return f"{error.strerror or error}: {error.filename or 'the disk'}.{_what_holds(error)}"
    return str(error)


def _what_holds(error: OSError) -> str:
    """What to do about a file that root may not change; empty where that is not what is wrong."""
    path = str(error.filename or "/etc")
    directory = os.path.dirname(path) or "/"
    if error.errno == errno.EROFS:
        return f" It is mounted read-only: see 'findmnt -T {directory}', and mount it read-write."
    if error.errno == errno.EPERM:
        return f" chattr may hold it: see 'lsattr -d {directory} {path}', and take that off with chattr -i."
    return ""
