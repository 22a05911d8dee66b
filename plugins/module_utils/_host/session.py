# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks for the ssh session that this run came in by."""

from __future__ import annotations

import os
import pwd
import typing as t

from .state import Connection


def connection() -> Connection | None:
    """The ssh session above this process, or None.

    sudo and su take SSH_CONNECTION out of the environment, but not out of that of the processes above them. The one
    nearest to sshd counts, and its parent is the sshd of the session.
    """
    found = None
    process = _process(os.getpid())
    while process is not None:
        sshd = _process(process.parent)
        if process.ssh_client and sshd:
            found = (process.uid, process.ssh_client, sshd.started)
        process = sshd
    if found is None:
        return None
    uid, address, since = found
    try:
        return Connection(user=pwd.getpwuid(uid).pw_name, address=address, since=since)
    except KeyError:
        return None


class _Process(t.NamedTuple):
    uid: int
    parent: int
    started: float
    ssh_client: str


def _process(pid: int) -> _Process | None:
    """A process as proc(5) has it; None where it is gone."""
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
    """What /proc/PID/environ and /proc/PID/stat say. The name of the program, in brackets there, may hold anything."""
    environment = dict(pair.partition(b"=")[::2] for pair in environ.split(b"\0"))
    fields = status.rpartition(")")[2].split()
    return _Process(
        uid=uid,
        parent=int(fields[1]),
        started=int(fields[19]) / ticks,
        ssh_client=environment.get(b"SSH_CONNECTION", b"").partition(b" ")[0].decode("ascii", "replace"),
    )
