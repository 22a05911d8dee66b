# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: qr_png
short_description: QR code as a PNG picture
version_added: 1.0.0
description:
  - Draws a text as a QR code in PNG, black on white with a quiet zone of 4 modules.
  - A filter returns text, so the picture is in base64. To write it to a file, use P(ansible.builtin.b64decode#filter)
    with M(ansible.builtin.copy). In a page, write it after C(data:image/png;base64,).
author:
  - The fleet.auth contributors (!UNKNOWN)
extends_documentation_fragment:
  - fleet.auth.qr
requirements:
  - pyotp and segno on the controller
options:
  scale:
    description:
      - How many pixels wide and high a module is, 1 to 40. Anything else is refused.
      - The provisioning URI of a usual account takes about 50 modules, so about 400 pixels at V(8).
    type: int
    default: 8
seealso:
  - plugin: fleet.auth.qr_svg
    plugin_type: filter
  - plugin: fleet.auth.qr_terminal
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Write the QR code of alice as a picture
  ansible.builtin.copy:
    content: "{{ alice_secret | fleet.auth.otpauth_uri(account='alice@web1') | fleet.auth.qr_png | b64decode }}"
    dest: enrolment/alice.png
    mode: "0600"
  delegate_to: localhost
  no_log: true
  diff: false
"""

RETURN = r"""
_value:
  description: The picture in base64, on one line.
  type: string
"""

import typing as t

from ansible_collections.fleet.auth.plugins.plugin_utils._otpauth import qr_as_png


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., str]]:
        return {"qr_png": qr_as_png}
