# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: verify_report
short_description: Report the result of a code on all hosts of a play
version_added: 1.1.0
author:
  - The fleet.auth contributors (@fleet-auth)
description:
  - Reports in a few sentences, not in one per host, where a code that M(fleet.auth.twofactor_verify) has checked was
    right, where it was not, and which hosts have nothing to check it against.
  - Fails only if the code was right on no host, because a host that has secrets of its own does not accept the codes of
    other hosts.
  - The playbook C(fleet.auth.verify) checks the code and calls it.
extends_documentation_fragment:
  - fleet.auth.module.report
options:
  answer:
    description: The name of the variable of each host that has the result of M(fleet.auth.twofactor_verify).
    type: str
    required: true
seealso:
  - module: fleet.auth.twofactor_verify
"""

EXAMPLES = r"""
- name: Check a code on every host
  fleet.auth.twofactor_verify:
    user: alice
    code: "{{ code_typed_at_a_prompt }}"
  register: verified
  # A host that cannot check the code must not end the play before the other hosts are reported.
  failed_when: false

- name: Report where it was right
  fleet.auth.verify_report:
    answer: verified
  run_once: true
"""

RETURN = r"""
msg:
  description: The result, one sentence per line.
  returned: always
  type: str
  sample: The code of alice was right on web1. It is used up, and alice is proven.
"""
