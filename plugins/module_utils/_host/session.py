# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks for the ssh session that this run came through, and the programs with which it became root there; proc(5)."""

from __future__ import annotations

import contextlib
import glob
import os
import pwd
import typing as t

from .. import _places as places
from .state import Connection

_PSEUDO_TERMINAL = 136
"""The major device number of a pseudoterminal."""


def connection() -> Connection | None:
    """The ssh session above this process, or None.

    sudo and su remove SSH_CONNECTION from the environment, but the processes above them still have it. The topmost of
    those is the client of the session, and its parent is the sshd of the session. A process that machinectl or run0
    had systemd start is not below them, but has their terminal.
    """
    process, asking = _process(os.getpid()), 0
    found, by = _session(process)
    if found is None and process is not None:
        asking = _asking_process(process.terminal)
        found, by = _session(_process(asking), by)
    if found is None:
        return None
    client, sshd = found
    try:
        return Connection(pwd.getpwuid(client.uid).pw_name, client.ssh_client, sshd.started, by, asking)
    except KeyError:
        return None


def _session(
    process: _Process | None, by: tuple[str, ...] = ()
) -> tuple[tuple[_Process, _Process] | None, tuple[str, ...]]:
    """The process of a session that is nearest to its sshd, and that sshd; and the programs from here up to there."""
    found = None
    programs = [*by]
    while process is not None:
        above = _process(process.parent)
        programs.append(process.program)
        if process.ssh_client and above:
            found, by = (process, above), tuple(programs)
        process = above
    return found, by if found else tuple(programs)


def _asking_process(terminal: int) -> int:
    """The process that had systemd start something at this terminal, and holds its other end; 0 if there is none."""
    for path in glob.glob("/proc/[0-9]*/comm") if os.major(terminal) == _PSEUDO_TERMINAL else ():
        directory = os.path.dirname(path)
        with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
            if file.read().strip() in places.ASKING_SYSTEMD and _has_other_end(directory, os.minor(terminal)):
                return int(os.path.basename(directory))
    return 0


def _has_other_end(directory: str, number: int) -> bool:
    """Whether the process of this proc(5) directory holds the other end of the pseudoterminal with this number."""
    for path in glob.glob(f"{directory}/fdinfo/*"):
        with contextlib.suppress(OSError), open(path, encoding="utf-8") as file:
            if f"tty-index:\t{number}\n" in file.read():
                return True
    return False


class _Process(t.NamedTuple):
    """What shows whether a process belongs to an ssh session."""

    uid: int
    parent: int
    started: float
    ssh_client: str
    program: str
    terminal: int
    """The device number of its terminal; 0 if it has none."""


def _process(pid: int) -> _Process | None:
    """A process as proc(5) shows it; None if it has ended."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            environ = file.read()
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            status = file.read()
        uid = os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return None
    return parse_process(uid, environ, status, os.sysconf("SC_CLK_TCK"))


def parse_process(uid: int, environ: bytes, status: str, ticks: int) -> _Process:
    """Parse /proc/PID/environ and /proc/PID/stat. The program's name, in brackets in `stat`, may have any character."""
    environment = dict(pair.partition(b"=")[::2] for pair in environ.split(b"\0"))
    fields = status.rpartition(")")[2].split()
    return _Process(
        uid=uid,
        parent=int(fields[1]),
        started=int(fields[19]) / ticks,
        program=status.partition("(")[2].rpartition(")")[0],
        ssh_client=environment.get(b"SSH_CONNECTION", b"").partition(b" ")[0].decode("ascii", "replace"),
        terminal=int(fields[4]),
    )
