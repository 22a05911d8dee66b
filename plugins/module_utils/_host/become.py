# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks at whether Ansible's account needs a password to become root: by asking sudo, doas and polkit themselves.

It also reads the files with the rules of sudo, which may have sudo ask another PAM service for some accounts.
"""

from __future__ import annotations

import glob
import os
import typing as t

from .. import _places as places
from .._texts import sudoers
from .command import Run
from .files import read_file, with_included
from .state import Connection

# Ansible has them run a shell.
_SHELL = ("/bin/sh", "-c", ":")


def asking(run: Run, connection: Connection, services: t.Iterable[str]) -> frozenset[str]:
    """Those of these PAM services that want a password before this run's account becomes root through them.

    Only sudo can say whether it lets an account become root at all. The others are asked only if this run came through
    them.
    """
    tried = {
        "sudo": lambda: sudo_asks(run, connection.user),
        "doas": lambda: "doas" in connection.programs and _doas_asks(run, connection.user),
        "polkit-1": lambda: connection.asking_systemd > 0 and _polkit_asks(run, connection),
    }
    return frozenset(service for service in services if service in tried and tried[service]())


def sudo_asks(run: Run, user: str) -> bool:
    """Whether sudo lets this account run a shell as root, and wants a password for that.

    `sudo -l` says whether the rules allow it, but not whether one command needs a password. So the account runs a shell
    that does nothing, and has sudo ignore a password that it has cached; sudo(8), -k.
    """
    code, _out, _error = run(["sudo", "-n", "-l", "-U", user, "-u", "root", _SHELL[0]])
    return code == 0 and _refuses(run, user, ("sudo", "-k", "-n", "-u", "root", *_SHELL))


def sudo_rules() -> dict[str, str]:
    """The texts of the files with the rules of sudo, by path."""
    config = read_file(places.SUDO_CONFIG)
    files = with_included(sudoers.main_file(config.content if config else ""), _included_paths)
    return {path: file.content for path, file in files.items()}


def _included_paths(_path: str, rules: str) -> t.Iterator[str]:
    for path in sudoers.included(rules, os.uname().nodename):
        if path.endswith("/"):
            yield from (one for one in glob.glob(f"{glob.escape(path)}*") if sudoers.is_read(one[len(path) :]))
        else:
            yield path


def _doas_asks(run: Run, user: str) -> bool:
    """Whether doas wants a password from this account before it starts a shell; doas(1), -n."""
    return _refuses(run, user, ("doas", "-n", *_SHELL))


def _polkit_asks(run: Run, connection: Connection) -> bool:
    """Whether polkit wants a password for what this run had systemd start, or has just got one for it; pkcheck(1)."""
    actions = {action for program, action in places.ASKING_SYSTEMD.items() if program in connection.programs}
    found = (
        run(["pkcheck", "--action-id", action, "--process", str(connection.asking_systemd)])[:2] for action in actions
    )
    return any(code != 0 or "temporary_authorization_id" in out for code, out in found)


def _refuses(run: Run, user: str, argv: tuple[str, ...]) -> bool:
    """Whether a command that must not ask for a password fails for this account."""
    return run(["runuser", "-u", user, "--", *argv])[0] != 0
