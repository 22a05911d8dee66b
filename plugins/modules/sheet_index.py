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
  - Writes C(index.html), a page with a link to each sheet, to the directory of the sheets on the controller. With
    O(pdf), it also writes C(sheets.pdf), with all sheets, for printing. Both have mode 0600. The index is written only
    if it changes, the PDF each time.
  - Sheets of hosts that are not in the play, and of accounts whose entry says C(state=absent), are left out and named.
  - No host is touched. The playbook C(fleet.auth.sheets) calls it.
extends_documentation_fragment:
  - fleet.auth.module
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
    description: The template of the index, which can use C(sheets) and C(texts).
    type: str
    default: index.html.j2
attributes:
  action:
    description: Runs on the controller.
    support: full
  check_mode:
    description: In check mode, nothing is written.
    support: full
requirements:
  - WeasyPrint 68 or later, and Pango, on the controller, for O(pdf)
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
  description: The index on the controller and, with O(pdf), the PDF. In check mode, they may not exist yet.
  returned: success
  type: list
  elements: str
  sample: [/srv/enrolment/index.html, /srv/enrolment/sheets.pdf]
sheets:
  description: The names of the sheets that are in the index.
  returned: success
  type: list
  elements: str
  sample: [alice@web1.html]
left_out:
  description: The names of pages in the directory that do not belong to a host and an account of the play.
  returned: success
  type: list
  elements: str
  sample: []
"""
