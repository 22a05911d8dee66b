#!/usr/bin/python
# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: twofactor_enrolment_info
short_description: Read the secrets of chosen users for their enrolment
version_added: 1.0.0
author:
  - The fleet.auth contributors (@fleet-auth)
description:
  - Returns the secrets from which codes are computed. No other module returns these. It B(must run with)
    C(no_log=true).
  - The filter P(fleet.auth.otpauth_uri#filter) makes a provisioning URI of each secret.
extends_documentation_fragment:
  - fleet.auth.module.root
options:
  users:
    description: The accounts whose secrets are read. An account without a credential is refused.
    type: list
    elements: str
    required: true
attributes:
  action:
    description: Has a part that runs on the controller and checks the host's answer.
    support: full
  check_mode:
    description: Changes nothing, in check mode or not.
    support: full
seealso:
  - module: fleet.auth.twofactor
  - module: fleet.auth.enrolment_sheets
"""

EXAMPLES = r"""
- name: Read the secret of a new user
  fleet.auth.twofactor_enrolment_info:
    users: [alice]
  no_log: true
  register: enrolment
"""

RETURN = r"""
enrolments:
  description: One entry per device, with the users in the order of O(users), and the user's first device first.
  returned: success
  type: list
  elements: dict
  contains:
    user:
      description: The account.
      type: str
      sample: alice
    device:
      description: The name of a further device; empty for the first one.
      type: str
      sample: ''
    secret:
      description: The secret in base32, without padding.
      type: str
      sample: GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ
    interval:
      description: For how many seconds a code is shown.
      type: int
      sample: 30
    digits:
      description: The length of a code, or V(null) while two-factor login is off.
      type: int
      sample: 6
    recovery_codes:
      description:
        - The recovery codes that have not been used, in their order, each with its C(number), from 1 to 10, and its
          C(code). They are in the entry of the user's first device. There are none while two-factor login is off.
      type: list
      elements: dict
      sample: []
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fleet.auth.plugins.module_utils._runs.enrolments import enrolments
from ansible_collections.fleet.auth.plugins.module_utils._runs.main import run


def main() -> None:
    run(
        AnsibleModule(
            argument_spec={"users": {"type": "list", "elements": "str", "required": True}},
            supports_check_mode=True,
        ),
        enrolments,
    )


if __name__ == "__main__":
    main()
