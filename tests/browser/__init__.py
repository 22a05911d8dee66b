# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pages as people see them in Debian's Chromium, and QR codes as a phone reads them."""

from __future__ import annotations

from .chromium import chromium, decoded

__all__ = ["chromium", "decoded"]
