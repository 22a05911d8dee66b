# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks for programs that let people in beside sshd: those that run, and those that systemd starts at boot."""

from __future__ import annotations

import glob
import os
import re
import typing as t

from .. import _places as places
from .._texts.login_daemons import DAEMONS
from .processes import Process

_RUNS_ANOTHER = re.compile(r"busybox|node|nodejs|(ba|da|k|z)?sh|(perl|python)[\d.]*")
"""Programs that run the first of their words that is no option. A pager with such a word shows a file."""
_WITHOUT_LOGIN = re.compile(r"\0--local-session[=\0][^-]")
"""An option of Cockpit's, by which it has a session for whoever connects; with - the session is that of its caller."""
_ENABLED = (*(f"{directory}/*" for directory in places.UNIT_LINKS), "/run/systemd/generator.late/*.wants/*")
"""The links to the units that start at boot, those of init scripts among them; systemd-sysv-generator(8)."""


def daemons(
    processes: t.Iterable[Process], sockets: t.Collection[str], commands: t.Mapping[str, t.Iterable[str]]
) -> dict[str, str]:
    """The known ones that are there, with what shows it: a process, a unit that is enabled, or one of these sockets.

    `commands` are the command lines of what the sockets start, by the socket.
    """
    known = {program for daemon in DAEMONS for program in daemon.programs}
    running: dict[str, Process] = {}
    for process in processes:
        for name in known.intersection(_programs(process)):
            if name not in running and not process.is_inside:
                running[name] = process
    units = {os.path.basename(path) for pattern in _ENABLED for path in glob.glob(pattern)}.union(sockets)
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
    """The file name of its program, and where that runs another one, of that; of a module of Python's, its package."""
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
            yield word.rpartition("/")[2]
