# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Types for reading a time service, and the rule for how long its source may be silent. Pure.

A time service may report a good state for hours after its source has died. So the silence of the source is judged here:
it is considered dead after three of its polls, but never before 10 s. That is 192 s with chrony's shortest default poll
of 64 s, 3072 s with its longest of 1024 s; 96 s and 6144 s with systemd-timesyncd's 32 s and 2048 s. Until then a
drifting clock is caught by the bound on its error, which grows while the source is silent.
"""

from __future__ import annotations

import math
import typing as t

from .command import Run

Mtime = t.Callable[[str], t.Optional[float]]

SILENT_POLLS = 3
# A busy host that polls each second may miss a few, and chronyc waits up to 7 s for its answer.
PATIENCE_SECONDS = 10.0


class SyncStatus(t.NamedTuple):
    """Whether the clock of a host is in sync.

    `service` is the time service that answered, `source` the server or reference clock that it follows.
    `error_seconds` is the upper bound of the clock's error, |offset| + root delay / 2 + root dispersion, provided that
    the source is right (chronyc(1), tracking). Each is None if it is not known.
    `reason` is for a person: what was read, and what it means. It has no full stop at its end.
    """

    in_sync: bool
    service: str | None
    source: str | None
    error_seconds: float | None
    reason: str


class Probe(t.NamedTuple):
    """What is needed to read a time service; see time_sync()."""

    run: Run
    mtime: Mtime
    now: float


class Reading(t.NamedTuple):
    """What a time service that runs says.

    `fault` is why the clock is not in sync, other than too large an error. If it is None, `error_seconds` is a number.
    """

    source: str | None = None
    error_seconds: float | None = None
    fault: str | None = None


class Unreadable(ValueError):
    """The output of a command is not as documented."""


class TimeService(t.Protocol):
    """One time service."""

    name: str

    def read(self, probe: Probe) -> Reading | None:
        """Read the service's state; None if it does not run. Raises Unreadable."""


def silence(service: str, source: str, age: float, poll_seconds: float) -> str | None:
    """What is wrong with a source whose last useful answer is `age` seconds old; None if nothing is."""
    patience = max(SILENT_POLLS * poll_seconds, PATIENCE_SECONDS)
    if age > patience:
        return (
            f"{service} follows {source}, which has sent nothing useful for {age:.0f} s: "
            f"it is asked every {poll_seconds:g} s, and is considered dead after {patience:g} s"
        )
    if age < -PATIENCE_SECONDS:
        return f"{service}'s last answer from {source} is {-age:.0f} s in the future: the clock was set back meanwhile"
    return None


def finite(text: str) -> float:
    """Parse a number of seconds. Raises ValueError, also for NaN and infinity."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return number


def excerpt(text: str) -> str:
    """The beginning of an output, for a message."""
    text = text.strip()
    return repr(text if len(text) <= 80 else text[:80] + "…") if text else "nothing"
