#!/usr/bin/python
# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: twofactor_pass
short_description: Let a user in with one code, once, for some hours
version_added: 1.0.0
author:
  - The fleet.auth contributors (@fleet-auth)
description:
  - Makes a code that the user can type once in place of a code of the app, for users who are without their phone.
    Everything else that the user has stays as it is. A new pass replaces the last one.
  - A timer on the host ends the pass when it was used or its time is over. The timer survives a reboot.
  - Returns a secret, so it B(must run with) C(no_log=true).
extends_documentation_fragment:
  - fleet.auth.module.root
  - fleet.auth.module.files
options:
  user:
    description: The account. An account without a credential is refused.
    type: str
    required: true
  hours:
    description: For how many hours the code is right, V(1) to V(24).
    type: int
    default: 24
attributes:
  action:
    description: Has a part that runs on the controller and gives the host the script that ends a pass.
    support: full
  check_mode:
    description: In check mode, no pass is made.
    support: full
requirements:
  - systemd
seealso:
  - module: fleet.auth.twofactor
"""

EXAMPLES = r"""
- name: Let alice in without her phone, until the evening
  fleet.auth.twofactor_pass:
    user: alice
    hours: 8
  no_log: true
  register: pass_of_alice
"""

RETURN = r"""
code:
  description: The code.
  returned: success, and not in check mode
  type: str
  sample: "755224"
until:
  description: When the pass ends, in UTC.
  returned: success
  type: str
  sample: "2026-11-25T07:00:00Z"
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fleet.auth.plugins.module_utils._runs.give_pass import give_pass
from ansible_collections.fleet.auth.plugins.module_utils._runs.main import run
from ansible_collections.fleet.auth.plugins.module_utils._wanted.handed import FILES


def main() -> None:
    run(
        AnsibleModule(
            argument_spec={
                "user": {"type": "str", "required": True},
                "hours": {"type": "int", "default": 24},
                **FILES,
            },
            supports_check_mode=True,
        ),
        give_pass,
    )


if __name__ == "__main__":
    main()
