# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: sheet_index
short_description: Make an index and a PDF of enrolment sheets
version_added: 1.1.0
author:
  - The fleet.auth contributors (@fleet-auth)
description:
  - Puts C(index.html), a page with a link to each sheet, beside the sheets in a directory on the controller, and
    C(sheets.pdf), all of them for printing, if that is wanted. Both have mode 0600, and are made anew each time.
  - Sheets of hosts that are not in the play, and of accounts whose entry says C(state=absent), are left out and named.
  - No host is touched. The playbook C(fleet.auth.sheets) does it.
options:
  directory:
    description: The directory of the sheets. A relative path starts where Ansible was started.
    type: str
    required: true
  pdf:
    description: Whether the PDF is made as well.
    type: bool
    default: false
  language:
    description: The language of the index, English, German, French or Spanish.
    type: str
    choices: [en, de, es, fr]
    default: en
  template:
    description: The template of the index, which has C(sheets) and C(texts).
    type: str
    default: index.html.j2
attributes:
  action:
    description: Has a part that runs on the controller.
    support: full
  check_mode:
    description: In check mode nothing is written.
    support: full
requirements:
  - WeasyPrint from 68 on, and Pango, on the controller, for O(pdf)
seealso:
  - module: fleet.auth.enrolment_sheets
"""

EXAMPLES = r"""
- name: Make one PDF of all sheets
  fleet.auth.sheet_index:
    directory: /srv/enrolment
    pdf: true
  run_once: true
"""

RETURN = r"""
files:
  description: What was written on the controller.
  returned: success
  type: list
  elements: str
  sample: [/srv/enrolment/index.html, /srv/enrolment/sheets.pdf]
sheets:
  description: The names of the sheets that are in it.
  returned: success
  type: list
  elements: str
  sample: [alice@web1.html]
left_out:
  description: The names of pages in the directory that are of no host or nobody of the play.
  returned: success
  type: list
  elements: str
  sample: []
"""
