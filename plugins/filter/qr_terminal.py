# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: qr_terminal
short_description: QR code to show in a terminal
version_added: 1.0.0
description:
  - Draws a text as a QR code of half blocks, black on white with a quiet zone of 4 modules, so that a phone can scan it
    on both dark and light terminals.
  - The provisioning URI of a usual account takes about 50 columns and 25 lines.
  - Show it with M(ansible.builtin.pause), which needs a terminal, or write it to a file and C(cat) that file.
    M(ansible.builtin.debug) prints the colours as C(\u001b) escapes, so the code cannot be scanned.
author:
  - The fleet.auth contributors (!UNKNOWN)
extends_documentation_fragment:
  - fleet.auth.qr
requirements:
  - pyotp and segno on the controller
seealso:
  - plugin: fleet.auth.qr_svg
    plugin_type: filter
  - plugin: fleet.auth.qr_png
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Let alice scan her QR code
  ansible.builtin.pause:
    prompt: "{{ '\n' ~ (alice_secret | fleet.auth.otpauth_uri(account='alice@web1') | fleet.auth.qr_terminal) ~ '\n' }}"
  no_log: true # hides the arguments and the result, not the prompt
"""

RETURN = r"""
_value:
  description: Lines of half blocks with ANSI colours, without a newline at the end.
  type: string
"""

import typing as t

from ansible_collections.fleet.auth.plugins.plugin_utils._otpauth import qr_for_terminal


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., str]]:
        return {"qr_terminal": qr_for_terminal}
