# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_report
short_description: Report how far a rollout of two-factor login is on all hosts of a play
version_added: 1.0.0
author:
  - The fleet.auth contributors (@fleet-auth)
description:
  - Prints what is to come, by what M(fleet.auth.twofactor) announced in check mode, or a table, one line a host, of
    what came of it, why, and what people have to do next. Writes it as JSON and as the XML of JUnit on the controller.
  - The playbook C(fleet.auth.rollout) calls it before the first change and after the last one.
extends_documentation_fragment:
  - fleet.auth.module.report
options:
  plan:
    description:
      - The name of the variable in which each host has what M(fleet.auth.twofactor) returned in check mode.
    type: str
    required: true
  result:
    description:
      - The name of the variable in which each host that was begun has what came of it, C(ok), a boolean, and with it
        C(enforced), C(asks) and C(let_off) as M(fleet.auth.twofactor) returns them or, after a failure, C(msg).
    type: str
    required: true
  data:
    description: Where the report is written as JSON. Empty for none.
    type: str
    default: ''
  junit:
    description:
      - Where the report is written as the XML of JUnit, a test case a host. Hosts that failed or would be refused are
        failures, those that were not reached are errors, and those that were not begun are skipped. Empty for none.
    type: str
    default: ''
  outlook:
    description: Whether nothing was begun yet. What is to come is printed then, in place of the table.
    type: bool
    default: false
  leave_out:
    description: Whether hosts that are not ready are left out, and do not end the rollout.
    type: bool
    default: false
  sheets:
    description: The directory of the enrolment sheets, for what is to be done next. Empty where none are written.
    type: str
    default: ''
  ssh:
    description: Whether sshd shall ask for codes, for what is to be done next.
    type: bool
    default: false
seealso:
  - module: fleet.auth.twofactor
"""

EXAMPLES = r"""
- name: Ask every host
  fleet.auth.twofactor:
    ssh: true
  check_mode: true
  register: plan
  ignore_unreachable: true
  failed_when: false

- name: Tell what would happen
  fleet.auth.rollout_report:
    plan: plan
    result: result
    outlook: true
    junit: /srv/ci/rollout.xml
  run_once: true
"""

RETURN = r"""
outcomes:
  description:
    - By host, how far it is. V(failed) could not tell what it needs, and was not touched, or failed when it was
      changed, and follows its old policy, or will as soon as it has put itself back, V(unreachable) could not be asked,
      V(refused) would be refused, V(waiting) has a change to come, V(proven) has been changed and a new connection got
      in, V(right) is as wanted.
  returned: success
  type: dict
  sample: {web1: proven, web2: waiting}
unready:
  description: The hosts that are in the way of a rollout, because they failed, could not be asked or would be refused.
  returned: success
  type: list
  elements: str
  sample: []
unwell:
  description: For each host that is not in the wanted state, how far it is, in words. Why is in the report.
  returned: success
  type: dict
  sample:
    web2: web2 was refused and not touched. The report of this run says why.
"""
