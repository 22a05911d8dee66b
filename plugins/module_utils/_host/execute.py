# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs commands on the host."""

from __future__ import annotations

import os
import subprocess
import typing as t

from ansible.module_utils.common.process import get_bin_path

from .command import NOT_FOUND

_CANNOT_RUN = 126


def run(argv: t.Sequence[str]) -> tuple[int, str, str]:
    """Run a command, given as its list of arguments, in the C locale, without a shell and without standard input.

    It returns the return code, the standard output and the standard error. A command that does not exist, or cannot be
    started, gives a return code too, not an error. The command is looked up on the PATH and in the directories of
    system commands.

    AnsibleModule.run_command takes four times as long to start it, because it copies this process first, and a change
    of two-factor login needs some twenty commands.
    """
    try:
        path = get_bin_path(argv[0])
    except ValueError:
        return NOT_FOUND, "", f"{argv[0]}: command not found"
    try:
        done = subprocess.run(  # noqa: S603 - no shell
            [path, *argv[1:]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={**os.environ, "LC_ALL": "C"},
            check=False,
        )
    except OSError as error:
        return _CANNOT_RUN, "", f"{path} cannot be started: {error.strerror}"
    return done.returncode, _text(done.stdout), _text(done.stderr)


def _text(output: bytes) -> str:
    return output.decode("utf-8", "surrogateescape")
