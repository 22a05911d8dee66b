# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Completes the commands in messages, so that people can copy them.

A playbook that is started without the inventory of the previous run finds no host, and ends as if all were well.
"""

from __future__ import annotations

import re
import shlex
import typing as t

from ansible import constants as C  # noqa: N812 - as Ansible names it everywhere

_IN_A_CONTAINER = "/runner/"
"""Where ansible-runner puts the files of a job in execution environments, such as AWX's. It is gone after the job."""

_PLAYBOOK = re.compile(r"\bansible-playbook fleet\.auth\.\w+(?! -i )\b")


def inventory(variables: t.Mapping[str, t.Any]) -> str:
    """The inventory that was given to a run, as options of a command, each after a space, such as ` -i hosts`.

    Empty if none was given: an inventory that Ansible finds by itself, it finds again the next time. An inventory in a
    container is left out: whoever reads the command has it at another path, or not at all. The role has the same rule
    in `vars/main.yml`.
    """
    default = C.config.get_config_value("DEFAULT_HOST_LIST")
    given = variables.get("ansible_inventory_sources") or ()
    return "".join(
        f" -i {shlex.quote(one)}" for one in given if one not in default and not one.startswith(_IN_A_CONTAINER)
    )


def with_inventory(text: str, variables: t.Mapping[str, t.Any]) -> str:
    """The text, with the inventory of the run added to each playbook command that has none yet."""
    words = inventory(variables)
    return _PLAYBOOK.sub(lambda command: command[0] + words, text)
