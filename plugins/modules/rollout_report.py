# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_report
short_description: Report the progress of a rollout of two-factor login on all hosts of a play
version_added: 1.0.0
author:
  - The fleet.auth contributors (@fleet-auth)
description:
  - With O(outlook), prints what will happen, from the results of M(fleet.auth.twofactor) in check mode. Without it,
    prints a table with one line per host, with the result, the reason, and what people have to do next. Writes the
    report as JSON and as JUnit XML on the controller.
  - The playbook C(fleet.auth.rollout) calls it before the first change and after the last one.
extends_documentation_fragment:
  - fleet.auth.module.report
options:
  plan:
    description:
      - The name of the variable of each host that has the result of M(fleet.auth.twofactor) in check mode.
    type: str
    required: true
  result:
    description:
      - The name of the variable of each host that has the outcome, if the rollout has begun there. The variable has
        C(ok), a boolean. It also has C(enforced), C(asks) and C(let_off) as M(fleet.auth.twofactor) returns them or,
        after a failure, C(msg).
    type: str
    required: true
  data:
    description: The file to which the report is written as JSON. Empty for none.
    type: str
    default: ''
  junit:
    description:
      - The file to which the report is written as JUnit XML, with one test case per host. Hosts that failed or would be
        refused are failures, unreachable hosts are errors, and hosts that have not begun are skipped. Empty for none.
    type: str
    default: ''
  outlook:
    description: Whether the rollout has not begun yet. What will happen is then printed in place of the table.
    type: bool
    default: false
  leave_out:
    description: Whether hosts that are not ready are left out and do not stop the rollout.
    type: bool
    default: false
  sheets:
    description: The directory of the enrolment sheets, for what people have to do next. Empty if none are written.
    type: str
    default: ''
  ssh:
    description: Whether sshd will ask for codes, for what people have to do next.
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

- name: Report what would happen
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
    - The state of each host.
    - V(failed) means that the host could not report what it needs and was not touched, or that its change failed. It
      follows its old policy, or will do so as soon as it has undone the change. If something failed only after its
      change, it follows its new policy, and the table says so.
    - V(unreachable) means that the host could not be asked, and V(refused) that a run would be refused.
    - V(waiting) means that the host needs a change that has not begun, V(proven) that it was changed and a new
      connection got in, and V(right) that it is in the wanted state.
  returned: success
  type: dict
  sample: {web1: proven, web2: waiting}
unready:
  description: The hosts that stop a rollout, because they failed, could not be asked or would be refused.
  returned: success
  type: list
  elements: str
  sample: []
unwell:
  description: For each host that is not in the wanted state, its state in words. The reason is in the report.
  returned: success
  type: dict
  sample:
    web2: web2 was refused and not touched. The report of this run says why.
"""
