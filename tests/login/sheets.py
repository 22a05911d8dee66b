# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads enrolment sheets, and makes a run fail before it writes them."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pyotp

LATE_FAILURE = "{{ 'web' if __twofactor_done is undefined else 'no:colon' }}"
"""An issuer that becomes invalid only after the host was changed. It stands for a failure such as a full disk."""


def uri(sheet: Path) -> str:
    """The provisioning URI in the link of a sheet."""
    (escaped,) = re.findall(r'href="(otpauth://[^"]+)"', sheet.read_text())
    return html.unescape(escaped)


def totp(sheet: Path) -> pyotp.TOTP:
    """The entry that an app makes from the link."""
    entry = pyotp.parse_uri(uri(sheet))
    assert isinstance(entry, pyotp.TOTP)
    return entry
