# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: chosen_hosts
short_description: The hosts of a play, refused where the inventory does not know them
version_added: 1.1.0
description:
  - Ansible ends a play whose hosts are in no inventory with a warning, and as if all were well. This is an error where
    the inventory has no hosts, or nothing that a pattern names.
  - A group that has no hosts is known, and so are hosts that C(--limit) leaves out. Then the play has nothing to do.
  - The playbooks of the collection use it.
author:
  - The fleet.auth contributors (!UNKNOWN)
options:
  _input:
    description: The pattern, as C(hosts) of a play takes it, or a list of patterns.
    type: raw
    required: true
  groups:
    description: The variable C(groups), which has the hosts of the inventory by group.
    type: dict
    required: true
seealso:
  - name: Patterns
    description: How to choose hosts.
    link: https://docs.ansible.com/ansible/latest/inventory_guide/intro_patterns.html
"""

EXAMPLES = r"""
- name: Do something on the hosts that somebody has chosen
  hosts: "{{ twofactor_hosts | default('all') | fleet.auth.chosen_hosts(groups) }}"
  tasks: []
"""

RETURN = r"""
_value:
  description: The pattern, as it was given.
  type: raw
  sample: web*
"""

import difflib
import re
import typing as t

from ansible import context
from ansible.errors import AnsibleFilterError
from ansible.inventory.manager import InventoryManager, split_host_pattern
from ansible.parsing.dataloader import DataLoader

_LOOKS_ON = ("syntax", "listtasks", "listtags")
"""The options of ansible-playbook by which it looks at a playbook, perhaps without its inventory."""


def chosen_hosts(pattern: str | list[str], groups: t.Mapping[str, t.Sequence[str]]) -> str | list[str]:
    """The pattern of hosts that was given. Raises AnsibleFilterError where the inventory knows nothing of it."""
    if any(context.CLIARGS.get(name) for name in _LOOKS_ON):
        return pattern
    parts = split_host_pattern(pattern)
    if not parts:
        # Of a comma alone, say, Ansible takes all hosts.
        raise AnsibleFilterError(
            "twofactor_hosts names no host. Nothing was done. Name hosts or groups of the inventory there, or leave it "
            "out for all of them."
        )
    # Exclusions and intersections alone begin with all hosts.
    named = [part for part in parts if part[0] not in "!&"] or ["all"]
    if any(_is_known(part, groups) for part in named):
        return pattern
    asked = ", ".join(named)
    if not groups["all"]:
        raise AnsibleFilterError(
            f"The inventory has no hosts, and {asked} was asked for. Nothing was done. Give one that has them with -i."
        )
    raise AnsibleFilterError(
        f"The inventory has no host or group {asked}{_nearest(asked, groups)}. Nothing was done. Correct "
        "twofactor_hosts, or give the inventory that has them with -i."
    )


def _is_known(part: str, groups: t.Mapping[str, t.Sequence[str]]) -> bool:
    """Whether a part of a pattern is a group, though perhaps an empty one, or there are hosts of it."""
    if part == "all":
        return bool(groups["all"])
    if re.sub(r"\[[^\]]*\]$", "", part) in groups:
        return True
    inventory = InventoryManager(DataLoader(), parse=False)
    for group, hosts in groups.items():
        inventory.add_group(group)
        for host in hosts:
            inventory.add_host(host, group=group)
    return bool(inventory.get_hosts(part))


def _nearest(name: str, groups: t.Mapping[str, t.Sequence[str]]) -> str:
    """What may have been meant."""
    found = difflib.get_close_matches(name, [*groups, *groups["all"]], n=1)
    return f"; did you mean {found[0]}" if found else ""


class FilterModule:
    """The filter, for Ansible to find."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"chosen_hosts": chosen_hosts}
