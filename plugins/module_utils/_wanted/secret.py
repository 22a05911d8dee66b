# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets as people and apps type them: base32; RFC 4648, section 6."""

from __future__ import annotations

import base64
import binascii
import re

from .bounds import SECRET_BYTES

_WHY = " (RFC 4226 asks for 128 bits at least)"


def decode_secret(text: str, size: tuple[int, int] = SECRET_BYTES) -> bytes:
    """Decode a base32 secret (RFC 4648) as people type it: spaces, dashes, lower case and missing padding are fine.

    `size` is the smallest and the largest number of bytes; 16 and 32 for a new secret. Raises ValueError for any other
    number of bytes or another text, with a message that does not repeat the secret.
    """
    compact = re.sub(r"[\s-]", "", text).rstrip("=").upper()
    if not re.fullmatch(r"[A-Z2-7]+", compact):
        raise ValueError("is not base32 (letters A to Z and digits 2 to 7)")
    try:
        key = base64.b32decode(compact + "=" * (-len(compact) % 8))
    except binascii.Error:
        key = None
    if key is None:
        raise ValueError("is not base32: characters are missing or too many")
    low, high = size
    if not low <= len(key) <= high:
        raise ValueError(f"holds {len(key)} bytes; it must hold {low} to {high}" + _WHY * (size == SECRET_BYTES))
    return key


def encode_secret(key: bytes) -> str:
    """The base32 text of a key, in upper case and without padding."""
    return base64.b32encode(key).decode("ascii").rstrip("=")
