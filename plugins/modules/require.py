# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: require
short_description: Fail with one sentence if a condition is not met
version_added: 1.1.0
author:
  - The fleet.auth contributors (@fleet-auth)
description:
  - Like M(ansible.builtin.assert), but a failure shows only the sentence, and shows it once. The role and the playbooks
    of the collection use it.
  - Mistyped variables are reported first, as by all modules of the collection.
extends_documentation_fragment:
  - fleet.auth.module
options:
  that:
    description: The condition, as an expression in double braces.
    type: bool
    required: true
  fail_msg:
    description: What is wrong if the condition is not met, and what to do.
    type: str
    required: true
attributes:
  action:
    description: Runs on the controller.
    support: full
  check_mode:
    description: Works the same in check mode.
    support: full
seealso:
  - module: ansible.builtin.assert
"""

EXAMPLES = r"""
- name: Check that an account is named
  fleet.auth.require:
    that: "{{ (user | default('')) | length > 0 }}"
    fail_msg: "Name the account: -e user=NAME."
"""

RETURN = r"""
msg:
  description: What is wrong.
  returned: failure
  type: str
  sample: "Name the account: -e user=NAME."
"""
