# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # For the filters that draw a QR code.
    DOCUMENTATION = r"""
options:
  _input:
    description: The text, 1 to 2953 bytes. A longer one is refused.
    type: string
    required: true
seealso:
  - plugin: fleet.auth.otpauth_uri
    plugin_type: filter
"""
