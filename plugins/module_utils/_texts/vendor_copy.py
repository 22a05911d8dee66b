# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A copy of a PAM service's file that is in the vendor's directory alone. libpam prefers the copy. Pure.

The copy has our block, and is removed with it. Its first line has the path of the original, and a digest that shows
whether anybody has edited the copy since. An edited copy stays, without that line.
"""

from __future__ import annotations

import hashlib
import re

from .. import _places as places

_FIRST = re.compile(r"# Copy of \S+ \(([0-9a-f]{16})\), which goes with the block of fleet\.auth below\.\n")


def first_line(service: str, text: str) -> str:
    """The first line of a copy of the vendor's file; after it comes the file, with our block in it."""
    path = f"{places.VENDOR_PAM_D}/{service}"
    return f"# Copy of {path} ({_digest(text)}), which goes with the block of fleet.auth below.\n"


def is_untouched(text: str) -> bool:
    """Whether this text, from which our block is removed, is a copy as it was made."""
    first = _FIRST.match(text)
    return first is not None and first[1] == _digest(text[first.end() :])


def without_first_line(text: str) -> str:
    """The text of an edited copy without its first line; any other text as it is. Our block is removed already."""
    first = _FIRST.match(text)
    return text[first.end() :] if first else text


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]
