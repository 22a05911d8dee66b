#!/usr/bin/python
# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: time_sync_info
short_description: Return whether the clock is in sync
version_added: 1.0.0
author:
  - The fleet.auth contributors (@fleet-auth)
description:
  - Returns whether the clock of a host is in sync, with which time service and source, and how far off it may be. Codes
    depend on the time, so M(fleet.auth.twofactor) checks the same before it turns two-factor login on.
  - Asks chrony, ntpsec and systemd-timesyncd. If several of them run, the first one in this order decides.
  - If none of them runs, openntpd is recognised, but the clock is then never in sync. openntpd reports how far the
    clock is from each of its servers, but not how far the servers may be from the true time, so the error has no bound.
    It also goes on calling a clock synced that is seconds off.
  - The clock is in sync if the service follows a real source, that source still answers, and the error is within
    O(max_error_seconds). A host that follows its own clock is not in sync, whatever its time service says.
  - A source counts as dead once three of its polls have gone unanswered and 10 seconds have passed. With chrony's
    default polls, that is after 192 to 3072 seconds. With those of systemd-timesyncd, it is after 96 to 6144 seconds.
  - A clock that is not in sync is a result and not a failure.
extends_documentation_fragment:
  - fleet.auth.module
options:
  max_error_seconds:
    description:
      - The largest error in seconds with which the clock counts as in sync, any number above 0. Anything else fails.
      - The error is the bound that NTP gives, |offset| + root delay / 2 + root dispersion. It holds if the source is
        right.
    type: float
    default: 1.0
attributes:
  action:
    description: Has a part that runs on the controller and checks the host's answer.
    support: full
  check_mode:
    description: Changes nothing, in check mode or not.
    support: full
requirements:
  - C(chronyc) for chrony; C(ntpq) for ntpsec; C(busctl) 240 or later for systemd-timesyncd; C(ntpctl) to recognise
    openntpd
seealso:
  - module: fleet.auth.twofactor
  - name: chronyc(1)
    description: What the fields of chrony's tracking report mean.
    link: https://chrony-project.org/doc/4.6/chronyc.html
  - name: systemd-timesyncd.service(8)
    description: The time service of systemd.
    link: https://www.freedesktop.org/software/systemd/man/latest/systemd-timesyncd.service.html
"""

EXAMPLES = r"""
- name: Check the clock
  fleet.auth.time_sync_info:
    max_error_seconds: 0.5
  register: clock

- name: Stop if it is not in sync
  ansible.builtin.assert:
    that: clock.time_sync.in_sync
    fail_msg: "{{ clock.time_sync.reason }}"
"""

RETURN = r"""
time_sync:
  description: The state of the clock.
  returned: success
  type: dict
  contains:
    in_sync:
      description: Whether the clock is in sync.
      type: bool
      sample: true
    service:
      description: >-
        The time service that answered, V(chrony), V(ntpsec), V(systemd-timesyncd) or V(openntpd). V(null) if none did.
      type: str
      sample: chrony
    source:
      description: The server or the reference clock that the service follows. V(null) if there is none.
      type: str
      sample: 192.0.2.10
    error_seconds:
      description: How far off the clock is at most, in seconds. V(null) if that is not known.
      type: float
      sample: 0.000204
    reason:
      description: What the service reported, and why it means that the clock is in sync or is not.
      type: str
      sample: chrony follows 192.0.2.10, and the clock is at most 0.000204 s off
  sample:
    in_sync: true
    service: chrony
    source: 192.0.2.10
    error_seconds: 0.000204
    reason: chrony follows 192.0.2.10, and the clock is at most 0.000204 s off
"""

import math

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fleet.auth.plugins.module_utils._host.clock import sync_status
from ansible_collections.fleet.auth.plugins.module_utils._host.execute import run


def main() -> None:
    module = AnsibleModule(
        argument_spec={"max_error_seconds": {"type": "float", "default": 1.0}},
        supports_check_mode=True,
    )
    bound = module.params["max_error_seconds"]
    if not 0 < bound < math.inf:
        module.fail_json(msg=f"max_error_seconds is {bound}; it must be a number of seconds above 0.")
    module.exit_json(changed=False, time_sync=sync_status(run, bound)._asdict())


if __name__ == "__main__":
    main()
