# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""sudo with its prompts answered."""

from __future__ import annotations

import subprocess

from login.people import Person


def sudo(
    person: Person, *answers: str, prompt: str | None = None, login_shell: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run ``id -un`` as root.

    :param answers: one for each prompt, in order; if there are too few, sudo denies.
    :param prompt: the prompt that sudo is told to use.
    :param login_shell: whether to run it in root's login shell.
    :returns: the result, with the prompts on standard error.
    """
    lines = "".join(f"{answer}\n" for answer in answers)
    words = ["sudo", "-k", "-S", *(["-p", prompt] if prompt else []), *(["-i"] if login_shell else []), "id", "-un"]
    return person.host.run("runuser", "-u", person.name, "--", *words, input=lines, check=False)
