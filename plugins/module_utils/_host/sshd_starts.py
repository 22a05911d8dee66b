# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks at how sshd is started: what listens now, and what its unit would start."""

from __future__ import annotations

import glob
import os
import re
import shlex
import typing as t

from .. import _places as places
from .._texts.sshd_start import Start, parse_title, parse_words, with_variables
from .command import Run
from .files import read_file
from .processes import Process
from .state import Listener

_PROPERTIES = "Id,LoadState,ExecStart,Environment,EnvironmentFiles,FragmentPath,DropInPaths"
_INSTANCE = "fleet-auth"
"""Which instance of a template is looked at; they all start the same."""
_ARGUMENTS = re.compile(r"path=(\S+) ; argv\[\]=(.*?) ; ignore_errors=")


class Unit(t.NamedTuple):
    """The unit of sshd, as systemd has it; systemd.exec(5)."""

    name: str
    program: str
    words: tuple[str, ...]
    """What follows the program, with variables in it."""
    environment: tuple[str, ...] = ()
    """NAME=VALUE."""
    files: tuple[str, ...] = ()
    """Files with more of that, of which the last one counts."""
    written_in: tuple[str, ...] = ()
    """The files of the unit; the last one counts."""

    def start(self) -> Start | None:
        """What it would start now; None where its program is another one, which may start anything."""
        if self.program.rpartition("/")[2] != "sshd":
            return None
        found = parse_words(with_variables(self.words, self._value))
        return found._replace(said_by=self.says(found) or self.name)

    def says(self, start: Start) -> str:
        """The file that says how an sshd was started, or an empty text."""
        told = [*start.settings, *([] if start.config == places.SSHD_CONFIG else [start.config])]
        for path in (*reversed(self.files), *reversed(self.written_in)):
            file = read_file(path)
            if file and any(one in file.content for one in told):
                return path
        return ""

    def _value(self, name: str) -> list[str]:
        """The words that a variable stands for."""
        found = parse_options("\n".join(self.environment), name)
        for path in self.files:
            file = read_file(path)
            in_file = parse_options(file.content, name) if file else None
            found = found if in_file is None else in_file
        return found or []


def listeners(processes: t.Iterable[Process]) -> tuple[Listener, ...]:
    """Every sshd that listens; the one of the host's own unit first, or else of its pid file."""
    found = []
    for process in processes:
        words = parse_title(process.command_line)
        if words is not None and not process.is_inside:
            start = parse_words(words, f"the command line of sshd, process {process.pid}")
            found.append(_listener(process, start))
    file = read_file(places.SSHD_PID_FILE)
    of_pid_file = file.content.strip() if file else ""
    return tuple(sorted(found, key=lambda one: (one.is_apart, not one.is_own, str(one.pid) != of_pid_file, one.pid)))


def _listener(process: Process, start: Start) -> Listener:
    """An sshd that listens, with whose it is."""
    program = process.executable
    is_hosts = program in ("", os.path.realpath(places.SSHD))
    files = (start.config, places.DROP_IN_DIRECTORY, places.PAM_D)
    return Listener(
        process.pid,
        process.unit,
        start,
        program=places.SSHD if is_hosts else program,
        owner=process.owner,
        has_own_files=not all(process.has(path) for path in files),
    )


def starts(
    run: Run,
    listening: t.Sequence[Listener],
    configs: t.Iterable[str] = (),
    accepted: t.Collection[str] | None = None,
) -> tuple[Start, ...]:
    """How the host's own sshd runs, and how it will once it is started anew, where that is different.

    Behind them, how those further ones run, or would, that have these configurations; and unless `accepted` is None,
    those that have the host's own one, but for the ways in of these names.
    """
    listening = [one for one in listening if not one.is_apart]
    unit, *each_connection = _units(run) if os.path.isdir(places.SYSTEMD) else [None]
    found = [one.start for one in listening if one.is_own]
    if unit:
        found = [one._replace(said_by=unit.says(one) or one.said_by) for one in found]
        planned = unit.start()
    else:
        found = found or [one.start for one in listening[:1]]
        planned = parse_words(_service_options(), _service_file())
    found += [planned] if planned else []
    found += filter(None, (one.start() for one in each_connection if one))
    found = found or [Start()]
    own = {one.config for one in found}
    if accepted is not None:
        found += [one.start for one in listening if one.start.config in own and one.door not in accepted]
    for config in configs:
        running = [one.start for one in listening if one.start.config == config]
        found += running or [Start(config, said_by="sshd_configs")]
    distinct: list[Start] = []
    for start in found:
        if not any(start.is_as(other) for other in distinct):
            distinct.append(start)
    return tuple(distinct)


def _units(run: Run) -> list[Unit | None]:
    """The unit of the host's own sshd, or None; and those by which its socket starts one for each connection."""
    sockets = [name for name in places.SSHD_UNITS if glob.glob(f"{places.UNIT_DIRECTORY}/*.wants/{name}.socket")]
    units = [*(f"{name}.service" for name in places.SSHD_UNITS), *(f"{name}@{_INSTANCE}.service" for name in sockets)]
    code, out, _error = run(["systemctl", "show", f"--property={_PROPERTIES}", "--", *units])
    found = parse_units(out) if code == 0 else []
    instances = [one for one in found if _INSTANCE in one.name]
    return [next((one for one in found if one not in instances), None), *instances]


def parse_units(text: str) -> list[Unit]:
    """The units that `systemctl show` tells of and that start something."""
    found = []
    for block in text.strip().split("\n\n"):
        pairs = [line.partition("=")[::2] for line in block.split("\n")]
        told: dict[str, list[str]] = {}
        for name, value in pairs:
            told.setdefault(name, []).append(value)
        command = _ARGUMENTS.search("\n".join(told.get("ExecStart", ())))
        if told.get("LoadState") == ["loaded"] and command:
            found.append(
                Unit(
                    name="".join(told.get("Id", ())),
                    program=command[1],
                    words=tuple(command[2].split()[1:]),
                    environment=tuple(shlex.split(" ".join(told.get("Environment", ())))),
                    files=tuple(value.partition(" (")[0] for value in told.get("EnvironmentFiles", ()) if value),
                    written_in=(*told.get("FragmentPath", ()), *" ".join(told.get("DropInPaths", ())).split()),
                )
            )
    return found


def _service_file() -> str:
    """Where a service that is none of systemd's finds further options, for a message."""
    return next((path for path in places.SSHD_SERVICE_OPTIONS if os.path.exists(path)), "the command line of sshd")


def _service_options() -> list[str]:
    """What a service that is none of systemd's starts sshd with."""
    options: list[str] | None = None
    for path, variable in places.SSHD_SERVICE_OPTIONS.items():
        file = read_file(path)
        found = parse_options(file.content, variable) if file else None
        options = options if found is None else found
    return options or []


def parse_options(text: str, variable: str) -> list[str] | None:
    """The words of a variable in a file of environment variables for systemd; None where it is not set there.

    The last line that sets it counts.
    """
    options = None
    for line in text.splitlines():
        name, _equals, value = line.strip().partition("=")
        if name == variable:
            options = shlex.split(" ".join(shlex.split(value, comments=True)))
    return options
