#!/usr/bin/python
# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: twofactor_invitation
short_description: Invite a user to set up two-factor login alone
version_added: 1.1.0
author:
  - The fleet.auth contributors (@fleet-auth)
description:
  - Makes a code that the user types once, in C(twofactor-enrol) or on the page in Cockpit (see
    O(fleet.auth.twofactor#module:self_service)). The code shows that it is the user who makes the credential, which is
    therefore proven. Without an invitation, anyone who has the password could have made the credential, so it must be
    accepted.
  - While a user is invited, nobody can enrol in place of that user without the code. After five wrong codes, the
    invitation is void. A new invitation replaces the last one.
  - The host keeps only a salted hash of the code, in a file that only root can read.
  - Returns a secret, so it B(must run with) C(no_log=true).
extends_documentation_fragment:
  - fleet.auth.module.root
options:
  user:
    description: The account. An account that has a credential is refused.
    type: str
    required: true
  hours:
    description: For how many hours the invitation is valid, V(1) to V(336).
    type: int
    default: 72
attributes:
  action:
    description: Has a part that runs on the controller and checks the host's answer.
    support: full
  check_mode:
    description: In check mode, nobody is invited.
    support: full
seealso:
  - module: fleet.auth.twofactor
  - module: fleet.auth.twofactor_accept
"""

EXAMPLES = r"""
- name: Invite alice until tomorrow
  fleet.auth.twofactor_invitation:
    user: alice
    hours: 24
  no_log: true
  register: invitation_of_alice
"""

RETURN = r"""
code:
  description: The code, in groups of four. It can be typed in lower case and with spaces as well.
  returned: success, and not in check mode
  type: str
  sample: ABCD-EFGH-IJKL-MNOP
until:
  description: When the invitation ends, in UTC.
  returned: success
  type: str
  sample: "2026-11-25T07:00:00Z"
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fleet.auth.plugins.module_utils._runs.invite import invite
from ansible_collections.fleet.auth.plugins.module_utils._runs.main import run


def main() -> None:
    run(
        AnsibleModule(
            argument_spec={"user": {"type": "str", "required": True}, "hours": {"type": "int", "default": 72}},
            supports_check_mode=True,
        ),
        invite,
    )


if __name__ == "__main__":
    main()
