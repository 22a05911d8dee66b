# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: qr_svg
short_description: QR code as an SVG element
version_added: 1.0.0
description:
  - Draws a text as a QR code in SVG, black on white with a quiet zone of 4 modules.
  - The element refers to nothing outside itself.
  - It has a C(viewBox) and no size of its own. The style of the surrounding page decides how large it is.
author:
  - The fleet.auth contributors (!UNKNOWN)
extends_documentation_fragment:
  - fleet.auth.qr
requirements:
  - pyotp and segno on the controller
options:
  title:
    description: What a screen reader says in place of the picture. It is escaped for XML.
    type: string
    default: QR code
seealso:
  - plugin: fleet.auth.qr_terminal
    plugin_type: filter
  - plugin: fleet.auth.qr_png
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Write a page with the QR code of alice
  ansible.builtin.copy:
    content: |
      <!DOCTYPE html>
      <title>Enrolment of alice</title>
      <div style="width: 10cm">
        {{ alice_secret | fleet.auth.otpauth_uri(account='alice@web1') | fleet.auth.qr_svg(title='QR code for alice') }}
      </div>
    dest: enrolment/alice.html
    mode: "0600"
  delegate_to: localhost
  no_log: true
"""

RETURN = r"""
_value:
  description: The C(svg) element, without an XML declaration.
  type: string
"""

import typing as t

from ansible_collections.fleet.auth.plugins.plugin_utils._otpauth import qr_as_svg


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., str]]:
        return {"qr_svg": qr_as_svg}
