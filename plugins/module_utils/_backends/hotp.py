# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a code is made of a key: HOTP (RFC 4226), which is TOTP (RFC 6238) where the counter is a step of time."""

from __future__ import annotations

import hashlib
import hmac
import struct
import typing as t

KEY_BYTES = 20
"""The length of the keys that a host makes: that of the hash, as RFC 4226, section 4, R6, advises."""


def hotp(key: bytes, counter: int, digits: int) -> str:
    """The code of a counter (RFC 4226, section 5.3), `digits` characters long, 6 to 8."""
    digest = hmac.new(key, struct.pack(">Q", counter), hashlib.sha1).digest()
    offset = digest[-1] & 0x0F
    number = struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFF_FFFF
    return str(number % 10**digits).zfill(digits)


HOTP_IN_SHELL = r"""
# hotp KEY COUNTER: the code of six digits (RFC 4226); KEY is in hexadecimal, and on no command line
hotp() {
    inner=$(sha1 "$(padded "$1" 54)$(printf '%016x' "$2")")
    digest=$(sha1 "$(padded "$1" 92)$inner")
    at=$((0x${digest#"${digest%?}"} * 2))
    while [ "$at" -gt 0 ]; do
        digest=${digest#?} at=$((at - 1))
    done
    printf '%06d' "$(((0x${digest%"${digest#????????}"} & 0x7fffffff) % 1000000))"
}

# padded KEY BYTE: a block of HMAC (RFC 2104)
padded() {
    rest=$1 number=0
    while [ "$number" -lt 64 ]; do
        printf '%02x' "$((0x0${rest%"${rest#??}"} ^ $2))"
        rest=${rest#??} number=$((number + 1))
    done
}

# sha1 BYTES: of bytes in hexadecimal
sha1() {
    rest=$1 escapes=
    while [ -n "$rest" ]; do
        escapes="$escapes\\0$(printf '%03o' "0x${rest%"${rest#??}"}")"
        rest=${rest#??}
    done
    printf '%b' "$escapes" | sha1sum | cut -c1-40
}
"""
"""The same for scripts that have nothing but a shell."""


def step_of(key: bytes, steps: t.Iterable[int], code: str) -> int | None:
    """The first of these steps, or counters, that has this code; None where none has."""
    return next((step for step in steps if hmac.compare_digest(hotp(key, step, len(code)), code)), None)
