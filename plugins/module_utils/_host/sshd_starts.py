# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks at how sshd is started: what listens now, and what its unit would start."""

from __future__ import annotations

import glob
import itertools
import os
import re
import typing as t

from .. import _places as places
from .._texts.sshd_start import Start, is_cut, parse_title, parse_words, split, variables, with_variables
from .command import Run
from .files import read_file
from .processes import Process
from .state import Listener

_ROOTS = ("RootDirectory", "RootImage")
_MOUNTS = ("BindPaths", "BindReadOnlyPaths", "TemporaryFileSystem", "InaccessiblePaths")
"""By what a unit shows its program other files than the host has, everywhere or at some paths; systemd.exec(5)."""
_OF_SERVICES = ",".join(
    (
        *("Id", "Names", "LoadState", "ExecStart", "Environment", "EnvironmentFiles", "FragmentPath", "DropInPaths"),
        *("User", *_ROOTS, *_MOUNTS),
    )
)
_OF_SOCKETS = "ActiveState,Accept,Triggers,Listen"
_INSTANCE = "fleet-auth"
"""Which instance of a template is looked at; they all start the same."""
_DECISIVE = (places.SSHD_DIRECTORY, places.PAM_D)
_SSHD = re.compile(r"(?:.*/)?[\w.-]*sshd(?!_)[\w.-]*")
"""A word that may be the program of an sshd, and no file of its configuration."""
_COMMAND = re.compile(r"^[ \t]*ExecStart[ \t]*=[ \t]*[-@:+!|]*(\S.*)", re.MULTILINE)
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
    """Files with more of that, of which the last one counts; patterns of glob(7)."""
    written_in: tuple[str, ...] = ()
    """The files of the unit; the last one counts."""
    names: tuple[str, ...] = ()
    """Its own name and other ones."""
    owner: str = ""
    """The account that it runs as, where that is not root."""
    has_own_files: bool = False
    """Whether it has other files than the host in the places where sshd finds who gets in."""

    @property
    def runs_sshd(self) -> bool:
        """Whether it starts an sshd, be it by another program such as a shell."""
        return any(map(_SSHD.fullmatch, (self.program, *self.words)))

    def start(self) -> Start | None:
        """What it would start now; None where its program is another one, which may start anything."""
        if self.program.rpartition("/")[2] != "sshd":
            return None
        found = parse_words(with_variables(self.words, self._value))
        return found._replace(said_by=self.says(found) or self.name)

    def says(self, start: Start) -> str:
        """The file that says how an sshd was started, or an empty text."""
        told = [*start.settings, *([] if start.config == places.SSHD_CONFIG else [start.config])]
        for path in (*reversed(self._found_files), *reversed(self.written_in)):
            file = read_file(path)
            if file and any(one in file.content for one in told):
                return path
        return ""

    @property
    def _found_files(self) -> list[str]:
        """The files of variables, in the order in which systemd reads them."""
        return [path for pattern in self.files for path in sorted(glob.glob(pattern)) or [pattern]]

    def _value(self, name: str) -> str:
        """What a variable stands for."""
        found = dict(one.partition("=")[::2] for one in self.environment)
        for path in self._found_files:
            file = read_file(path)
            found.update(variables(file.content) if file else {})
        return found.get(name, "")


class Socket(t.NamedTuple):
    """A socket of systemd, which starts a service once somebody connects; systemd.socket(5)."""

    name: str
    is_active: bool
    accepts: bool
    """Whether it starts one for each connection."""
    triggers: str
    """The service that it starts otherwise."""
    listens: tuple[str, ...]
    """Where, such as `[::]:22 (Stream)`."""

    @property
    def is_reached(self) -> bool:
        """Whether it can be reached from the network, and not from this machine alone or from what it runs on."""
        return any(not one.startswith(("/", "@", "vsock:")) for one in self.listens)

    @property
    def service(self) -> str:
        """The service that it starts, or an instance of it."""
        return f"{self.name.rpartition('.')[0]}@{_INSTANCE}.service" if self.accepts else self.triggers


class Units(t.NamedTuple):
    """What systemd would start."""

    own: Unit | None = None
    """The unit of the host's own sshd."""
    sockets: frozenset[str] = frozenset()
    """The sockets that the network reaches, and that listen or will from the next boot on."""
    by_sockets: t.Mapping[str, Unit] = {}
    """What they start an sshd by, by the socket where it is one for each connection, or else by its service."""

    commands: t.Mapping[str, t.Sequence[str]] = {}
    """The command lines of all that the sockets start, by the socket."""

    @property
    def variables(self) -> tuple[str, ...]:
        """The files of variables that these name."""
        named = [one.files for one in (self.own, *self.by_sockets.values()) if one]
        return tuple(dict.fromkeys(itertools.chain(*named)))


def listeners(processes: t.Iterable[Process], units: Units | None = None) -> tuple[Listener, ...]:
    """Every sshd that listens, the one of the host's own unit first, or else of its pid file.

    Behind them, those for which a socket listens, and that are not there before somebody connects.
    """
    found = []
    for process in processes:
        words = parse_title(process.command_line)
        cut = is_cut(process.command_line)
        if cut or (words is None and any(map(_SSHD.fullmatch, process.served))):
            # What starts it may do so in whatever way.
            words = []
        if words is not None and not process.is_inside:
            start = parse_words(words, f"the command line of sshd, process {process.pid}")
            found.append(_listener(process, start)._replace(is_cut=cut))
    file = read_file(places.SSHD_PID_FILE)
    of_pid_file = file.content.strip() if file else ""
    found.sort(key=lambda one: (one.is_apart, not one.is_own, str(one.pid) != of_pid_file, one.pid))
    running = {one.unit for one in found if not one.is_apart}
    waiting = [(name, unit, unit.start()) for name, unit in units.by_sockets.items()] if units else []
    found += [
        Listener(0, name, start or Start(), _program(unit.program), unit.owner, unit.has_own_files)
        for name, unit, start in waiting
        if unit.runs_sshd and name not in running
    ]
    return tuple(found)


def _program(path: str) -> str:
    """The program of an sshd; the host's own one, where it is that by whatever path, or where nobody can tell."""
    return places.SSHD if not path or os.path.realpath(path) == os.path.realpath(places.SSHD) else path


def _listener(process: Process, start: Start) -> Listener:
    """An sshd that listens, with whose it is. No path is looked at that an account has made up, other than root."""
    files: tuple[str, ...] = ()
    if not process.uid:
        directories = (places.DROP_IN_DIRECTORY, places.PAM_D)
        files = (start.config, *directories, *(one for path in directories for one in glob.glob(f"{path}/*")))
    return Listener(
        process.pid,
        process.unit,
        start,
        program=_program(process.executable),
        owner=process.owner,
        has_own_files=not all(process.has(path) for path in files),
    )


def starts(
    unit: Unit | None,
    listening: t.Sequence[Listener],
    configs: t.Iterable[str] = (),
    accepted: t.Collection[str] | None = None,
) -> tuple[Start, ...]:
    """How the host's own sshd runs, and how it will once its unit starts it anew, where that is different.

    Behind them, how those further ones run, or would, that have these configurations; and unless `accepted` is None,
    those that have the host's own one, but for the ways in of these names.
    """
    listening = [one for one in listening if not one.is_apart]
    found = [one.start for one in listening if one.is_own and one.pid]
    if unit:
        found = [one._replace(said_by=unit.says(one) or one.said_by) for one in found]
        planned = unit.start()
    else:
        found = found or [one.start for one in listening[:1]]
        planned = parse_words(_service_options(), _service_file())
    found += [planned] if planned else []
    found += [one.start for one in listening if one.is_own and not one.pid]
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


def units(run: Run) -> Units:
    """The unit of the host's own sshd, and the sockets, which are asked for along with it."""
    if not os.path.isdir(places.SYSTEMD):
        return Units()
    services = [f"{name}.service" for name in places.SSHD_UNITS]
    links = (path for directory in places.UNIT_LINKS for path in glob.glob(f"{directory}/*.socket"))
    enabled = set(map(os.path.basename, links))
    # The pattern stands for those that are active.
    shown = _shown(run, f"{_OF_SERVICES},{_OF_SOCKETS}", [*services, *sorted(enabled), "*.socket"])
    sockets = [one for one in parse_sockets(shown) if one.is_reached and (one.is_active or one.name in enabled)]
    texts = {one.name: [*_texts(one.service)] for one in sockets}
    # Without the name of sshd in its files it starts none, and no command is needed.
    starting = {
        one.service: one.name if one.accepts else one.service
        for one in sockets
        if one.service not in services and any("sshd" in text for text in texts[one.name])
    }
    started = parse_units(_shown(run, _OF_SERVICES, [*starting])) if starting else []
    return Units(
        own=next(iter(parse_units(shown)), None),
        sockets=frozenset(one.name for one in sockets),
        by_sockets={starting[name]: one for one in started for name in one.names if name in starting},
        commands={name: [line for text in found for line in _COMMAND.findall(text)] for name, found in texts.items()},
    )


def _shown(run: Run, properties: str, names: t.Sequence[str]) -> str:
    """What systemd tells of these units."""
    code, out, _error = run(["systemctl", "show", f"--property={properties}", "--", *names])
    return out if code == 0 else ""


def _texts(service: str) -> t.Iterator[str]:
    """The texts of the files of a unit."""
    stem, at, _instance = service.rpartition(".")[0].partition("@")
    for directory in places.UNIT_DIRECTORIES:
        path = f"{directory}/{stem}{at}.service"
        files = (read_file(one) for one in (path, *glob.glob(f"{glob.escape(path)}.d/*.conf")))
        yield from (file.content for file in files if file)


def parse_sockets(text: str) -> list[Socket]:
    """The sockets that `systemctl show` tells of."""
    found = {}
    for told in _blocks(text):
        name = "".join(told.get("Id", ()))
        if name.endswith(".socket"):
            found[name] = Socket(
                name=name,
                is_active=told.get("ActiveState") == ["active"],
                accepts=told.get("Accept") == ["yes"],
                triggers="".join(told.get("Triggers", ())).partition(" ")[0],
                listens=tuple(told.get("Listen", ())),
            )
    return [*found.values()]


def parse_units(text: str) -> list[Unit]:
    """The units that `systemctl show` tells of and that start something."""
    found = []
    for told in _blocks(text):
        command = _ARGUMENTS.search("\n".join(told.get("ExecStart", ())))
        if told.get("LoadState") == ["loaded"] and command:
            found.append(
                Unit(
                    name="".join(told.get("Id", ())),
                    program=command[1],
                    words=tuple(command[2].split()[1:]),
                    environment=tuple(split(" ".join(told.get("Environment", ())))),
                    files=tuple(value.partition(" (")[0] for value in told.get("EnvironmentFiles", ()) if value),
                    written_in=(*told.get("FragmentPath", ()), *" ".join(told.get("DropInPaths", ())).split()),
                    names=tuple(" ".join((*told.get("Id", ()), *told.get("Names", ()))).split()),
                    owner="".join(one for one in told.get("User", ()) if one not in ("root", "0")),
                    has_own_files=_has_own_files(told),
                )
            )
    return found


def _has_own_files(told: t.Mapping[str, t.Sequence[str]]) -> bool:
    """Whether a unit shows its program others of the files by which sshd tells who gets in."""
    if any(value not in ("", "/") for name in _ROOTS for value in told.get(name, ())):
        return True
    for name in _MOUNTS:
        for word in " ".join(told.get(name, ())).split():
            source, _colon, rest = word.lstrip("-+").partition(":")
            shown = rest.partition(":")[0] if name.startswith("Bind") and rest else source
            inside = f"{shown.rstrip('/')}/"
            if any(inside.startswith(f"{one}/") or f"{one}/".startswith(inside) for one in _DECISIVE):
                return True
    return False


def _blocks(text: str) -> t.Iterator[dict[str, list[str]]]:
    """What `systemctl show` tells of each unit: the values of each property."""
    for block in text.strip().split("\n\n"):
        told: dict[str, list[str]] = {}
        for name, _equals, value in (line.partition("=") for line in block.split("\n")):
            told.setdefault(name, []).append(value)
        yield told


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
    """The words of a variable in a file of variables; None where it is not set there."""
    value = variables(text).get(variable)
    return None if value is None else split(value)
