# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The principals in a Kerberos keytab; MIT's keytab file format, version 0x0502. Bytes in, names out, never a key."""

from __future__ import annotations

import struct

_VERSION = b"\x05\x02"


class KeytabError(ValueError):
    """The bytes are no keytab of the version that Kerberos has written since 2000."""


def principals(data: bytes) -> tuple[str, ...]:
    """The principals that a keytab has keys of, such as HTTP/web1.corp.example@CORP.EXAMPLE, each once.

    Raises KeytabError.
    """
    if not data.startswith(_VERSION):
        raise KeytabError(f"it begins with {data[:2].hex() or 'nothing'}, and not with 0502")
    found: dict[str, None] = {}
    at = len(_VERSION)
    try:
        while at + 4 <= len(data):
            (length,) = struct.unpack_from(">i", data, at)
            at += 4
            if length == 0:
                break
            if length > 0:
                found[_principal(data[at : at + length])] = None
            # The space of a removed entry has a negative length.
            at += abs(length)
    except struct.error as error:
        raise KeytabError("an entry of it is cut short") from error
    return tuple(found)


def _principal(entry: bytes) -> str:
    """The principal of an entry: the number of its parts, its realm, its parts, each with its length before it."""
    (count,) = struct.unpack_from(">H", entry)
    texts, at = [], 2
    for _part in range(count + 1):
        (length,) = struct.unpack_from(">H", entry, at)
        text = entry[at + 2 : at + 2 + length]
        if len(text) < length:
            raise struct.error
        texts.append(text.decode("utf-8", "replace"))
        at += 2 + length
    realm, *parts = texts
    return f"{'/'.join(parts)}@{realm}"
