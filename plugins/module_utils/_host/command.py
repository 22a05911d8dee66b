# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs commands on the host."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

Run = t.Callable[[t.Sequence[str]], t.Tuple[int, str, str]]
"""Runs a command, given as its list of arguments; returns its return code, standard output and standard error."""

NOT_FOUND = 127
"""The return code for a command that does not exist, as in a shell."""
_CANNOT_RUN = 126


def runner(module: AnsibleModule) -> Run:
    """Make a function that runs a command, given as its list of arguments, in the C locale and without a shell.

    It returns the return code, the standard output and the standard error. A command that does not exist, or cannot be
    started, gives a return code too, not an error: Ansible's default would end the module there, perhaps in the middle
    of a change. The command is looked up on the PATH and in the directories of system commands.
    """

    def run(argv: t.Sequence[str]) -> tuple[int, str, str]:
        path = module.get_bin_path(argv[0])
        if path is None:
            return NOT_FOUND, "", f"{argv[0]}: command not found"
        try:
            code, out, err = module.run_command(
                [path, *argv[1:]],
                environ_update={"LC_ALL": "C"},
                expand_user_and_vars=False,
                handle_exceptions=False,
            )
        except OSError as error:
            return _CANNOT_RUN, "", f"{path} cannot be started: {error.strerror}"
        return code, out, err

    return run
