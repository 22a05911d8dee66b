# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: twofactor_recover
short_description: Let people who have no code back in
version_added: 1.1.0
author:
  - The fleet.auth contributors (@fleet-auth)
description:
  - With O(user), lets one account log in without a code, and forgets its wrong codes, as C(twofactor-recover --user)
    does at the console. With O(everyone), turns two-factor login off, as M(fleet.auth.twofactor) with
    O(fleet.auth.twofactor#module:enabled=false) does. Secrets are kept.
  - This lasts until the next run that turns two-factor login on. The playbook C(fleet.auth.recover) calls this module.
extends_documentation_fragment:
  - fleet.auth.module.root
options:
  user:
    description: The account. An account that the host does not have is refused, and so is an empty string.
    type: str
  everyone:
    description: Whether to let everyone in. Give either this or O(user), not both.
    type: bool
    default: false
attributes:
  action:
    description: Has a part that runs on the controller.
    support: full
  check_mode:
    description: In check mode, nothing is changed.
    support: partial
    details:
      - With O(user), only the command on the host can tell whether the account exists and is asked for a code, and it
        has no check mode. So a change is announced on each host where two-factor login is set up.
  diff_mode:
    description: Shows what changes in files.
    support: partial
    details: There is nothing to show with O(user).
seealso:
  - module: fleet.auth.twofactor
"""

EXAMPLES = r"""
- name: Let alice in
  fleet.auth.twofactor_recover:
    user: alice

- name: Let everyone in
  fleet.auth.twofactor_recover:
    everyone: true
"""

RETURN = r"""
msg:
  description: Who can log in again on which host, or why nobody can.
  returned: always
  type: str
  sample: "alice needs no code on web1 until the next run of the playbook."
"""
