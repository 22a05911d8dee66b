# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: status_report
short_description: Report the state of two-factor login on all hosts of a play
version_added: 1.0.0
author:
  - The fleet.auth contributors (@fleet-auth)
description:
  - Prints a table, one line a host, of what M(fleet.auth.twofactor_info) returned on each, and writes it as a page and
    as JSON on the controller. Hosts that were not reached are in it as well.
  - The playbook C(fleet.auth.status) asks the hosts and calls it.
extends_documentation_fragment:
  - fleet.auth.module.report
options:
  answer:
    description: The name of the variable in which each host has what M(fleet.auth.twofactor_info) returned.
    type: str
  slices:
    description:
      - Reports that this module has written as JSON (O(data)), each of a part of the fleet. Their lines are put
        together, and no host is asked. One of O(answer) and O(slices) is required.
      - A host of the play of which none of them tells is V(unreachable). Where several tell of a host, the last of
        them is right. Hosts that are not in the play are left out.
      - A file that is missing, or that is no report, is an error that names it.
    type: list
    elements: str
    default: []
  page:
    description: Where the page is written, a single HTML file that can be sorted and searched. Empty for none.
    type: str
    default: ''
  data:
    description: Where the report is written as JSON. Empty for none.
    type: str
    default: ''
  user:
    description:
      - An account. The table then tells of it alone, on which host it is enrolled, proven, locked or let off; the page
        and the data are of the fleet. Refused together with O(slices).
    type: str
    default: ''
  template:
    description: The template of the page, which has the variable C(report), what is written as JSON.
    type: str
    default: status.html.j2
seealso:
  - module: fleet.auth.twofactor_info
"""

EXAMPLES = r"""
- name: Ask every host
  fleet.auth.twofactor_info:
    ssh: true
  register: twofactor
  ignore_unreachable: true

- name: Report what they say
  fleet.auth.status_report:
    answer: twofactor
    page: /srv/www/twofactor.html
  run_once: true

- name: Make one report of those of two slices
  fleet.auth.status_report:
    slices: [/srv/slices/1.json, /srv/slices/2.json]
    page: /srv/www/twofactor.html
  run_once: true
"""

RETURN = r"""
hosts:
  description: How many hosts are in the report.
  returned: success
  type: int
  sample: 3
counts:
  description:
    - How many hosts there are of each state, the worst first. V(unreachable) and V(failed) could not be asked,
      V(pending) have a change that waits to be confirmed, V(refused) would refuse a run, V(drift) are not as the
      variables want them, V(on) ask for codes, V(off) ask for none, as wanted.
  returned: success
  type: dict
  sample: {unreachable: 0, failed: 0, pending: 0, refused: 0, drift: 1, "on": 2, "off": 0}
"""
