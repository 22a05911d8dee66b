# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: enrolment_sheets
short_description: Write enrolment sheets on the controller
version_added: 1.0.0
author:
  - The fleet.auth contributors (@fleet-auth)
description:
  - Reads the secrets of chosen users on the host with M(fleet.auth.twofactor_enrolment_info), and writes a page for
    each of their devices, C(USER@PLACE.html) or C(USER+DEVICE@PLACE.html), to a directory on the controller.
  - The sheets have mode 0600, and each is replaced atomically. A C(sheets.pdf) in that directory, which
    M(fleet.auth.sheet_index) made of the earlier sheets, is then deleted.
  - It B(must run with) C(no_log=true). Otherwise Ansible shows the secrets with C(-vvv).
  - The role P(fleet.auth.twofactor#role) calls it.
extends_documentation_fragment:
  - fleet.auth.module.root
options:
  users:
    description:
      - The accounts. An account without a credential is refused.
      - With an empty list, no host is asked. The module then only checks that sheets can be made and written, and makes
        O(directory). Do this before new secrets are made.
    type: list
    elements: str
    required: true
  directory:
    description: A directory on the controller. It must exist already, unless O(users) is empty.
    type: str
    required: true
  place:
    description:
      - The place to log in to, as the sheets name it. The default is the host's name in the inventory. If all hosts of
        a fleet have the same secrets, give the name of the fleet.
    type: str
  known:
    description:
      - The same list of users as for M(fleet.auth.twofactor), if several hosts share O(place) and with it the sheets.
        Only users and devices whose secret is in this list then get a sheet. A host that has another secret for one of
        them fails, so that no host makes the sheets of other hosts.
    type: list
    elements: raw
  language:
    description: The language of the sheets, English, German, French or Spanish.
    type: str
    choices: [en, de, es, fr]
    default: en
  template:
    description:
      - The template. Give a template of your own by its full path.
      - It can use the variables of the host, C(place), C(texts) (in O(language)), and C(enrolment), an entry of what
        M(fleet.auth.twofactor_enrolment_info) returns.
    type: str
    default: sheet.html.j2
attributes:
  action:
    description: Has a part that runs on the controller.
    support: full
  check_mode:
    description: In check mode, nothing is written.
    support: full
requirements:
  - pyotp and segno on the controller
seealso:
  - module: fleet.auth.twofactor
  - module: fleet.auth.twofactor_enrolment_info
"""

EXAMPLES = r"""
- name: Check that sheets can be made
  fleet.auth.enrolment_sheets:
    users: []
    directory: /srv/enrolment

- name: Make the sheet of alice once more
  fleet.auth.enrolment_sheets:
    users: [alice]
    directory: /srv/enrolment
  no_log: true
"""

RETURN = r"""
sheets:
  description: The paths of the sheets on the controller.
  returned: success
  type: list
  elements: str
  sample: [/srv/enrolment/alice@web1.html]
"""
