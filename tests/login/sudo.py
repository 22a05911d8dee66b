# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""sudo with its prompts answered."""

from __future__ import annotations

import subprocess

from login.people import Person


def sudo(person: Person, *answers: str) -> subprocess.CompletedProcess[str]:
    """Run ``id -un`` as root.

    :param answers: one for each prompt, in that order; where there are not enough, sudo denies.
    :returns: what happened, with the prompts on standard error.
    """
    lines = "".join(f"{answer}\n" for answer in answers)
    return person.host.run("sudo", "-k", "-S", "id", "-un", input=lines, check=False, user=person.name)
