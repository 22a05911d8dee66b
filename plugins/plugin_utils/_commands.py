# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Commands in what people read, so that they can be copied.

A playbook that is started without the inventory of the run before finds no host, and ends as if all were well.
"""

from __future__ import annotations

import re
import shlex
import typing as t

from ansible import constants as C  # noqa: N812 - as Ansible names it everywhere

_IN_A_CONTAINER = "/runner/"
"""Where execution environments, such as those of AWX, have what ansible-runner hands to a job; it goes with the job."""

_PLAYBOOK = re.compile(r"\bansible-playbook fleet\.auth\.\w+(?! -i )\b")


def inventory(variables: t.Mapping[str, t.Any]) -> str:
    """The inventory that was given to a run, as options of a command, each after a blank.

    Empty where none was given: what Ansible finds by itself, it finds the next time as well. Without one that a
    container had, which is at another place for whoever reads the command, or at none. In `vars/main.yml`, the role
    says the same.
    """
    # Ansible makes attributes of its settings as it starts.
    found = C.DEFAULT_HOST_LIST  # type: ignore[attr-defined]
    given = variables.get("ansible_inventory_sources") or ()
    return "".join(
        f" -i {shlex.quote(one)}" for one in given if one not in found and not one.startswith(_IN_A_CONTAINER)
    )


def with_inventory(text: str, variables: t.Mapping[str, t.Any]) -> str:
    """A text whose commands have the inventory of the run, those that have none yet."""
    words = inventory(variables)
    return _PLAYBOOK.sub(lambda command: command[0] + words, text)
