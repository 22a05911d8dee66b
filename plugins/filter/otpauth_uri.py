# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: otpauth_uri
short_description: Provisioning URI of a TOTP secret
version_added: 1.0.0
description:
  - Turns a secret into the C(otpauth://) URI that authenticator apps read, in the Key Uri Format.
  - The URI contains the secret. Use the filter only in tasks with C(no_log=true), and keep files made from it private.
author:
  - The fleet.auth contributors (!UNKNOWN)
requirements:
  - pyotp and segno on the controller
options:
  _input:
    description:
      - The secret in base32, 1 to 64 bytes. RFC 4226 section 4 requires at least 16; shorter ones are accepted because
        old set-ups have them.
      - Spaces, dashes, lower case and missing padding are accepted, because people type secrets in that way.
      - Anything else is an error, whose text does not repeat the secret.
    type: string
    required: true
  account:
    description:
      - The account's name in the app, such as V(alice@web1).
      - A colon in it is refused, because the format uses a colon to separate the issuer from the account.
    type: string
    required: true
  issuer:
    description:
      - The organisation that runs the hosts, as the app shows it. It becomes the label's prefix and the C(issuer)
        parameter.
      - If it is left out or empty, the URI names no issuer. A colon in it is refused.
    type: string
  digits:
    description:
      - The length of a code, 6 to 8 digits. Anything else is refused.
      - The URI names it if it is not 6. Some apps always show 6 digits.
    type: int
    default: 6
  interval:
    description:
      - For how many seconds a code is shown, 5 to 120. Anything else is refused.
      - The URI names it as C(period) if it is not 30.
    type: int
    default: 30
seealso:
  - name: Key Uri Format
    description: What the URI consists of.
    link: https://github.com/google/google-authenticator/wiki/Key-Uri-Format
  - plugin: fleet.auth.qr_terminal
    plugin_type: filter
  - plugin: fleet.auth.qr_svg
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Write the provisioning URI of alice to a private file
  ansible.builtin.copy:
    content: "{{ alice_secret | fleet.auth.otpauth_uri(account='alice@web1', issuer='Example') }}\n"
    dest: enrolment/alice.txt
    mode: "0600"
  delegate_to: localhost
  no_log: true
"""

RETURN = r"""
_value:
  description: The URI.
  type: string
  sample: otpauth://totp/Example:alice%40web1?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Example
"""

import typing as t

from ansible_collections.fleet.auth.plugins.plugin_utils._otpauth import provisioning_uri


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., str]]:
        return {"otpauth_uri": provisioning_uri}
