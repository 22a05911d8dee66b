# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: totp_code
short_description: Current code of a TOTP secret
version_added: 1.0.0
description:
  - Computes the time-based one-time password of RFC 6238, with SHA-1, as an authenticator app does.
  - A code is a secret for as long as it is valid. Use the filter in tasks with C(no_log=true).
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
  digits:
    description: The length of the code, 6 to 8 digits. Anything else is refused.
    type: int
    default: 6
  interval:
    description: For how many seconds a code is shown, 5 to 120. Anything else is refused.
    type: int
    default: 30
  at:
    description:
      - The Unix time in whole seconds for which the code is computed, 0 or later. Anything else is refused.
      - The default is the current time of the controller.
    type: int
seealso:
  - module: fleet.auth.twofactor_verify
"""

EXAMPLES = r"""
- name: Prove that the code of alice is right
  fleet.auth.twofactor_verify:
    user: alice
    code: "{{ alice_secret | fleet.auth.totp_code }}"
  no_log: true

- name: Compute the code of one minute ago, with 8 digits
  ansible.builtin.set_fact:
    stale_code: "{{ alice_secret | fleet.auth.totp_code(digits=8, at=now().timestamp() | int - 60) }}"
  no_log: true
"""

RETURN = r"""
_value:
  description: The code, with its leading zeros.
  type: string
  sample: "081804"
"""

import typing as t

from ansible_collections.fleet.auth.plugins.plugin_utils._otpauth import code_at


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., str]]:
        return {"totp_code": code_at}
