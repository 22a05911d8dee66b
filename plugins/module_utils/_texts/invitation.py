# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Invitations: codes that show that it is the right person who makes a credential. Pure.

A host does not keep the code, only a salted hash of it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import typing as t

TRIES = 5
"""How many wrong codes may be typed for an invitation."""
LONGEST_TYPED = 40
"""How many characters a typed code may have."""
_NEVER = 253402300799.0
"""The last second of the year 9999; later times have no text."""
_BYTES = 10
"""The number of random bytes in a code: 80 bits, which no computer finds by trying."""
_ROUNDS = 10_000
_LOOKALIKES = str.maketrans("018", "OIB", " -")
"""Replaces digits that no code has by the letters that they look like, and removes separators."""


class Invitation(t.NamedTuple):
    """What a host keeps of an invitation."""

    salt: bytes
    digest: bytes
    until: float
    """When it expires, in seconds since the epoch."""
    tries: int = TRIES
    """How many more wrong codes may be typed."""

    def __repr__(self) -> str:
        return f"Invitation(until={self.until!r}, tries={self.tries!r})"

    def fits(self, typed: str) -> bool:
        """Whether this is its code, which may be typed in small letters, and with or without separators."""
        return self.tries > 0 and hmac.compare_digest(self.digest, _digest(self.salt, typed))

    def render(self) -> str:
        """The text of its file."""
        kept = {"salt": self.salt.hex(), "digest": self.digest.hex(), "until": self.until, "tries": self.tries}
        return json.dumps(kept) + "\n"


CLOSED = Invitation(b"", b"", _NEVER, 0)
"""An invitation that no code fits."""


def parse(text: str) -> Invitation:
    """Read an invitation from the text of its file. A damaged one is closed."""
    try:
        kept = json.loads(text)
        salt, digest = bytes.fromhex(kept["salt"]), bytes.fromhex(kept["digest"])
        return Invitation(salt, digest, min(float(kept["until"]), _NEVER), int(kept["tries"]))
    except (ValueError, TypeError, KeyError, OverflowError):
        return CLOSED


def create(code: str, salt: bytes, until: float) -> Invitation:
    """The invitation with this code."""
    return Invitation(salt, _digest(salt, code), until)


def new_code(make_key: t.Callable[[int], bytes]) -> str:
    """A new code: four groups of four letters and digits."""
    text = base64.b32encode(make_key(_BYTES)).decode("ascii")
    return "-".join(text[start : start + 4] for start in range(0, len(text), 4))


def _digest(salt: bytes, typed: str) -> bytes:
    plain = typed.upper().translate(_LOOKALIKES).encode("utf-8", "replace")
    return hashlib.pbkdf2_hmac("sha256", plain, salt, _ROUNDS)
