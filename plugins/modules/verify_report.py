# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: verify_report
short_description: Say what has come of a code on all hosts of a play
version_added: 1.1.0
author:
  - The fleet.auth contributors (@fleet-auth)
description:
  - Says in a few sentences, and not in one for each host, where a code that M(fleet.auth.twofactor_verify) has checked
    was right, where it was not, and which hosts have nothing to check it against.
  - Fails where it was right on no host, since one that has secrets of its own knows no other host's codes.
  - The playbook C(fleet.auth.verify) checks the code and calls it.
extends_documentation_fragment:
  - fleet.auth.module.report
options:
  answer:
    description: The name of the variable in which each host has what M(fleet.auth.twofactor_verify) returned.
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
  # A host that cannot check it must not end the play before the others are told of.
  failed_when: false

- name: Say where it was right
  fleet.auth.verify_report:
    answer: verified
  run_once: true
"""

RETURN = r"""
msg:
  description: What has come of it, a sentence a line.
  returned: always
  type: str
  sample: The code of alice was right on web1. It is used up, and alice is proven.
"""
