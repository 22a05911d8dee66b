# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tally of wrong codes that pam_faillock keeps for a user; faillock(8). Bytes in, an answer out."""

from __future__ import annotations

import struct

from .._wanted.settings import Lockout

# source[52], reserved, status, time: the record of Linux-PAM's faillock.h, in the host's byte order.
_RECORD = struct.Struct("=52sHHQ")
_VALID = 0x1


def locked_until(tally: bytes, lockout: Lockout, now: float) -> float | None:
    """When the code step opens again, in seconds since the epoch; None where it is open.

    Like pam_faillock, this counts the failures within `count_seconds` before the latest one.
    """
    whole = len(tally) - len(tally) % _RECORD.size
    times = [time for _source, _reserved, status, time in _RECORD.iter_unpack(tally[:whole]) if status & _VALID]
    if not times:
        return None
    latest = max(times)
    failures = sum(latest - time < lockout.count_seconds for time in times)
    opens = latest + lockout.unlock_seconds
    return opens if failures >= lockout.attempts and opens >= now else None
