# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all backends share: how codes are made (RFC 4226, RFC 6238), and what a credential says, whoever keeps it."""

from __future__ import annotations

import hashlib
import hmac
import struct
import typing as t
from dataclasses import dataclass, field

MakeKey = t.Callable[[int], bytes]
"""Makes a key of so many bytes."""

KEY_BYTES = 20
"""How long the keys are that a host makes: as long as the hash of RFC 4226; section 4, R6."""
RECOVERY_CODES = 10
"""How many recovery codes a set has."""
LONG_AGO = 0
"""A step that stands for all whose codes cannot be right any more."""


class CredentialError(ValueError):
    """A credential that its module would not read as it is meant, or cannot hold. The text never has the key."""


LAST_USED = "%Y-%m-%dT%H:%M:%SL"
"""How liboath writes the time beside a used code, for strftime(3)."""


class Clock(t.NamedTuple):
    """A moment, as seconds since the epoch and as local time in the form of `LAST_USED`."""

    seconds: float
    local: str


@dataclass(frozen=True)
class App:
    """What makes codes for a user on one device."""

    name: str
    """That of a further device; empty for the user's first one."""
    key: bytes = field(repr=False)
    interval: int | None
    """For how many seconds a code is shown; None where codes go by a counter."""
    used: tuple[int, ...] = ()
    """The steps whose codes are used, as far as it matters; none where no code was ever right."""


@dataclass(frozen=True)
class Credential:
    """What a user's credential says."""

    apps: tuple[App, ...]
    renewal: str = ""
    """The name of the last renewal of the first device."""
    recovery_set: str = ""
    """The name of the set of recovery codes."""
    recovery_codes_left: int = 0
    pass_until: str | None = None
    """When the time of a pass is over, in UTC (ISO 8601)."""

    @property
    def phone(self) -> App | None:
        """The user's first device."""
        return next((app for app in self.apps if not app.name and app.interval is not None), None)

    @property
    def proven(self) -> bool:
        """Whether a code of a device was right, since its key is what it is."""
        return any(app.used for app in self.apps)


def hotp(key: bytes, counter: int, digits: int) -> str:
    """The code of a counter (RFC 4226, section 5.3), `digits` characters long."""
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
    """The first of these steps that has this code."""
    return next((step for step in steps if hmac.compare_digest(hotp(key, step, len(code)), code)), None)
