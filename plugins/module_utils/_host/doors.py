# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks for other programs than sshd that let people log in: those that run, and those that systemd starts at boot."""

from __future__ import annotations

import re
import typing as t

from .._texts.login_daemons import DAEMONS
from . import systemd
from .processes import Process

_USERMIN = "usermin/miniserv.pl"
"""The program of Usermin, whose file has the same name as Webmin's."""
_RUNS_ANOTHER = re.compile(r"busybox|node|nodejs|(ba|da|k|z)?sh|(perl|python)[\d.]*")
"""Programs that run their first argument that is not an option. In others, such as a pager, it is a file to show."""
_WITHOUT_LOGIN = re.compile(r"\0--local-session[=\0][^-]")
"""An option of Cockpit's that gives a session to anyone who connects; with - as value, to the program that calls it."""


def daemons(
    processes: t.Iterable[Process], sockets: t.Collection[str], commands: t.Mapping[str, t.Iterable[str]]
) -> dict[str, str]:
    """The known programs that the host has, each with what shows it: a process, an enabled unit, or one of the sockets.

    `commands` are the command lines that the sockets start, by socket.
    """
    known = {program for daemon in DAEMONS for program in daemon.programs}
    running: dict[str, Process] = {}
    for process in processes:
        for name in known.intersection(_programs(process)):
            if name not in running and not process.is_in_container:
                running[name] = process
    units = {*systemd.enabled(), *sockets}
    started = {
        name: socket
        for socket, lines in commands.items()
        for line in lines
        for name in _programs(Process(0, 0, line.replace(" ", "\0")))
    }
    found = {}
    for daemon in DAEMONS:
        program = next((running[one] for one in daemon.programs if one in running), None)
        unit = next((one for one in daemon.units if one in units), None)
        unit = unit or next((started[one] for one in daemon.programs if one in started), None)
        if program:
            found[daemon.name] = f"process {program.pid}"
        elif unit:
            found[daemon.name] = unit
    return found


def _programs(process: Process) -> t.Iterator[str]:
    """The file names of the program of a process and of a program that it runs; for a Python module, its package."""
    if process.program == "cockpit-ws" and _WITHOUT_LOGIN.search(process.command_line):
        yield "cockpit-ws --local-session"
        return
    yield process.program
    yield from (word.rpartition("/")[2] for word in process.served)
    if _RUNS_ANOTHER.fullmatch(process.program):
        words = iter(process.command_line.split("\0")[1:])
        word = next((one for one in words if not one.startswith("-") or one in ("-m", "-c")), "")
        if word == "-m":
            yield next(words, "").partition(".")[0]
        elif word != "-c":
            yield _USERMIN if word.endswith(f"/{_USERMIN}") else word.rpartition("/")[2]
