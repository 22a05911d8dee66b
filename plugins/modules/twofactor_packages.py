# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: twofactor_packages
short_description: Install what two-factor login needs
version_added: 1.1.0
author:
  - The fleet.auth contributors (@fleet-auth)
description:
  - Installs packages with M(ansible.builtin.apt), M(ansible.builtin.dnf) or M(ansible.builtin.dnf5), and returns only
    the outcome and nothing else of the host's answer. With such an answer, a compromised host could set variables.
  - If M(ansible.builtin.apt) fails, it is tried once more after an update of the package lists.
  - The role P(fleet.auth.twofactor#role) calls it.
extends_documentation_fragment:
  - fleet.auth.module.root
options:
  name:
    description: The packages, by their names in the distribution.
    type: list
    elements: str
    required: true
  family:
    description: The family of the distribution, as M(fleet.auth.twofactor) returns it.
    type: str
    choices: [debian, rhel]
    required: true
attributes:
  action:
    description: Runs on the controller, and runs Ansible's own modules on the host.
    support: full
  check_mode:
    description: In check mode, nothing is installed.
    support: full
seealso:
  - module: fleet.auth.twofactor
"""

EXAMPLES = r"""
- name: Install the PAM module
  fleet.auth.twofactor_packages:
    name: [libpam-oath]
    family: debian
"""

RETURN = r"""
"""
