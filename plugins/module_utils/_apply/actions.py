# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What changing a host needs beside its files, and how a change fails."""

from __future__ import annotations

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
