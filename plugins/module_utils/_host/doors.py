# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks for programs that let people in beside sshd: those that run, and those that systemd starts at boot."""

from __future__ import annotations

import glob
import os
import typing as t

from .. import _places as places
from .._texts.login_daemons import DAEMONS
from .processes import Process


def daemons(processes: t.Iterable[Process]) -> dict[str, str]:
    """The known ones that are there, with what shows it: a process, or a unit that is enabled."""
    running: dict[str, Process] = {}
    for process in processes:
        for word in process.command_line.split("\0")[:2]:
            running.setdefault(word.partition(" ")[0].rstrip(":").rpartition("/")[2], process)
    enabled = {os.path.basename(path) for path in glob.glob(f"{places.UNIT_DIRECTORY}/*.wants/*")}
    found = {}
    for daemon in DAEMONS:
        program = next((running[one] for one in daemon.programs if one in running), None)
        unit = next((one for one in daemon.units if one in enabled), None)
        if program and not program.is_inside:
            found[daemon.name] = f"process {program.pid}"
        elif unit:
            found[daemon.name] = unit
    return found
