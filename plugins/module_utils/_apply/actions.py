# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What changing a host needs besides its files, and the error of a change that fails."""

from __future__ import annotations

import errno
import os
import typing as t


class ApplyError(RuntimeError):
    """A change failed because of something on the host. The text says what it is, and in which state the host is."""


class Actions(t.NamedTuple):
    """How to run commands, and how to ask sshd for its settings."""

    run: t.Callable[[t.Sequence[str]], tuple[int, str, str]]
    effective: t.Callable[[str, t.Sequence[str]], t.Mapping[str, tuple[str, ...]]]
    """The settings that sshd's files give a login, for an sshd that is started with these words.

    The first argument describes the login for `sshd -T -C`. Raises ApplyError if sshd does not report them.
    """


def describe(error: Exception) -> str:
    """An error as a sentence for a person."""
    if isinstance(error, OSError) and error.errno is not None:
        return f"{error.strerror or error}: {error.filename or 'the disk'}.{_remedy(error)}"
    return str(error)


def _remedy(error: OSError) -> str:
    """What to do about a file that root cannot change; empty if the error has another cause."""
    path = str(error.filename or "/etc")
    directory = os.path.dirname(path) or "/"
    if error.errno == errno.EROFS:
        return f" It is mounted read-only: see 'findmnt -T {directory}', and mount it read-write."
    if error.errno == errno.EPERM:
        return f" An attribute may protect it: see 'lsattr -d {directory} {path}', and remove it with chattr -ia."
    return ""
