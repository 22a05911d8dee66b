#!/usr/bin/python
# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: twofactor_confirm
short_description: Confirm a change of two-factor login over a new connection
version_added: 1.0.0
author:
  - The fleet.auth contributors (@fleet-auth)
description:
  - Stops the timer that would undo the change that M(fleet.auth.twofactor) made with
    O(fleet.auth.twofactor#module:rollback_after), so that the change stays.
  - The proof that a login still works is that this module could run. It therefore refuses an ssh connection that is
    older than the change. Use C(meta=reset_connection) before it.
extends_documentation_fragment:
  - fleet.auth.module.root
options:
  confirmation:
    description: The value that M(fleet.auth.twofactor) returned as RV(fleet.auth.twofactor#module:confirmation).
    type: str
    required: true
attributes:
  action:
    description: Has a part that runs on the controller and checks the host's answer.
    support: full
  check_mode:
    description: In check mode, the change is not confirmed, but the module fails if it could not be.
    support: full
seealso:
  - module: fleet.auth.twofactor
"""

EXAMPLES = r"""
- name: Change two-factor login, and undo that after two minutes unless a new connection works
  fleet.auth.twofactor:
    ssh: true
    exempt_users: [ansible]
    rollback_after: 120
  register: twofactor

- name: End the connection
  ansible.builtin.meta: reset_connection

- name: Confirm over a new one
  fleet.auth.twofactor_confirm:
    confirmation: "{{ twofactor.confirmation }}"
"""

RETURN = r"""
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fleet.auth.plugins.module_utils._runs.confirm import confirm
from ansible_collections.fleet.auth.plugins.module_utils._runs.main import run


def main() -> None:
    run(
        AnsibleModule(
            # It names a change, and opens nothing.
            argument_spec={"confirmation": {"type": "str", "required": True, "no_log": False}},
            supports_check_mode=True,
        ),
        confirm,
    )


if __name__ == "__main__":
    main()
