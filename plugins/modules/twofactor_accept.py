#!/usr/bin/python
# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: twofactor_accept
short_description: Accept a credential that its user made alone
version_added: 1.1.0
author:
  - The fleet.auth contributors (@fleet-auth)
description:
  - Anyone who enrols alone without an invitation has shown only the first factor. The credential is therefore not
    proven, and with O(fleet.auth.twofactor#module:require_proof) sshd does not ask for its codes until it is accepted.
  - First ask the user whether they made it. If it was somebody else, change the password and remove the credential,
    with C(state=absent) in O(fleet.auth.twofactor#module:users). A renewal is not enough, because recovery codes and
    further devices would stay valid.
  - Nothing changes for a user whose credential was given or accepted already. A user without a credential is refused.
extends_documentation_fragment:
  - fleet.auth.module.root
options:
  user:
    description: The account.
    type: str
    required: true
attributes:
  action:
    description: Has a part that runs on the controller and checks the host's answer.
    support: full
  check_mode:
    description: In check mode, nothing is accepted.
    support: full
seealso:
  - module: fleet.auth.twofactor
  - module: fleet.auth.twofactor_verify
"""

EXAMPLES = r"""
- name: Accept the credential of alice, who has said that she made it
  fleet.auth.twofactor_accept:
    user: alice
"""

RETURN = r"""
self_made:
  description: When and where the user made the accepted credential, or V(null) if there was nothing to accept.
  returned: success
  type: str
  sample: 2026-11-28/cockpit
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fleet.auth.plugins.module_utils._runs.accept import accept
from ansible_collections.fleet.auth.plugins.module_utils._runs.main import run


def main() -> None:
    run(AnsibleModule(argument_spec={"user": {"type": "str", "required": True}}, supports_check_mode=True), accept)


if __name__ == "__main__":
    main()
