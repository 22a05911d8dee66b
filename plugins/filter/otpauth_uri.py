# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: otpauth_uri
short_description: Provisioning URI of a TOTP secret
version_added: 1.0.0
description:
  - Turns a secret into the C(otpauth://) URI that authenticator apps take in, in the Key Uri Format.
  - The URI contains the secret. Use the filter only in tasks with C(no_log=true), and keep files made from it private.
author:
  - The fleet.auth contributors (!UNKNOWN)
requirements:
  - pyotp and segno on the controller
options:
  _input:
    description:
      - The secret in base32, 1 to 64 bytes. RFC 4226 section 4 asks for 16 at least; shorter ones are accepted because
        old set-ups have them.
      - Spaces, dashes, lower case and missing padding are accepted, as people type it.
      - Anything else is an error, whose text does not repeat the secret.
    type: string
    required: true
  account:
    description:
      - The account's name in the app, such as V(alice@web1).
      - A colon in it is refused, because the format separates the issuer and the account with one.
    type: string
    required: true
  issuer:
    description:
      - Who runs the hosts, as the app shows it. It becomes the label's prefix and the C(issuer) parameter.
      - Left out or empty, the URI names no issuer. A colon in it is refused.
    type: string
  digits:
    description:
      - The length of a code, 6 to 8 digits. Anything else is refused.
      - The URI names it where it is not 6. Some apps show 6 digits whatever it says.
    type: int
    default: 6
  interval:
    description:
      - How long a code lasts, 5 to 120 seconds. Anything else is refused.
      - The URI names it as C(period) where it is not 30.
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


def otpauth_uri(secret: str, *, account: str, issuer: str | None = None, digits: int = 6, interval: int = 30) -> str:
    """The provisioning URI of a base32 secret."""
    return provisioning_uri(secret, account=account, issuer=issuer, digits=digits, interval=interval)


class FilterModule:
    """The filter, for Ansible to find."""

    def filters(self) -> dict[str, t.Callable[..., str]]:
        return {"otpauth_uri": otpauth_uri}
