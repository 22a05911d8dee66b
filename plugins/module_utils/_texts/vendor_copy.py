# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A copy of the file of a PAM service that only its vendor has. libpam takes it in place of the vendor's. Pure.

The copy carries our block, and goes with it. Its first line says of what it is a copy, and by which it is known whether
anybody has edited it since: then it stays, without that line.
"""

from __future__ import annotations

import hashlib
import re

from .. import _places as places

_FIRST = re.compile(r"# Copy of \S+ \(([0-9a-f]{16})\), which goes with the block of fleet\.auth below\.\n")


def first_line(service: str, text: str) -> str:
    """The line that a copy of the vendor's file begins with; then follows the file, with our block in it."""
    path = f"{places.VENDOR_PAM_D}/{service}"
    return f"# Copy of {path} ({_digest(text)}), which goes with the block of fleet.auth below.\n"


def is_untouched(text: str) -> bool:
    """Whether this is a copy, without our block, as it was made."""
    first = _FIRST.match(text)
    return first is not None and first[1] == _digest(text[first.end() :])


def without_first_line(text: str) -> str:
    """What is left of a copy that somebody has edited, or of a file that is none, where our block is gone."""
    first = _FIRST.match(text)
    return text[first.end() :] if first else text


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]
