#!/usr/bin/python
# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: twofactor_verify
short_description: Check whether a code is right for a user
version_added: 1.0.0
author:
  - The fleet.auth contributors (@fleet-auth)
description:
  - Checks a code as a login would, with the length and the window that are in force on the host. No secret leaves the
    host.
  - A right code is used up, as at a login, and the user is proven from then on.
  - The module fails while two-factor login is off, and for a user without a credential.
extends_documentation_fragment:
  - fleet.auth.module.root
options:
  user:
    description: The account.
    type: str
    required: true
  code:
    description: The code that the user's app shows.
    type: str
    required: true
attributes:
  action:
    description: Has a part that runs on the controller and checks the host's answer.
    support: full
  check_mode:
    description: In check mode, the code is checked but not used up. A right code counts as a change.
    support: full
seealso:
  - module: fleet.auth.twofactor
"""

EXAMPLES = r"""
- name: Check a code of alice
  fleet.auth.twofactor_verify:
    user: alice
    code: "{{ code_typed_at_a_prompt }}"
  register: verified

- name: Show the result
  ansible.builtin.debug:
    msg: "{{ verified.msg }}"
"""

RETURN = r"""
msg:
  description: The result in words. If the code was not right, it says what the code may have been.
  returned: always
  type: str
  sample: The code of alice was right on web1. It is used up, and alice is proven.
valid:
  description: Whether the code was right and had not been used before.
  returned: success
  type: bool
  sample: true
can_be_checked:
  description: Whether the host has something to check a code of the user against. V(false) while two-factor login is
    off there, and if the user has no credential.
  returned: always, unless it failed for another reason
  type: bool
  sample: true
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fleet.auth.plugins.module_utils._runs.main import run
from ansible_collections.fleet.auth.plugins.module_utils._runs.verify import verify


def main() -> None:
    run(
        AnsibleModule(
            argument_spec={
                "user": {"type": "str", "required": True},
                "code": {"type": "str", "required": True, "no_log": True},
            },
            supports_check_mode=True,
        ),
        verify,
    )


if __name__ == "__main__":
    main()
