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
  - Prints a table with one line per host, from what M(fleet.auth.twofactor_info) returned on each, and writes it as a
    page and as JSON on the controller. Hosts that were not reached are in the table as well.
  - The playbook C(fleet.auth.status) asks the hosts and calls it.
extends_documentation_fragment:
  - fleet.auth.module.report
options:
  answer:
    description: The name of the variable of each host that has the result of M(fleet.auth.twofactor_info).
    type: str
  slices:
    description:
      - Reports on parts of the fleet that this module has written as JSON (O(data)). Their lines are put together, and
        no host is asked. One of O(answer) and O(slices) is required.
      - A host of the play that is in none of the reports is V(unreachable). If a host is in several, the last one is
        used. Hosts that are not in the play are left out.
      - A file that is missing or is not a report is an error that names the file.
    type: list
    elements: str
    default: []
  page:
    description: The file to which the page is written, as HTML that can be sorted and searched. Empty for none.
    type: str
    default: ''
  data:
    description: The file to which the report is written as JSON. Empty for none.
    type: str
    default: ''
  user:
    description:
      - An account. The table then shows only this account, and on which hosts it is enrolled, proven, locked or let
        off. The page and the data still cover the fleet. Refused together with O(slices).
    type: str
    default: ''
  template:
    description: The template of the page, which has the variable C(report), the same data as in the JSON file.
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

- name: Make one report from those of two slices
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
    - How many hosts are in each state, worst first. V(unreachable) and V(failed) hosts could not be asked, V(pending)
      hosts have a change that waits to be confirmed or was interrupted, V(open) hosts are set up to ask for codes but
      let people in without one, V(shut) hosts deny everybody who needs a code, V(refused) hosts would refuse a
      run, and V(drift) hosts are not as the variables want them. V(on) hosts ask for codes, and V(off) hosts
      ask for none, as wanted.
  returned: success
  type: dict
  sample: {unreachable: 0, failed: 0, pending: 0, open: 0, shut: 0, refused: 0, drift: 1, "on": 2, "off": 0}
"""
