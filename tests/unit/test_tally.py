# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A tally of wrong codes is read as pam_faillock reads it, so that an account reported as locked is locked."""

from __future__ import annotations

import base64
import struct

import pytest

from ansible_collections.fleet.auth.plugins.module_utils._texts.tally import locked_until
from ansible_collections.fleet.auth.plugins.module_utils._wanted.settings import Lockout

LOCKOUT = Lockout(attempts=3, unlock_seconds=600, count_seconds=100)
NOW = 1_795_492_529

# Written by pam_faillock of Debian 12 after five wrong codes. For these, faillock printed the times 03:55:16, :18, :21,
# :24 and :27 of 2026-11-24 (UTC), and RHOST 192.168.176.1.
CAPTURED = base64.b64decode(
    "MTkyLjE2OC4xNzYuMQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAwCkCgVrAAAAADE5Mi4xNjguMTc2LjEA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAMApgoFawAAAAAxOTIuMTY4LjE3Ni4xAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAADAKkKBWsAAAAAMTkyLjE2OC4xNzYuMQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAwCsCgVrAAAAADE5Mi4xNjguMTc2LjEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAMA"
    "rwoFawAAAAA="
)
LAST_CAPTURED = 1_795_492_527


def record(seconds_ago: int, status: int = 0x3, source: bytes = b"192.0.2.1") -> bytes:
    """A record of faillock.h. The status is a sum: 1 for a valid record, 2 for a remote host, 4 for a terminal."""
    return struct.pack("=52sHHQ", source, 0, status, NOW - seconds_ago)


def tally(*seconds_ago: int) -> bytes:
    return b"".join(map(record, seconds_ago))


def test_five_wrong_codes_recorded_by_pam_faillock_lock() -> None:
    assert locked_until(CAPTURED, Lockout(attempts=5), NOW) == LAST_CAPTURED + 900
    assert locked_until(CAPTURED, Lockout(attempts=6), NOW) is None
    assert locked_until(CAPTURED, Lockout(attempts=5, unlock_seconds=1), NOW) is None


@pytest.mark.parametrize("nobody", [b"", b"\0" * 64, record(0)[:63]])
def test_empty_tally_locks_nobody(nobody: bytes) -> None:
    assert locked_until(nobody, Lockout(attempts=1), NOW) is None


def test_number_of_attempts_locks_and_one_less_does_not() -> None:
    assert locked_until(tally(2, 1), LOCKOUT, NOW) is None
    assert locked_until(tally(3, 2, 1), LOCKOUT, NOW) == NOW - 1 + 600


def test_order_of_the_records_does_not_matter() -> None:
    assert locked_until(tally(1, 3, 2), LOCKOUT, NOW) == NOW - 1 + 600


def test_only_records_within_count_seconds_of_the_latest_count() -> None:
    assert locked_until(tally(99, 1, 0), LOCKOUT, NOW) == NOW + 600
    assert locked_until(tally(100, 1, 0), LOCKOUT, NOW) is None
    assert locked_until(tally(399, 301, 300), LOCKOUT, NOW) == NOW + 300


def test_lock_ends_after_unlock_seconds() -> None:
    assert locked_until(tally(602, 601, 600), LOCKOUT, NOW) == NOW
    assert locked_until(tally(603, 602, 601), LOCKOUT, NOW) is None


def test_withdrawn_record_does_not_count() -> None:
    assert locked_until(tally(3, 2) + record(1, status=0x2), LOCKOUT, NOW) is None
    assert locked_until(tally(3, 2, 1) + record(0, status=0x2), LOCKOUT, NOW) == NOW - 1 + 600


def test_truncated_record_is_ignored() -> None:
    assert locked_until(tally(3, 2, 1) + record(0)[:40], LOCKOUT, NOW) == NOW - 1 + 600


@pytest.mark.parametrize("source", [b"", b"tty1", b"x" * 52, b"fe80::1%eth0"])
def test_source_of_a_record_does_not_matter(source: bytes) -> None:
    assert locked_until(record(0, 0x5, source), Lockout(attempts=1, unlock_seconds=60), NOW) == NOW + 60
