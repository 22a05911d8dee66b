# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Security keys (FIDO2) as OpenSSH writes their public half: a line of authorized_keys, sshd(8), and PROTOCOL.u2f."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import typing as t

ED25519, ECDSA = "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"
TYPES = (ED25519, ECDSA)
"""The types of keys that a security key signs with; PROTOCOL.u2f."""
LONGEST = 2000
"""How many characters a line may have; a key and its name need fewer than 300."""
LONGEST_NAME = 100

_TYPE = re.compile(r"[a-z][a-z0-9@.-]{2,63}", re.ASCII)
_CURVE = b"nistp256"


class SecurityKey(t.NamedTuple):
    """The public half of a security key."""

    type: str
    blob: str
    """The key itself in base64, as OpenSSH writes it."""
    name: str = ""
    """The comment after the key."""

    @property
    def words(self) -> str:
        """What identifies it: its type and the key."""
        return f"{self.type} {self.blob}"

    @property
    def label(self) -> str:
        """Its name, or where it has none, its fingerprint."""
        return self.name or self.fingerprint

    @property
    def fingerprint(self) -> str:
        """Its fingerprint, as `ssh-keygen -l` prints it."""
        digest = hashlib.sha256(base64.b64decode(self.blob)).digest()
        return f"SHA256:{base64.b64encode(digest).decode('ascii').rstrip('=')}"


def decode_key(line: str) -> SecurityKey:
    """Read the public half of a security key, as a `.pub` file has it: type, key and name.

    Raises ValueError, with a text that says what is wrong and repeats nothing of the line but its type.
    """
    kind, blob, name = [*line.split(None, 2), "", "", ""][:3]
    name = name.strip()
    if len(line) > LONGEST or not _TYPE.fullmatch(kind):
        raise ValueError(f"is not the public key of a security key, which begins with its type, such as {ED25519}")
    if kind not in TYPES:
        made = "a certificate" if "-cert-" in kind else "no key of a security key"
        raise ValueError(
            f"has the type {kind}, which is {made}; take one of {' or '.join(TYPES)} "
            "(ssh-keygen -t ed25519-sk -O verify-required makes one)"
        )
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise ValueError(f"has a name that is longer than {LONGEST_NAME} characters, or cannot be printed")
    try:
        parts = fields(base64.b64decode(blob, validate=True))
    except (binascii.Error, ValueError):
        parts = []
    # The text is compared with what sshd writes, so the same bytes in another encoding are refused.
    whole = bool(parts) and base64.b64encode(b"".join(map(_field, parts))).decode("ascii") == blob
    if not whole or not _has_fields_of(kind, parts):
        raise ValueError(f"is damaged: what follows {kind} is not a whole key of that type")
    return SecurityKey(kind, blob, name)


def _has_fields_of(kind: str, parts: t.Sequence[bytes]) -> bool:
    """Whether these are the fields of a key of this type; PROTOCOL.u2f, SSH U2F Key formats."""
    if parts[0].decode("ascii", "replace") != kind or not parts[-1]:
        return False
    if kind == ED25519:
        return [len(part) for part in parts[1:-1]] == [32]
    point = parts[2] if len(parts) == 4 else b""
    return len(parts) == 4 and parts[1] == _CURVE and len(point) == 65 and point[0] == 4


def fields(data: bytes, first: int | None = None) -> list[bytes]:
    """Split bytes into strings of RFC 4251, section 5. Raises ValueError where they are not such strings.

    `first` is the number of strings to read, if something else follows them.
    """
    found: list[bytes] = []
    while data and len(found) != first:
        length = int.from_bytes(data[:4], "big")
        if len(data) < 4 + length:
            raise ValueError("cut short")
        found.append(data[4 : 4 + length])
        data = data[4 + length :]
    return found


def _field(value: bytes) -> bytes:
    return len(value).to_bytes(4, "big") + value
