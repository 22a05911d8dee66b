# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: chosen_hosts
short_description: The hosts of a play, refused if they are not in the inventory
version_added: 1.1.0
description:
  - If the hosts of a play are in no inventory, Ansible ends the play with a warning only, and as successful. With this
    filter, it is an error if the inventory has no hosts, if it does not have a host or group that the pattern names,
    also one that it excludes, or if nothing matches its wildcards.
  - A group without hosts is accepted, and so are hosts that C(--limit) leaves out. The play then has nothing to do.
  - The playbooks of the collection use this filter.
author:
  - The fleet.auth contributors (!UNKNOWN)
options:
  _input:
    description: A pattern as in C(hosts) of a play, or a list of patterns.
    type: raw
    required: true
  groups:
    description: Ansible's variable C(groups), the hosts of the inventory by group.
    type: dict
    required: true
seealso:
  - name: Patterns
    description: How to choose hosts.
    link: https://docs.ansible.com/ansible/latest/inventory_guide/intro_patterns.html
"""

EXAMPLES = r"""
- name: Do something on the chosen hosts
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
"""The options with which ansible-playbook only inspects a playbook, perhaps without its inventory."""
_MATCHES_SEVERAL = re.compile(r"^~|[*?]")
"""What a regular expression or a wildcard in a pattern looks like; each may match no host."""


def chosen_hosts(pattern: str | list[str], groups: t.Mapping[str, t.Sequence[str]]) -> str | list[str]:
    """Return the given pattern of hosts. Raises AnsibleFilterError if it names what the inventory does not have."""
    if any(context.CLIARGS.get(name) for name in _LOOKS_ON):
        return pattern
    parts = split_host_pattern(pattern)
    if not parts:
        # Ansible would take such a pattern, for example a single comma, for all hosts.
        raise AnsibleFilterError(
            "twofactor_hosts names no host. Nothing was done. Name hosts or groups of the inventory there, or leave it "
            "out for all of them."
        )
    # A pattern of only exclusions and intersections starts from all hosts.
    named = [part for part in parts if part[0] not in "!&"] or ["all"]
    # A mistyped name would leave a host out or, after an exclamation mark, include it.
    names = [part.lstrip("!&") for part in parts]
    known = _known({*named, *names}, groups)
    unknown = [name for name in names if name not in known and not _MATCHES_SEVERAL.search(name)]
    if not unknown and not known.isdisjoint(named):
        return pattern
    asked = ", ".join(unknown or named)
    if not groups["all"]:
        raise AnsibleFilterError(
            f"The inventory has no hosts, and {asked} was asked for. Nothing was done. Give one that has them with -i."
        )
    raise AnsibleFilterError(
        f"The inventory has no host or group {asked}{_nearest(asked, groups)}. Nothing was done. Correct "
        "twofactor_hosts, or give the inventory that has them with -i."
    )


def _known(names: set[str], groups: t.Mapping[str, t.Sequence[str]]) -> set[str]:
    """The names, without prefix, that are groups, even empty ones, or hosts, or that match some hosts."""
    plain = names.intersection({*groups, *groups["all"]})
    others = names - plain
    if not groups["all"]:
        plain.discard("all")
    # Only for subscripts and wildcards: to build an inventory takes milliseconds, and long lists name plain hosts.
    return plain | (_matching(others, groups) if others else set())


def _matching(names: set[str], groups: t.Mapping[str, t.Sequence[str]]) -> set[str]:
    """The names that are a group with a subscript, such as `web[0]`, or that match some hosts."""
    inventory = InventoryManager(DataLoader(), parse=False)
    for group, hosts in groups.items():
        inventory.add_group(group)
        for host in hosts:
            inventory.add_host(host, group=group)
    return {name for name in names if re.sub(r"\[[^\]]*\]$", "", name) in groups or inventory.get_hosts(name)}


def _nearest(name: str, groups: t.Mapping[str, t.Sequence[str]]) -> str:
    """A suggestion of the name that may have been meant."""
    found = difflib.get_close_matches(name, [*groups, *groups["all"]], n=1)
    return f"; did you mean {found[0]}" if found else ""


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"chosen_hosts": chosen_hosts}
