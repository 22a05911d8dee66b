# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks at how sshd is started: the sshds that listen now, and what their units would start."""

from __future__ import annotations

import glob
import itertools
import os
import re
import time
import typing as t

from .. import _places as places
from .._texts import sshd_config
from .._texts.sshd_start import Start, is_cut, parse_title, parse_words, program_of
from .._texts.unit_variables import split, variables, with_variables
from . import systemd
from .command import Run
from .files import changed_since, read_file
from .processes import Process
from .state import Listener
from .systemd import Unit

_SOCKET_PROPERTIES = "ActiveState,Accept,Triggers,Listen"
_DECISIVE = (places.SSHD_DIRECTORY, places.PAM_D)
_SSHD = re.compile(r"(?:.*/)?[\w.-]*sshd(?!_)[\w.-]*")
"""A word that may be the program of an sshd, but not one of its configuration files."""
_MAKES_KEYS = re.compile(r"sshd[\w.-]*key[^/]*$")
"""A program that makes the host keys, such as sshd-keygen."""
_IN_A_COMMAND = re.compile(r"(?:/s?bin/|\bexec +)sshd(?![\w./-])([^;&|]*)")
"""An sshd in the command line of a shell or the like, and its own words."""
_COMMAND = re.compile(r"^[ \t]*ExecStart[ \t]*=[ \t]*[-@:+!|]*(\S.*)", re.MULTILINE)


class Socket(t.NamedTuple):
    """A systemd socket, which starts a service when somebody connects; systemd.socket(5)."""

    name: str
    is_active: bool
    accepts: bool
    """Whether it starts a new instance of a service for each connection."""
    triggers: str
    """The service that it starts if it does not."""
    listens: tuple[str, ...]
    """The addresses at which it listens, such as `[::]:22 (Stream)`."""

    @property
    def is_reached(self) -> bool:
        """Whether it can be reached from the network, and not only from this machine or the one that hosts it."""
        return any(not one.startswith(("/", "@", "vsock:")) for one in self.listens)

    @property
    def service(self) -> str:
        """The service that it starts, or an instance of it."""
        return f"{self.name.rpartition('.')[0]}@{systemd.INSTANCE}.service" if self.accepts else self.triggers


class Units(t.NamedTuple):
    """What systemd would start."""

    own: Unit | None = None
    """The unit of the host's own sshd."""
    sockets: frozenset[str] = frozenset()
    """The sockets that can be reached from the network, and that listen now or from the next boot on."""
    further: t.Mapping[str, Unit] = {}
    """The units that may start a further sshd, because a socket starts them or because they start at boot.

    By service, or by socket if that starts a new instance of the service for each connection.
    """
    commands: t.Mapping[str, t.Sequence[str]] = {}
    """The command lines that each socket may start, by socket."""
    stopped: frozenset[str] = frozenset()
    """The units of ours in `LISTENING_UNITS` that are enabled, but have failed or been stopped."""

    @property
    def outdated(self) -> tuple[str, ...]:
        """The names of the units whose files have changed since systemd read them."""
        return tuple(one.name for one in (self.own, *self.further.values()) if one and one.is_outdated)

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment files of the host's own sshd and of the further ones."""
        named = [one.files for one in (self.own, *self.further.values()) if one]
        return tuple(dict.fromkeys(itertools.chain(*named)))


def start_of(unit: Unit) -> Start | None:
    """How a unit would start an sshd now; None if its program is not sshd, and so may start anything."""
    if os.path.basename(unit.program) != "sshd" and not _is_of_host(unit.program):
        return None
    found = parse_words(with_variables(unit.words, unit.value))
    return found._replace(source=_source(unit, found) or unit.name)


def _source(unit: Unit, start: Start) -> str:
    """The file of a unit that says how an sshd was started, or an empty text."""
    return unit.place_of([*start.settings, *([] if start.config == places.SSHD_CONFIG else [start.config])])


def listeners(processes: t.Iterable[Process], units: Units | None = None) -> tuple[Listener, ...]:
    """Every sshd that listens; first the one of the host's own unit, or else the one in its PID file.

    After them come the sshds that do not run yet: those that a socket listens for, and those that start at boot.
    """
    found = []
    for process in processes:
        words = parse_title(process.command_line)
        cut = is_cut(process.command_line)
        if cut or (words is None and any(map(_SSHD.fullmatch, process.served))):
            # Its options are unknown: its command line is cut off, or another program starts it for each connection.
            words = []
        if words is not None and not process.is_in_container:
            start = parse_words(words, f"the command line of sshd, process {process.pid}")
            found.append(_listener(process, start)._replace(is_cut=cut))
    file = read_file(places.SSHD_PID_FILE)
    of_pid_file = file.content.strip() if file else ""
    found.sort(key=lambda one: (one.is_separate, not one.is_own, str(one.pid) != of_pid_file, one.pid))
    known = {(one.unit, one.door) for one in found}
    running = {one.unit for one in found}
    for name, unit in units.further.items() if units else ():
        known_start = start_of(unit)
        start = known_start or Start()
        waiting = Listener(0, name, start, _program(unit.program), unit.owner, unit.hides(_DECISIVE))
        # If the unit starts a shell, only the sshd that runs shows with which configuration.
        if (name, waiting.door) not in known and (known_start or name not in running):
            found.append(waiting)
    return tuple(found)


def _is_of_host(path: str) -> bool:
    """Whether this is the host's own sshd, by any path."""
    return os.path.realpath(path) == os.path.realpath(places.SSHD)


def _program(path: str, called: str = "") -> str:
    """The program of an sshd; the path of the host's own if it is that program, or if it is unknown.

    Up to OpenSSH 9.7, sshd uses the PAM service that has the name with which it was started. So a link to the host's
    own program (`called`) counts as another program if it has another name.
    """
    if path and not _is_of_host(path):
        return path
    called = called or path
    is_sshd = os.path.basename(called) in ("", "sshd") or any(map(os.path.exists, places.SSHD_SESSIONS))
    return places.SSHD if is_sshd else called


def _listener(process: Process, start: Start) -> Listener:
    """An sshd that listens, with its owner. Unless root runs it, no path from its command line is looked at."""
    files: tuple[str, ...] = ()
    if not process.uid:
        directories = (places.DROP_IN_DIRECTORY, places.PAM_D)
        files = (start.config, *directories, *(one for path in directories for one in glob.glob(f"{path}/*")))
    return Listener(
        process.pid,
        process.unit,
        start,
        program=_program(process.executable, program_of(process.command_line)),
        owner=process.owner,
        has_own_files=not all(process.has(path) for path in files),
    )


def starts(
    unit: Unit | None,
    listening: t.Sequence[Listener],
    configs: t.Iterable[str] = (),
    accepted: t.Collection[str] | None = None,
) -> tuple[Start, ...]:
    """How the host's own sshd runs, and how it will run once its unit restarts it, if that differs.

    After that comes how further sshds run: unless `accepted` is None, those that have the host's own configuration and
    whose doors are not in `accepted`; then those that have one of `configs`, whether they run or not.
    """
    listening = [one for one in listening if not one.is_separate]
    found = [one.start for one in listening if one.is_own and one.pid]
    if unit:
        found = [one._replace(source=_source(unit, one) or one.source) for one in found]
        planned = start_of(unit)
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
        found += running or [Start(config, source="sshd_configs")]
    distinct: list[Start] = []
    for start in found:
        if not any(start.has_same_options(other) for other in distinct):
            distinct.append(start)
    return tuple(distinct)


def unread(
    listening: t.Collection[Listener], texts: t.Mapping[str, str], pid_file: str, unit: Unit | None
) -> tuple[str, ...]:
    """What has changed since the host's own sshd has read the files of its configuration, which `texts` has by path.

    These are files, and directories from which it includes files and where none of those that are left has changed: one
    has gone. Nothing is found if it does not run.
    """
    read = _read_at(listening, pid_file, unit)
    if read is None:
        return ()
    found = [path for path in sorted(texts) if changed_since(read, path)]
    included = itertools.chain.from_iterable(itertools.starmap(sshd_config.included, texts.items()))
    directories = {os.path.dirname(one) for one in included if not os.path.isfile(one)}.difference(
        map(os.path.dirname, found)
    )
    return (*found, *(path for path in sorted(directories) if changed_since(read, path)))


def _read_at(listening: t.Collection[Listener], pid_file: str, unit: Unit | None) -> float | None:
    """When the host's own sshd has read its configuration, in seconds since the epoch; None if that is not known.

    sshd writes its PID file each time. If it has none, that was when its unit was started or reloaded.
    """
    pids = [str(one.pid) for one in listening if one.is_own and one.pid]
    try:
        file = read_file(pid_file)
        if file and file.content.strip() in pids:
            return os.stat(pid_file).st_mtime
    except OSError:
        return None
    if file or not (pids and unit and unit.changed_at):
        return None
    return time.time() - time.clock_gettime(time.CLOCK_MONOTONIC) + unit.changed_at / 1_000_000


def units(run: Run) -> Units:
    """Ask systemd for the unit of the host's own sshd, for the sockets, for further sshds, and for units of ours."""
    if not os.path.isdir(places.SYSTEMD):
        return Units()
    services = [f"{name}.service" for name in places.SSHD_UNITS]
    links = systemd.enabled()
    enabled = sorted(name for name in links if name.endswith(".socket"))
    in_drop_ins = _services_with_sshd_in_drop_ins()
    at_boot = sorted(
        name
        for name, path in links.items()
        if _is_service_with_sshd(path) or not in_drop_ins.isdisjoint((name, systemd.template_of(name)))
    )
    ours = sorted(set(places.LISTENING_UNITS) & set(links) - set(enabled))
    # The pattern matches only units that systemd has loaded, such as active ones.
    names = dict.fromkeys([*services, *at_boot, *ours, *enabled, "*.socket"])
    shown = systemd.shown(run, f"{systemd.SERVICE_PROPERTIES},{_SOCKET_PROPERTIES}", [*names])
    found = systemd.with_inherited(run, systemd.parse_units(shown))
    own = next((one for name in services for one in found if name in (one.name, *one.names)), None)
    names_of_own = {own.name, *own.names} if own else set(services)
    sockets = [one for one in parse_sockets(shown) if one.is_reached and (one.is_active or one.name in enabled)]
    texts = {one.name: [*_texts(one.service)] for one in sockets}
    # A unit without the word sshd in its files starts none, so systemd is not asked about it.
    with_sshd = [one for one in sockets if any("sshd" in text for text in texts[one.name])]
    return Units(
        own=own,
        sockets=frozenset(one.name for one in sockets),
        further={
            **{
                one.name: one
                for one in found
                if one.name not in names_of_own and not set(at_boot).isdisjoint(one.names) and _listens(one)
            },
            **_started_by(run, [one for one in with_sshd if one.service not in names_of_own]),
        },
        commands={name: [line for text in found for line in _COMMAND.findall(text)] for name, found in texts.items()},
        stopped=frozenset(_stopped(shown)).intersection(places.LISTENING_UNITS),
    )


def _started_by(run: Run, sockets: t.Sequence[Socket]) -> dict[str, Unit]:
    """The units with which these sockets start an sshd, as `Units.further` has them."""
    starting = {one.service: one.name if one.accepts else one.service for one in sockets}
    return {
        starting[name]: one
        for one in (systemd.services(run, [*starting]) if starting else ())
        for name in one.names
        if name in starting and any(map(_SSHD.fullmatch, (one.program, *one.words)))
    }


def _is_service_with_sshd(path: str) -> bool:
    """Whether this is a service with the word sshd in its file."""
    file = read_file(path) if path.endswith(".service") else None
    return file is not None and "sshd" in file.content


def _services_with_sshd_in_drop_ins() -> set[str]:
    """The names of services, and of templates of services, with the word sshd in a drop-in."""
    found = itertools.chain.from_iterable(glob.glob(f"{one}/*.service.d/*.conf") for one in places.UNIT_DIRECTORIES)
    files = ((os.path.basename(os.path.dirname(path))[:-2], read_file(path)) for path in found)
    return {name for name, file in files if file and "sshd" in file.content}


def _listens(unit: Unit) -> bool:
    """Whether a unit starts an sshd that listens, either directly or with another program such as a shell."""
    if _SSHD.fullmatch(unit.program) and not _MAKES_KEYS.search(unit.program):
        return parse_title("\0".join(("sshd", *unit.words))) is not None
    found = _IN_A_COMMAND.findall(" ".join(unit.words))
    return any(parse_title("\0".join(("sshd", *words.split()))) is not None for words in found)


def _stopped(shown: str) -> t.Iterator[str]:
    """The units in the output of `systemctl show` that have failed or been stopped."""
    for properties in systemd.blocks(shown):
        if properties.get("ActiveState") in (["inactive"], ["failed"]):
            yield from properties.get("Id", ())


def _texts(service: str) -> t.Iterator[str]:
    """The texts of the files of a service unit."""
    stem, at, _instance = service.rpartition(".")[0].partition("@")
    for directory in places.UNIT_DIRECTORIES:
        path = f"{directory}/{stem}{at}.service"
        files = (read_file(one) for one in (path, *glob.glob(f"{glob.escape(path)}.d/*.conf")))
        yield from (file.content for file in files if file)


def parse_sockets(text: str) -> list[Socket]:
    """The sockets in the output of `systemctl show`."""
    found = {}
    for properties in systemd.blocks(text):
        name = "".join(properties.get("Id", ()))
        if name.endswith(".socket"):
            found[name] = Socket(
                name=name,
                is_active=properties.get("ActiveState") == ["active"],
                accepts=properties.get("Accept") == ["yes"],
                triggers="".join(properties.get("Triggers", ())).partition(" ")[0],
                listens=tuple(properties.get("Listen", ())),
            )
    return [*found.values()]


def _service_file() -> str:
    """The file in which an sshd that systemd does not start finds further options, for a message."""
    return next((path for path in places.SSHD_SERVICE_OPTIONS if os.path.exists(path)), "the command line of sshd")


def _service_options() -> list[str]:
    """The options of an sshd that systemd does not start."""
    options: list[str] | None = None
    for path, variable in places.SSHD_SERVICE_OPTIONS.items():
        file = read_file(path)
        found = parse_options(file.content, variable) if file else None
        options = options if found is None else found
    return options or []


def parse_options(text: str, variable: str) -> list[str] | None:
    """The words of a variable in an environment file; None if the file does not set it."""
    value = variables(text).get(variable)
    return None if value is None else split(value)
