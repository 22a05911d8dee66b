#!/usr/bin/python
# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: twofactor
short_description: Turn two-factor login on and off
version_added: 1.0.0
author:
  - The fleet.auth contributors (@fleet-auth)
description:
  - Brings a host to the wanted state of two-factor login by TOTP (RFC 6238), for sshd and other PAM services, in one
    execution.
  - Before anything is touched, a run that would lock somebody out is refused, and the refusal names the accounts. A
    change that fails is undone.
  - The role P(fleet.auth.twofactor#role) installs what is missing and calls this module.
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
    description: In check mode, reports what it would change.
    support: full
  diff_mode:
    description: Shows each file that changes. Credentials are never shown.
    support: full
seealso:
  - module: fleet.auth.twofactor_info
  - module: fleet.auth.time_sync_info
"""

EXAMPLES = r"""
- name: Two-factor login for sshd, for everyone but Ansible's own account
  fleet.auth.twofactor:
    ssh: true
    exempt_users: [ansible]
    users:
      - name: alice
      - name: bob
        secret: "{{ vault_totp_bob }}"

- name: Off again; credentials are kept
  fleet.auth.twofactor:
    enabled: false
"""

RETURN = r"""
refusals:
  description:
    - Why nothing was changed, one sentence per reason. If there is any, the module fails.
    - A sentence about many accounts names the first ten. RV(refused) has all of them.
  returned: always, except for bad options
  type: list
  elements: str
  sample:
    - alice has no credential and would be locked out of sshd on web1. Enrol alice with users, exempt alice with
      exempt_users, or leave ssh false.
refused:
  description: For each sentence of RV(refusals) that leaves accounts out, all accounts that it is about.
  returned: always, except for bad options
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
  description: For each warning that leaves accounts out, all accounts that it is about.
  returned: always, except for bad options
  type: list
  elements: dict
  contains:
    message:
      description: The sentence, as it is in the warning.
      type: str
      sample: the passes of u1, u2, u3, u4, u5, u6, u7, u8, u9, u10 and 290 more on web1 end with the move to oath. Give
        each another one afterwards, with fleet.auth.pass.
    users:
      description: The accounts.
      type: list
      elements: str
      sample: [u1, u2, u3]
  sample: []
missing_packages:
  description: The packages that must be installed first, by their names in this distribution.
  returned: always, except for bad options
  type: list
  elements: str
  sample: [libpam-oath]
changes:
  description: What was done, in this order. In check mode, what would be done.
  returned: success
  type: list
  elements: str
  sample: [write /etc/pam.d/twofactor, write /etc/pam.d/sshd, reload sshd]
os_family:
  description: The family of distributions whose names RV(missing_packages) has, V(debian) or V(rhel).
  returned: success
  type: str
  sample: debian
confirmation:
  description: The value for M(fleet.auth.twofactor_confirm) if a change waits to be confirmed. Otherwise empty.
  returned: success
  type: str
  sample: 5f2b9c0a41d3e877
to_enrol:
  description:
    - The users whose apps have to be set up because of this run. Either their secret, a device or a set of recovery
      codes is new, or the length or the interval of codes has changed.
  returned: success
  type: list
  elements: str
  sample: [alice]
unproven:
  description: The accounts of O(users) whose secret was made on the host, and of which no code was right yet.
  returned: success
  type: list
  elements: str
  sample: [alice]
enforced:
  description:
    - Whether each service asks everyone who needs a code for it, now that the module is done.
    - It is also false if C(/etc/pam.d/twofactor) is damaged, because nothing is certain then.
  returned: always, except for bad options
  type: dict
  sample: {sshd: true, cockpit: true}
asks:
  description: The services that ask everyone who needs a code for it, except the accounts in RV(let_off).
  returned: always, except for bad options
  type: list
  elements: str
  sample: [sshd, cockpit]
let_off:
  description: The accounts that need a code, but that C(twofactor-recover) has let off.
  returned: always, except for bad options
  type: list
  elements: str
  sample: [alice]
guard:
  description: The mode of the host's guard (see O(guard)), and what it has seen since the last run.
  returned: always, except for bad options
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
  description: Everyone who is enrolled or will be.
  returned: success
  type: dict
  contains:
    enrolled:
      description: Whether there is a credential that the backend can read.
      type: bool
      sample: true
    proven:
      description: Whether a code was right at least once.
      type: bool
      sample: false
    in_scope:
      description: Whether the account needs a code.
      type: bool
      sample: true
    recovered:
      description: Whether C(twofactor-recover --user) has let the account off, until the next run.
      type: bool
      sample: false
    locked:
      description: Whether wrong codes have closed the code step for the account.
      type: bool
      sample: false
    devices:
      description: The names of further devices.
      type: list
      elements: str
      sample: [tablet]
    recovery_codes_left:
      description: How many recovery codes have not been used.
      type: int
      sample: 9
    pass_until:
      description: When the pass that M(fleet.auth.twofactor_pass) made ends. V(null) if there is none.
      type: str
      sample: null
    self_made:
      description:
        - When and where the user made the credential alone, such as V(2026-11-28/cockpit), as long as nobody has
          accepted it with M(fleet.auth.twofactor_accept) or vouched for it. Until then it is not proven. Otherwise
          V(null).
      type: str
      sample: null
    security_keys:
      description: The security keys with which sshd lets the account in without a code, by name or fingerprint.
      type: list
      elements: str
      sample: [yubikey-5]
    key_denied:
      description:
        - The day on which sshd last denied a declared security key because it had not asked for its PIN, and the key,
          separated by a C(/). Otherwise V(null). Only M(fleet.auth.twofactor_info) looks this up, as many days back as
          O(seen_days) says.
      type: str
      sample: null
    security_keys_only:
      description: Whether sshd lets the account in with these keys and nothing else.
      type: bool
      sample: false
  sample:
    alice:
      enrolled: true
      proven: false
      in_scope: true
      recovered: false
      locked: false
      devices: [tablet]
      recovery_codes_left: 9
      pass_until: null
      self_made: null
      security_keys: [yubikey-5]
      key_denied: null
      security_keys_only: false
time_sync:
  description: The state of the clock, as M(fleet.auth.time_sync_info) returns it. Not read with O(enabled=false).
  returned: always, except for bad options
  type: dict
  sample: {in_sync: true, service: chrony, source: 192.0.2.10, error_seconds: 0.002, reason: in sync}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fleet.auth.plugins.module_utils._runs.main import run
from ansible_collections.fleet.auth.plugins.module_utils._runs.preview import preview
from ansible_collections.fleet.auth.plugins.module_utils._wanted.handed import FILES
from ansible_collections.fleet.auth.plugins.module_utils._wanted.naming import PREFIX
from ansible_collections.fleet.auth.plugins.module_utils._wanted.options import argument_spec


def main() -> None:
    module = AnsibleModule(argument_spec={**argument_spec(), **FILES, **PREFIX}, supports_check_mode=True)
    if module.check_mode:
        run(module, preview)
        return
    # Imported here, so that only a host that is changed compiles it.
    from ansible_collections.fleet.auth.plugins.module_utils._runs.converge import converge

    run(module, converge)


if __name__ == "__main__":
    main()
