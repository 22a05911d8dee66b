#!/usr/bin/python
# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: twofactor_info
short_description: Tell the state of two-factor login
version_added: 1.0.0
author:
  - The fleet.auth contributors (@fleet-auth)
description:
  - Tells which services ask for the code, who is enrolled, and who would be locked out if sshd asked for it.
  - Takes the options of M(fleet.auth.twofactor), compares the host with them, and tells what a run would do.
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
- name: Who would be locked out
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
    - Whether each service asks for the code, and asks everyone who needs one.
    - It is false as well where C(/etc/pam.d/twofactor) is damaged, so that nobody can be sure.
  returned: success
  type: dict
  sample: {sshd: true, cockpit: false}
asks:
  description: The services that ask for the code, and ask everyone who needs one but those in RV(let_off).
  returned: success
  type: list
  elements: str
  sample: [sshd, cockpit]
let_off:
  description: Whom C(twofactor-recover) has let off who would have to give a code.
  returned: success
  type: list
  elements: str
  sample: [alice]
guard:
  description: The guard of the host, as O(guard) has it, and what it has seen since the last run.
  returned: success
  type: dict
  contains:
    mode:
      description: V(warn) or V(repair); V(off) where there is none.
      type: str
    alerts:
      description: What was not as a run had left it, the oldest first.
      type: list
      elements: dict
      contains:
        since:
          description: When the guard saw it, in UTC.
          type: str
        until:
          description: When it saw that it was right again; null while it is not.
          type: str
        text:
          description: What was wrong.
          type: str
  sample: {mode: warn, alerts: []}
users:
  description: Everyone who is enrolled or shall be, as M(fleet.auth.twofactor) returns it.
  returned: success
  type: dict
  sample: {alice: {enrolled: true, proven: true, in_scope: true, locked: false}}
time_sync:
  description: The state of the clock, as M(fleet.auth.time_sync_info) returns it.
  returned: success
  type: dict
  sample: {in_sync: true, service: chrony, source: 192.0.2.10, error_seconds: 0.002, reason: in sync}
exempt:
  description: The accounts that log in to sshd and never need a code.
  returned: success
  type: list
  elements: str
  sample: [ansible]
changes:
  description: What a run would do, in its order.
  returned: success
  type: list
  elements: str
  sample: [write /etc/pam.d/twofactor]
missing_packages:
  description: What a run would install first.
  returned: success
  type: list
  elements: str
  sample: []
doors:
  description: The ways into the host, and at which of them a code is asked for.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: What it is called, also in O(accepted_doors).
      type: str
    kind:
      description:
        - V(sshd), another V(daemon), or a V(local) PAM service, for those who are at the machine or on it. A PAM
          service of which nothing else is known is V(local) as well.
      type: str
    reaches:
      description: What somebody gets to by it.
      type: str
    state:
      description: V(covered) where a code is asked for, V(open) where none is, or V(unknown).
      type: str
    seen:
      description: What shows that it is there, such as a process or a unit.
      type: str
  sample: [{name: vsftpd, kind: daemon, reaches: files, state: open, seen: process 612}]
refusals:
  description: Why a run would be refused. A sentence that is about many accounts names the first ten.
  returned: success
  type: list
  elements: str
  sample: []
lets_in:
  description: The services that are set up to ask for a code, and let people in without one.
  returned: success
  type: list
  elements: str
  sample: []
denying:
  description: The services that deny everybody who needs a code, whatever they type.
  returned: success
  type: list
  elements: str
  sample: []
refused:
  description: All accounts that a sentence of RV(refusals) is about, for each sentence that leaves some out.
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
  description: All accounts that a sentence of RV(drift) is about, for each sentence that leaves some out.
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
  description: The invitations that were not used yet, by account. The time of each is over at C(until), in UTC. As many
    wrong ones as C(tries) says may be typed yet; with none left, it is void.
  returned: success
  type: dict
  sample: {carol: {until: "2026-03-02T08:00:00Z", tries: 5}}
drift:
  description: What the host did not do, or has too much, though nobody asked for that. A sentence that is about many
    accounts names the first ten.
  returned: success
  type: list
  elements: str
  sample: ["sshd on web1 was not asking for codes: /etc/pam.d/sshd had lost the block."]
pending:
  description: Whether a change waits to be confirmed, or died half-way. The next run puts it back.
  returned: success
  type: bool
  sample: false
would_be_locked_out:
  description: Who can log in today, and could not any more if sshd and O(services) asked for the code now.
  returned: success
  type: list
  elements: dict
  contains:
    user:
      description: The account.
      type: str
      sample: carol
    services:
      description: What it would be locked out of.
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
