# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: require
short_description: Fail with a sentence where something does not hold
version_added: 1.1.0
author:
  - The fleet.auth contributors (@fleet-auth)
description:
  - As M(ansible.builtin.assert), but a failure is the sentence alone, and is printed once. The role and the playbooks
    of the collection use it.
  - Mistyped variables are told of first, as by all modules of the collection.
extends_documentation_fragment:
  - fleet.auth.module
options:
  that:
    description: What has to hold, as an expression in double braces.
    type: bool
    required: true
  fail_msg:
    description: What is wrong where it does not, and what to do.
    type: str
    required: true
attributes:
  action:
    description: Runs on the controller.
    support: full
  check_mode:
    description: Does the same in check mode.
    support: full
seealso:
  - module: ansible.builtin.assert
"""

EXAMPLES = r"""
- name: See that somebody is named
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
