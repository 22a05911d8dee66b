# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes codes from a key: HOTP (RFC 4226), which is TOTP (RFC 6238) if the counter is a time step."""

from __future__ import annotations

import hashlib
import hmac
import struct
import typing as t

KEY_BYTES = 20
"""The length of the keys that a host makes: the length of the hash, as RFC 4226, section 4, R6, recommends."""


def hotp(key: bytes, counter: int, digits: int) -> str:
    """The code for a counter (RFC 4226, section 5.3); `digits` is its length, 6 to 8."""
    digest = hmac.new(key, struct.pack(">Q", counter), hashlib.sha1).digest()
    offset = digest[-1] & 0x0F
    number = struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFF_FFFF
    return str(number % 10**digits).zfill(digits)


def step_of(key: bytes, steps: t.Iterable[int], code: str) -> int | None:
    """The first of these steps, or counters, that has this code; None if none has it."""
    return next((step for step in steps if hmac.compare_digest(hotp(key, step, len(code)), code)), None)
