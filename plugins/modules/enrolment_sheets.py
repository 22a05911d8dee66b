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
  - Reads the secrets of chosen users on the host by M(fleet.auth.twofactor_enrolment_info), and writes a page for each
    of their devices, C(USER@PLACE.html) or C(USER+DEVICE@PLACE.html), to a directory on the controller.
  - The sheets have mode 0600, and each is replaced at once. A C(sheets.pdf) beside them, which
    M(fleet.auth.sheet_index) made of the sheets as they were, is deleted then.
  - It B(must run with) C(no_log=true), or Ansible shows at C(-vvv) what was read.
  - The role P(fleet.auth.twofactor#role) calls it.
extends_documentation_fragment:
  - fleet.auth.module.root
options:
  users:
    description:
      - The accounts. One without a credential is refused.
      - With an empty list, no host is asked. It is seen that sheets can be made and written, and O(directory) is made,
        which is to be done before there are new secrets.
    type: list
    elements: str
    required: true
  directory:
    description: A directory on the controller that is there already, unless O(users) is empty.
    type: str
    required: true
  place:
    description:
      - What the sheets name as the place to log in to, the host's name in the inventory if left out. Where all hosts of
        a fleet have the same secrets, the name of the fleet.
    type: str
  known:
    description:
      - The users as M(fleet.auth.twofactor) is given them, where the hosts share O(place) and with it the sheets. Then
        only what has a secret there gets a sheet, and a host that has another secret of it fails, so that no host makes
        the sheets of others.
    type: list
    elements: raw
  language:
    description: The language of the sheets, English, German, French or Spanish.
    type: str
    choices: [en, de, es, fr]
    default: en
  template:
    description:
      - The template. One of your own is named by its whole path.
      - It has the variables of the host, C(place), C(texts), which are those of O(language), and C(enrolment), an entry
        of what comes from M(fleet.auth.twofactor_enrolment_info).
    type: str
    default: sheet.html.j2
attributes:
  action:
    description: Has a part that runs on the controller.
    support: full
  check_mode:
    description: In check mode nothing is written.
    support: full
requirements:
  - pyotp and segno on the controller
seealso:
  - module: fleet.auth.twofactor
  - module: fleet.auth.twofactor_enrolment_info
"""

EXAMPLES = r"""
- name: See that sheets can be made
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
  description: Where the sheets are on the controller.
  returned: success
  type: list
  elements: str
  sample: [/srv/enrolment/alice@web1.html]
"""
