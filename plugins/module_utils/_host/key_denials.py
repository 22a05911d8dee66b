# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks in the systemd journal for accounts that sshd has denied because a security key did not ask for its PIN."""

from __future__ import annotations

import re
import time
import typing as t

from .command import Run

_SECONDS = 20
_LINES = 1_000
_IDENTIFIERS = ("sshd", "sshd-session")
_REASON = "rejected: user verification requirement not met"
_JOURNAL = re.compile(
    r"(?P<since>\d+)\.\d+ \S+ [\w-]+(?:\[\d+\])?: (?:error: )?public key \S+ (?P<key>SHA256:[\w+/]+) signature for "
    rf"(?P<name>.+) from \S+ port \d+.* {_REASON}\s*"
)


class Denial(t.NamedTuple):
    """A login that was denied because the key of an account did not ask for its PIN."""

    name: str
    key: str
    """Its fingerprint, such as SHA256:…."""
    day: str
    """The day in UTC, such as 2026-11-28."""


def denials(run: Run, days: int, now: float) -> list[Denial]:
    """The denials in the last `days` days before `now` (in seconds since the epoch), the latest last."""
    _code, out, _error = run(
        [
            *("timeout", str(_SECONDS), "journalctl", "--quiet", "--no-pager", "--output=short-unix"),
            *(f"--since=@{now - days * 86_400:.0f}", f"--lines={_LINES}", f"--grep={_REASON}", "_UID=0"),
            *(f"SYSLOG_IDENTIFIER={name}" for name in _IDENTIFIERS),
        ]
    )
    return list(parse(out))


def parse(out: str) -> t.Iterator[Denial]:
    """The denials in the output of `journalctl --output=short-unix`."""
    for found in filter(None, map(_JOURNAL.fullmatch, out.splitlines())):
        yield Denial(found["name"], found["key"], time.strftime("%Y-%m-%d", time.gmtime(int(found["since"]))))
