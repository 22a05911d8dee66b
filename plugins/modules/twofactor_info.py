#!/usr/bin/python
# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: twofactor_info
short_description: Return the state of two-factor login
version_added: 1.0.0
author:
  - The fleet.auth contributors (@fleet-auth)
description:
  - Returns which services ask for the code, who is enrolled, and who would be locked out if sshd asked for the code.
  - Takes the options of M(fleet.auth.twofactor), compares the host with them, and returns what a run would do.
extends_documentation_fragment:
  - fleet.auth.module.root
  - fleet.auth.settings
  - fleet.auth.module.files
  - fleet.auth.module.naming
attributes:
  action:
    description: Has a part that runs on the controller, where bad options are refused before a host is touched.
    support: full
  check_mode:
    description: Changes nothing, in check mode or not.
    support: full
seealso:
  - module: fleet.auth.twofactor
"""

EXAMPLES = r"""
- name: Find out who would be locked out
  fleet.auth.twofactor_info:
    exempt_users: [ansible]
  register: twofactor

- name: Show them
  ansible.builtin.debug:
    var: twofactor.would_be_locked_out
"""

RETURN = r"""
enforced:
  description:
    - Whether each service asks everyone who needs a code for it.
    - It is also false if C(/etc/pam.d/twofactor) is damaged, because nothing is certain then.
  returned: success
  type: dict
  sample: {sshd: true, cockpit: false}
asks:
  description: The services that ask everyone who needs a code for it, except the accounts in RV(let_off).
  returned: success
  type: list
  elements: str
  sample: [sshd, cockpit]
let_off:
  description: The accounts that need a code, but that C(twofactor-recover) has let off.
  returned: success
  type: list
  elements: str
  sample: [alice]
guard:
  description: The mode of the host's guard (see O(guard)), and what it has seen since the last run.
  returned: success
  type: dict
  contains:
    mode:
      description: V(warn) or V(repair), or V(off) if the host has no guard, or one that has failed or been stopped.
      type: str
    alerts:
      description: What was not as a run had left it, oldest first.
      type: list
      elements: dict
      contains:
        since:
          description: When the guard saw it, in UTC.
          type: str
        until:
          description: When the guard saw that this was right again, or V(null) while it is not.
          type: str
        text:
          description: What was wrong.
          type: str
  sample: {mode: warn, alerts: []}
users:
  description: Everyone who is enrolled or will be, as M(fleet.auth.twofactor) returns it.
  returned: success
  type: dict
  sample: {alice: {enrolled: true, proven: true, in_scope: true, locked: false}}
time_sync:
  description: The state of the clock, as M(fleet.auth.time_sync_info) returns it.
  returned: success
  type: dict
  sample: {in_sync: true, service: chrony, source: 192.0.2.10, error_seconds: 0.002, reason: in sync}
exempt:
  description: The accounts that log in with sshd and never need a code.
  returned: success
  type: list
  elements: str
  sample: [ansible]
changes:
  description: What a run would do, in this order.
  returned: success
  type: list
  elements: str
  sample: [write /etc/pam.d/twofactor]
missing_packages:
  description: The packages that a run would install first.
  returned: success
  type: list
  elements: str
  sample: []
doors:
  description: The ways into the host, and whether they ask for a code.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name of the way in, which O(accepted_doors) uses as well.
      type: str
    kind:
      description:
        - V(sshd), another V(daemon), or a V(local) PAM service, for people who are at the machine or logged in to it. A
          PAM service about which nothing else is known is V(local) as well.
      type: str
    reaches:
      description: What it gives access to.
      type: str
    state:
      description: V(covered) if it asks for a code, V(open) if it does not, or V(unknown).
      type: str
    seen:
      description: What shows that it is there, such as a process or a unit.
      type: str
  sample: [{name: vsftpd, kind: daemon, reaches: files, state: open, seen: process 612}]
refusals:
  description: Why a run would be refused. A sentence about many accounts names the first ten.
  returned: success
  type: list
  elements: str
  sample: []
lets_in:
  description: The services that are set up to ask for a code, but let people in without one.
  returned: success
  type: list
  elements: str
  sample: []
denying:
  description: The services that deny everybody who needs a code, even with a right one.
  returned: success
  type: list
  elements: str
  sample: []
refused:
  description: For each sentence of RV(refusals) that leaves accounts out, all accounts that it is about.
  returned: success
  type: list
  elements: dict
  contains:
    message:
      description: The sentence, as it is in RV(refusals).
      type: str
      sample: u1, u2, u3, u4, u5, u6, u7, u8, u9, u10 and 290 more have no credential and would be locked out of sshd on
        web1. Enrol them with users, exempt them with exempt_users, or leave ssh false.
    users:
      description: The accounts.
      type: list
      elements: str
      sample: [u1, u2, u3]
  sample: []
warned:
  description: For each sentence of RV(drift) that leaves accounts out, all accounts that it is about.
  returned: success
  type: list
  elements: dict
  contains:
    message:
      description: The sentence, as it is in RV(drift).
      type: str
      sample: the passes of u1, u2, u3, u4, u5, u6, u7, u8, u9, u10 and 290 more on web1 end with the move to oath. Give
        each another one afterwards, with fleet.auth.pass.
    users:
      description: The accounts.
      type: list
      elements: str
      sample: [u1, u2, u3]
  sample: []
invitations:
  description: The invitations that have not been used yet, by account. Each ends at C(until), in UTC. C(tries) is how
    many wrong codes may still be typed. With none left, the invitation is void.
  returned: success
  type: dict
  sample: {carol: {until: "2026-03-02T08:00:00Z", tries: 5}}
drift:
  description: The warnings of a run, such as about changes to the host that no run made. A sentence about many accounts
    names the first ten.
  returned: success
  type: list
  elements: str
  sample: ["sshd on web1 was not asking for codes: /etc/pam.d/sshd had lost the block."]
pending:
  description: Whether a change waits to be confirmed, or was cut short. The next run undoes it.
  returned: success
  type: bool
  sample: false
would_be_locked_out:
  description: Who can log in today, but no longer could if sshd and O(services) asked for the code now.
  returned: success
  type: list
  elements: dict
  contains:
    user:
      description: The account.
      type: str
      sample: carol
    services:
      description: The services that it would be locked out of.
      type: list
      elements: str
      sample: [sshd]
    message:
      description: Why, and what to do.
      type: str
      sample: carol has no credential and would be locked out of sshd on web1. Enrol carol with users, exempt carol with
        exempt_users, or leave ssh false.
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fleet.auth.plugins.module_utils._runs.info import info
from ansible_collections.fleet.auth.plugins.module_utils._runs.main import run
from ansible_collections.fleet.auth.plugins.module_utils._wanted.handed import FILES
from ansible_collections.fleet.auth.plugins.module_utils._wanted.naming import PREFIX
from ansible_collections.fleet.auth.plugins.module_utils._wanted.options import argument_spec


def main() -> None:
    run(AnsibleModule(argument_spec={**argument_spec(), **FILES, **PREFIX}, supports_check_mode=True), info)


if __name__ == "__main__":
    main()
